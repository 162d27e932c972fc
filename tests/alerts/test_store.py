from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from alerts.records import Alert, Window
from alerts.schema import SchemaError, upgrade
from alerts.store import (
    alert_topics,
    audit_rows,
    document_sums,
    find_alert,
    last_firing,
    latest_windows,
    list_alerts,
    open_engine,
    put_alert,
    put_audit,
    put_windows,
    reachable,
    topic_windows,
)
from alerts.tables import alert_transitions, alerts, audit, metadata, windows
from tests.alerts.examples import NOON, alert, resolved, window, worse

REVISIONS = [
    window(topic, NOON, seconds, documents, final=final)
    for topic in ("class:macro", "watch:bank")
    for seconds in (300, 3600)
    for documents, final in ((1, False), (2, False), (7, False), (7, True))
]
TRANSITIONS = [
    alert(),
    worse(),
    resolved(severity="critical"),
    alert(id="b", detected_at=NOON + timedelta(minutes=1)),
    worse(id="b"),
]


def contents(engine: Engine) -> list[list[tuple[object, ...]]]:
    tables = [
        (windows, sa.select(windows)),
        (alerts, sa.select(alerts)),
        (alert_transitions, sa.select(alert_transitions)),
    ]
    with engine.connect() as connection:
        return [
            sorted(tuple(row) for row in connection.execute(query.order_by(*table.primary_key)))
            for table, query in tables
        ]


def put(engine: Engine, batch: list[Window | Alert]) -> None:
    with engine.begin() as connection:
        put_windows(connection, [record for record in batch if isinstance(record, Window)])
        for record in batch:
            if isinstance(record, Alert):
                put_alert(connection, record)


def clear(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in (windows, alert_transitions, alerts):
            connection.execute(sa.delete(table))


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    repeats=st.lists(st.sampled_from([*REVISIONS, *TRANSITIONS]), max_size=10),
    order=st.randoms(use_true_random=False),
    cut=st.integers(1, 12),
)
def test_any_order_and_repetition_gives_the_same(
    any_engine: Engine, repeats: list[Window | Alert], order: object, cut: int
) -> None:
    clear(any_engine)
    put(any_engine, [*REVISIONS, *TRANSITIONS])
    expected = contents(any_engine)
    clear(any_engine)
    records = [*REVISIONS, *TRANSITIONS, *repeats]
    order.shuffle(records)  # type: ignore[attr-defined]
    for start in range(0, len(records), cut):
        put(any_engine, records[start : start + cut])
    assert contents(any_engine) == expected
    assert [w.documents for w in latest_windows(any_engine, 300)] == [7, 7]
    assert all(w.final for w in latest_windows(any_engine, 3600))
    assert [(a.id, a.state, a.severity) for a in list_alerts(any_engine)] == [
        ("b", "firing", "critical"),
        ("class:macro-1741089600", "resolved", "critical"),
    ]


def test_a_transition_is_new_once_and_audited_once(any_engine: Engine) -> None:
    with any_engine.begin() as connection:
        assert put_alert(connection, alert())
        assert not put_alert(connection, alert())
        assert put_alert(connection, worse())
        assert put_alert(connection, resolved())
    kinds = [row.kind for row in audit_rows(any_engine, alert().id)]
    assert kinds == ["alert.firing", "alert.firing", "alert.resolved"]


def test_a_window_comes_back_as_it_was(any_engine: Engine) -> None:
    odd = window(
        start=datetime(2025, 3, 4, 14, tzinfo=timezone(timedelta(hours=2))),
        expected_negative_stories=None,
        mean_sentiment=-0.123456789012345,
    )
    put(any_engine, [odd])
    (found,) = latest_windows(any_engine, 3600)
    assert found == odd
    assert found.start.tzinfo is UTC


def test_queries(any_engine: Engine) -> None:
    hours = [window(start=NOON + timedelta(hours=i), documents=i + 1) for i in range(5)]
    put(any_engine, [*hours, window("watch:x", documents=100), window("classy", documents=50)])
    put(any_engine, [window(seconds=86400, start=NOON - timedelta(hours=12), documents=15)])
    assert [w.topic for w in latest_windows(any_engine, 3600)] == [
        "class:macro",
        "classy",
        "watch:x",
    ]
    assert latest_windows(any_engine, 3600)[0] == hours[-1]
    assert topic_windows(any_engine, "class:macro", 3600, limit=2) == hours[-2:]
    assert (
        topic_windows(
            any_engine,
            "class:macro",
            3600,
            since=NOON + timedelta(hours=1),
            until=NOON + timedelta(hours=3),
        )
        == hours[1:3]
    )
    assert document_sums(any_engine, "class:") == {3600: 15, 86400: 15}
    assert document_sums(any_engine, "cl%:") == {}


def test_alert_queries(any_engine: Engine) -> None:
    later = alert(id="later", topic="watch:x", starts_at=NOON + timedelta(hours=1))
    put(any_engine, [alert(), resolved(), later])
    assert [a.id for a in list_alerts(any_engine)] == ["later", alert().id]
    assert list_alerts(any_engine, state="firing") == [later]
    assert list_alerts(any_engine, topics=["class:macro"]) == [resolved()]
    assert last_firing(any_engine, [alert().id, "later"]) == {alert().id: alert(), "later": later}
    assert sorted(alert_topics(any_engine)) == ["class:macro", "watch:x"]
    history = find_alert(any_engine, alert().id)
    assert history is not None
    assert history.alert == resolved()
    assert history.transitions == (alert(), resolved())
    assert find_alert(any_engine, "none") is None


def test_alerts_are_listed_page_by_page(any_engine: Engine) -> None:
    """Those that began at one moment, too, are each listed once."""
    hours = (0, 0, 0, 1, 1, 2)
    put(
        any_engine,
        [alert(id=f"{i}", starts_at=NOON + timedelta(hours=at)) for i, at in enumerate(hours)],
    )
    whole = [each.id for each in list_alerts(any_engine, limit=None)]
    found: list[str] = []
    while page := list_alerts(any_engine, before=found[-1] if found else None, limit=2):
        found += [each.id for each in page]
    assert found == whole == ["5", "3", "4", "0", "1", "2"]
    assert list_alerts(any_engine, before="unknown") == []


@pytest.mark.parametrize("change", [sa.update(audit).values(kind="x"), sa.delete(audit)])
def test_the_audit_table_cannot_be_changed(any_engine: Engine, change: sa.Executable) -> None:
    with any_engine.begin() as connection:
        put_audit(connection, NOON, "test", "subject", {"a": 1})
    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        any_engine.begin() as connection,
    ):
        connection.execute(change)
    (row,) = audit_rows(any_engine, "subject")
    assert (row.at, row.kind, row.detail) == (NOON, "test", {"a": 1})


def test_migrations_make_the_tables_of_the_code(any_engine: Engine) -> None:
    with any_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_processes_that_start_together_upgrade_once(any_url: str) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            upgrade(any_url)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_newer_database_is_refused(any_engine: Engine) -> None:
    with any_engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="9999.*newer version"):
        upgrade(any_engine)


def test_only_known_databases_are_opened() -> None:
    with pytest.raises(sa.exc.ArgumentError, match="SQLite or PostgreSQL"):
        open_engine("mysql://localhost/x")
    assert open_engine("postgres://u:p@host/db").url.drivername == "postgresql+psycopg"


def test_a_database_that_is_down_is_not_reachable() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none")
    assert not reachable(engine)
