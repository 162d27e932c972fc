"""What is old goes from SQL, in batches; what is needed stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from alerts import pruning
from alerts.acts import Actor, acknowledge, silence
from alerts.audit import entries
from alerts.chain import check
from alerts.corrections import correct, list_corrections, mark_exported
from alerts.outbox import enqueue, transition_message
from alerts.pruning import Pruner, prune
from alerts.settings import DeliverySettings, TableRetention
from alerts.store import audit_rows, list_alerts, list_deliveries, put_alert, put_windows
from alerts.tables import alert_transitions, deliveries, metadata, pushes, sessions, windows
from alerts.tokens import create_token, find_token, open_session
from tests.alerts.examples import NOON, alert, resolved, target, window
from tests.servers import eventually

DAY = timedelta(days=1)
KEEP = TableRetention()
FOREVER = TableRetention(short_windows=None, windows=None, alerts=None, corrections=None)
ANA = Actor("ana")
DIRECT = DeliverySettings(mode="direct")


def rows(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
            if name not in ("audit", "tokens")
        }


def store(engine: Engine, *given: Any, tell: bool = True) -> None:
    with engine.begin() as connection:
        for each in given:
            put_alert(connection, each)
            if tell:
                message = transition_message(each, "http://desk")
                enqueue(connection, [target()], message, NOON)


def deliver(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(deliveries).values(status="delivered", attempts=1))


def test_windows_go_by_their_length_and_age(any_engine: Engine) -> None:
    with any_engine.begin() as connection:
        put_windows(
            connection,
            [
                window(start=NOON - age * DAY, seconds=seconds)
                for seconds in (300, 3600, 86400)
                for age in (1, 91, 731)
            ],
        )
    assert prune(any_engine, FOREVER, NOON) == {"pushes": 0, "sessions": 0}
    assert prune(any_engine, KEEP, NOON, dry_run=True)["windows"] == 4
    assert rows(any_engine)["windows"] == 9
    assert prune(any_engine, KEEP, NOON)["windows"] == 4
    with any_engine.connect() as connection:
        left = connection.execute(sa.select(windows.c.seconds, windows.c.start)).all()
    assert sorted((seconds, (NOON - start).days) for seconds, start in left) == [
        (300, 1),
        (3600, 1),
        (3600, 91),
        (86400, 1),
        (86400, 91),
    ]
    assert prune(any_engine, KEEP, NOON)["windows"] == 0


def test_an_alert_goes_with_all_that_hangs_on_it(any_engine: Engine) -> None:
    store(any_engine, alert(), resolved())
    acknowledge(any_engine, alert().id, ANA, "seen", NOON)
    silence(any_engine, DIRECT, alert().id, ANA, "", timedelta(hours=1), NOON)
    deliver(any_engine)
    before = check(entries(any_engine))
    year = NOON + 365 * DAY
    assert prune(any_engine, KEEP, year)["alerts"] == 0
    later = year + DAY
    assert prune(any_engine, KEEP, later, dry_run=True)["alerts"] == 1
    assert prune(any_engine, KEEP, later)["alerts"] == 1
    assert not any(rows(any_engine).values())
    # The record of what was told stays whole, and says that it went.
    after = check(entries(any_engine), expect=before.head)
    assert (after.fault, after.rows) == (None, before.rows + 1)
    (row,) = audit_rows(any_engine, "alerts")
    assert (row.kind, row.detail) == ("pruned", {"rows": 1})


def test_what_fires_waits_or_is_silenced_stays(any_engine: Engine) -> None:
    far = NOON + 400 * DAY
    store(any_engine, alert(id="fires"), tell=False)
    store(any_engine, alert(id="waits"), resolved(id="waits"))
    store(any_engine, alert(id="silenced"), resolved(id="silenced"), tell=False)
    silence(any_engine, DIRECT, "silenced", ANA, "", timedelta(days=500), NOON)
    assert prune(any_engine, KEEP, far)["alerts"] == 0
    assert {each.id for each in list_alerts(any_engine)} == {"fires", "waits", "silenced"}
    assert all(each.evidence for each in list_alerts(any_engine))
    deliver(any_engine)
    assert prune(any_engine, KEEP, far)["alerts"] == 1
    assert prune(any_engine, KEEP, far + 200 * DAY)["alerts"] == 1
    assert [each.id for each in list_alerts(any_engine)] == ["fires"]


def test_a_delivery_of_an_alert_that_was_never_stored_goes_too(any_engine: Engine) -> None:
    with any_engine.begin() as connection:
        enqueue(connection, [target()], transition_message(alert(), "http://desk"), NOON)
    far = NOON + 366 * DAY
    assert prune(any_engine, KEEP, far)["deliveries"] == 0
    deliver(any_engine)
    assert prune(any_engine, KEEP, far)["deliveries"] == 1
    assert list_deliveries(any_engine) == []


def test_a_correction_goes_when_it_was_exported_or_replaced(any_engine: Engine) -> None:
    def add(document: str, new: Any) -> None:
        correct(
            any_engine,
            ANA,
            NOON,
            document_id=document,
            text="Bank halts withdrawals",
            topic="class:macro",
            old="negative",
            new=new,
        )

    for document, new in (("a", "neutral"), ("b", "neutral"), ("b", "positive")):
        add(document, new)
    far = NOON + 366 * DAY
    assert prune(any_engine, KEEP, far)["corrections"] == 1
    waiting = list_corrections(any_engine, waiting=True)
    assert [(c.document_id, c.new) for c in waiting] == [("a", "neutral"), ("b", "positive")]
    with any_engine.begin() as connection:
        mark_exported(connection, waiting[:1], "out.jsonl", NOON)
    assert prune(any_engine, KEEP, far)["corrections"] == 1
    assert [c.document_id for c in list_corrections(any_engine)] == ["b"]


def test_keys_and_sessions_that_are_over_go_whatever_the_settings(any_engine: Engine) -> None:
    token = find_token(any_engine, create_token(any_engine, "ana", "act", NOON), NOON)
    assert token is not None
    open_session(any_engine, token, NOON)
    with any_engine.begin() as connection:
        connection.execute(
            sa.insert(pushes).values(who="ana", key="k", digest="d", at=NOON, ids=["one"])
        )
    assert not any(prune(any_engine, FOREVER, NOON + timedelta(hours=11)).values())
    gone = prune(any_engine, FOREVER, NOON + timedelta(hours=25))
    assert gone == {pushes.name: 1, sessions.name: 1}


def test_it_goes_in_batches(any_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 3)
    with any_engine.begin() as connection:
        put_windows(connection, [window(topic=f"watch:{n}", seconds=300) for n in range(8)])
    for n in range(7):
        store(any_engine, alert(id=f"{n}"), resolved(id=f"{n}"), tell=False)
    gone = prune(any_engine, KEEP, NOON + 366 * DAY)
    assert (gone["windows"], gone["alerts"]) == (8, 7)
    assert [row.detail["rows"] for row in audit_rows(any_engine, "alerts")] == [3, 3, 1]
    with any_engine.connect() as connection:
        assert connection.execute(sa.select(alert_transitions)).all() == []


def test_the_recorder_prunes_at_its_start_and_stops_at_once(any_engine: Engine) -> None:
    with any_engine.begin() as connection:
        put_windows(connection, [window(start=NOON, seconds=300)])  # years ago
    pruner = Pruner(any_engine, KEEP)
    pruner.start()
    pruner.start()
    try:
        eventually(lambda: rows(any_engine)["windows"] == 0)
    finally:
        pruner.stop()
    Pruner(any_engine, KEEP).stop()
