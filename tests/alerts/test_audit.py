"""The audit table in real databases: chained whoever writes, exported, checked."""

from __future__ import annotations

import io
import json
import multiprocessing
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy import Engine

from alerts.audit import check_lines, entries, export, note_settings
from alerts.chain import GENESIS, check
from alerts.schema import MIGRATIONS, upgrade
from alerts.settings import DeliverySettings, DetectorSettings
from alerts.store import audit_rows, open_engine, put_alert, put_audit
from alerts.tables import audit
from tests.alerts.examples import NOON, SECRET, alert, resolved, target, worse


def append(engine: Engine, count: int, subject: str = "s", **detail: Any) -> None:
    for number in range(count):
        with engine.begin() as connection:
            put_audit(connection, NOON, "test", subject, {"n": number, **detail})


def append_in_a_process(url: str, subject: str, count: int) -> None:
    engine = open_engine(url)
    append(engine, count, subject)
    engine.dispose()


def tamper(engine: Engine, statement: sa.Executable) -> None:
    """What the owner of the database can do: past the triggers."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for change in ("update", "delete"):
                connection.execute(sa.text(f"DROP TRIGGER IF EXISTS audit_no_{change}"))
        else:
            connection.execute(sa.text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        connection.execute(statement)


def test_two_processes_that_append_at_once_make_one_chain(any_url: str) -> None:
    upgrade(any_url)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=append_in_a_process, args=(any_url, name, 40))
        for name in ("recorder", "desk")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    engine = open_engine(any_url)
    found = check(entries(engine))
    assert (found.rows, found.fault) == (80, None)
    assert [row["id"] for row in entries(engine)] == list(range(1, 81))
    for name in ("recorder", "desk"):
        assert [row.detail["n"] for row in audit_rows(engine, name)] == list(range(40))
    engine.dispose()


def in_threads(*actions: Callable[[], None]) -> None:
    errors: list[BaseException] = []

    def run(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


def test_transactions_that_store_and_audit_do_not_wait_for_each_other_for_ever(
    any_engine: Engine,
) -> None:
    names = [f"a{n}" for n in range(12)]

    def store(order: list[str]) -> None:
        for change in (alert, worse, resolved):
            with any_engine.begin() as connection:
                for name in order:
                    put_alert(connection, change(id=name))

    in_threads(lambda: store(names), lambda: store(names[::-1]))
    found = check(entries(any_engine))
    assert (found.rows, found.fault) == (36, None)


def test_a_transaction_that_fails_leaves_no_gap(any_engine: Engine) -> None:
    append(any_engine, 1)
    with any_engine.connect() as connection:
        put_audit(connection, NOON, "test", "undone", {})
        connection.rollback()
    append(any_engine, 1)
    assert [row["id"] for row in entries(any_engine)] == [1, 2]
    assert check(entries(any_engine)).fault is None


def test_rows_from_before_the_chain_are_chained_by_the_upgrade(any_url: str) -> None:
    engine = open_engine(any_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for number in (1, 2, 5):  # a transaction that failed has left out some
            connection.execute(
                sa.text(
                    "INSERT INTO audit (id, at, kind, subject, detail) "
                    "VALUES (:id, 1741089600000001, 'alert.firing', 'é', '{\"b\": 0.1, \"a\": 1}')"
                ),
                {"id": number},
            )
    upgrade(engine)
    append(engine, 1)
    found = check(entries(engine))
    assert (found.rows, found.fault) == (4, None)
    assert [row["id"] for row in entries(engine)] == [1, 2, 5, 6]
    for change in (sa.update(audit).values(kind="x"), sa.delete(audit)):
        with (
            pytest.raises(sa.exc.DBAPIError, match="append-only"),
            engine.begin() as connection,
        ):
            connection.execute(change)
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (sa.update(audit).where(audit.c.id == 2).values(subject="x"), "row 2 was edited"),
        (sa.update(audit).where(audit.c.id == 2).values(detail={"n": 7}), "row 2 was edited"),
        (sa.update(audit).where(audit.c.id == 3).values(previous=GENESIS), "row 3 was edited"),
        (sa.delete(audit).where(audit.c.id == 2), "between row 1 and row 3"),
        (sa.delete(audit).where(audit.c.id == 1), "between the beginning and row 2"),
        (
            sa.insert(audit).values(id=9, at=NOON, kind="x", subject="x", detail={}),
            "row 9 was put in without a hash",
        ),
    ],
)
def test_a_change_past_the_triggers_shows(
    any_engine: Engine, statement: sa.Executable, says: str
) -> None:
    append(any_engine, 4)
    tamper(any_engine, statement)
    fault = check(entries(any_engine)).fault
    assert fault is not None
    assert says in fault


def test_an_export_is_checked_without_the_database(any_engine: Engine) -> None:
    append(any_engine, 3, "häuser", ratio=0.1, words=["a", None, True])
    file = io.StringIO()
    exported = export(any_engine, file)
    assert exported.fault is None
    lines = file.getvalue().splitlines(keepends=True)
    assert [json.loads(text)["detail"]["n"] for text in lines] == [0, 1, 2]
    assert json.loads(lines[0])["at"] == "2025-03-04T12:00:00.000000Z"
    assert check_lines(lines, exported.head) == exported
    assert check_lines(lines[:2], exported.head).fault is not None
    append(any_engine, 1)
    assert check(entries(any_engine), exported.head).fault is None


def test_a_broken_chain_is_exported_whole(engine: Engine) -> None:
    append(engine, 3)
    tamper(engine, sa.delete(audit).where(audit.c.id == 2))
    file = io.StringIO()
    assert export(engine, file).fault is not None
    assert [json.loads(text)["id"] for text in file.getvalue().splitlines()] == [1, 3]


def start(engine: Engine, process: str = "desk", **delivery: Any) -> bool:
    values = {"targets": (target(),), "relay_token": SecretStr("hunter2"), **delivery}
    sections = {"detector": DetectorSettings(), "delivery": DeliverySettings(**values)}
    return note_settings(engine, process, sections, NOON)


def test_settings_are_audited_when_they_are_others_than_at_the_last_start(
    any_engine: Engine,
) -> None:
    assert start(any_engine)
    assert not start(any_engine)
    assert start(any_engine, "recorder")
    assert start(any_engine, mode="direct")
    assert start(any_engine)
    assert not start(any_engine, "recorder")
    rows = audit_rows(any_engine, "desk")
    assert [row.kind for row in rows] == ["settings.changed"] * 3
    assert rows[0].detail == rows[2].detail
    assert rows[1].detail["set"] == ["delivery.mode", "delivery.relay_token", "delivery.targets"]
    assert check(entries(any_engine)).fault is None


def test_no_secret_and_no_address_is_audited(engine: Engine) -> None:
    start(engine, targets=(target("https://chat.example/services/T0/B0/zzz"),))
    file = io.StringIO()
    export(engine, file)
    for secret in (SECRET, "hunter2", "chat.example", "zzz"):
        assert secret not in file.getvalue()
    # Nor can a short one be found by trying which gives the same version.
    assert not start(
        engine,
        targets=(target("https://chat.example/services/T0/B0/zzz"),),
        relay_token=SecretStr("another"),
    )
