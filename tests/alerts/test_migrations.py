"""``db upgrade`` from each earlier version, with rows in it that must survive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from alerts.audit import entries
from alerts.chain import GENESIS, check, entry
from alerts.schema import SchemaError, _config, require, upgrade
from alerts.store import document_sums, find_alert, list_alerts, open_engine
from alerts.tables import metadata
from tests.alerts.examples import NOON, alert, window
from tests.stream.test_cli import barograph

SCRIPTS = ScriptDirectory.from_config(_config())
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
AT = int(NOON.timestamp()) * 1_000_000
ALERT = alert()
WINDOW = window()
ROWS: dict[str, list[dict[str, Any]]] = {
    "windows": [
        {
            **WINDOW.model_dump(exclude={"end", "model"}),
            "start": AT,
            "seconds": 3600,
        }
    ],
    "alerts": [
        {
            **{name: getattr(ALERT, name) for name in ("id", "topic", "rule", "severity", "state")},
            **dict.fromkeys(("starts_at", "detected_at", "changed_at"), AT),
            "payload": ALERT.to_json().decode(),
        }
    ],
    "alert_transitions": [
        {
            "alert_id": ALERT.id,
            "state": "firing",
            "at": AT,
            "severity": ALERT.severity,
            "payload": ALERT.to_json().decode(),
        }
    ],
    "deliveries": [
        {
            "id": "msg_1",
            "alert_id": ALERT.id,
            "state": "firing",
            "target": "risk",
            "occurred_at": AT,
            "payload": "{}",
            "status": "delivered",
            "attempts": 1,
            "next_attempt_at": AT,
            "delivered_at": AT,
        }
    ],
    "disabled_targets": [{"name": "risk", "url": "https://risk.example", "at": AT}],
    "audit": [
        {"at": AT, "kind": "alert.firing", "subject": ALERT.id, "detail": {"价": [1, 2.5, None]}},
        {"at": AT + 1, "kind": "delivery.attempt", "subject": "risk", "detail": {}},
    ],
    "tokens": [{"name": "ana", "role": "act", "digest": "d" * 64, "created_at": AT}],
    "sessions": [{"digest": "e" * 64, "token_id": 1, "created_at": AT, "expires_at": AT + 1}],
    "acknowledgements": [{"alert_id": ALERT.id, "at": AT, "by": "Ana", "comment": "seen"}],
    "silences": [
        {
            "alert_id": ALERT.id,
            "topic": ALERT.topic,
            "at": AT,
            "until": AT + 1,
            "by": "Ana",
            "comment": "",
        }
    ],
    "corrections": [
        {
            "at": AT,
            "document_id": "d1",
            "text": "Acme falls",
            "topic": "watch:acme",
            "old": "negative",
            "new": "neutral",
            "by": "Ana",
            "comment": "",
        }
    ],
    "pushes": [{"who": "ana", "key": "k", "digest": "f" * 64, "at": AT, "ids": ["d1"]}],
    "forgotten": [{"digest": "a" * 64, "at": AT}],
}


@pytest.fixture
def empty(any_url: str) -> Iterator[Engine]:
    engine = open_engine(any_url)
    yield engine
    engine.dispose()


def at_revision(engine: Engine, revision: str) -> None:
    """The tables of that version, as ``upgrade`` made them then, with a few rows."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    tables = reflected(engine)
    with engine.begin() as connection:
        previous = GENESIS
        for table in tables.sorted_tables:
            for number, row in enumerate(ROWS.get(table.name, ()), 1):
                if table.name == "audit" and "hash" in table.c:
                    at = NOON.replace(microsecond=number - 1)
                    told = (row["kind"], row["subject"], row["detail"])
                    chained = entry(number, at, *told, previous)
                    previous = chained["hash"]
                    row = {**row, "previous": chained["previous"], "hash": previous}
                connection.execute(table.insert().values(row))


def reflected(engine: Engine) -> sa.MetaData:
    found = sa.MetaData()
    found.reflect(engine)
    return found


def contents(engine: Engine, tables: sa.MetaData) -> dict[str, list[dict[str, Any]]]:
    """All rows, in the columns that these tables have."""
    with engine.connect() as connection:
        return {
            name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for name, table in tables.tables.items()
            if name != "alembic_version"
        }


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_survive_the_upgrade_from_each_version(empty: Engine, revision: str) -> None:
    at_revision(empty, revision)
    then = reflected(empty)
    before = contents(empty, then)
    assert all(before[name] for name in before if name in ROWS)
    if revision != REVISIONS[-1]:
        with pytest.raises(SchemaError, match=f"at schema {revision}.*: barograph db upgrade"):
            require(empty)
    upgrade(empty)
    upgrade(empty)
    require(empty)
    assert contents(empty, then) == before
    assert set(reflected(empty).tables) - {"alembic_version"} == set(metadata.tables)
    # What is in it can be read and added to by the present code.
    assert [found.id for found in list_alerts(empty)] == [ALERT.id]
    history = find_alert(empty, ALERT.id)
    assert history is not None
    assert list(history.transitions) == [ALERT]
    assert document_sums(empty, "class:") == {3600: WINDOW.documents}
    checked = check(entries(empty))
    assert (checked.fault, checked.rows) == (None, len(ROWS["audit"]))


def test_there_are_rows_for_every_table() -> None:
    """Whoever adds a table adds a row that must survive what comes after it."""
    assert set(ROWS) == set(metadata.tables)


def test_the_command_says_what_it_did_and_what_it_cannot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/any.db"
    config = tmp_path / "settings.yaml"
    config.write_text(json.dumps({"database_url": url}))
    engine = open_engine(url)
    at_revision(engine, REVISIONS[0])
    assert barograph(monkeypatch, "db", "upgrade", "-c", str(config)) == 0
    assert capsys.readouterr().out == "the database is up to date\n"
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'from_next_year'"))
    assert barograph(monkeypatch, "db", "upgrade", "-c", str(config)) == 1
    assert capsys.readouterr().err == (
        "barograph: the database is at schema from_next_year, which this version of Barograph does "
        "not know: a newer version has upgraded it; start that version, or restore a backup\n"
    )
    engine.dispose()
