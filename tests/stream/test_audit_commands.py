"""``barograph audit``: what it prints, writes, and its status."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import sqlalchemy as sa

from alerts.schema import upgrade
from alerts.store import open_engine, put_audit
from tests.alerts.examples import NOON
from tests.stream.test_cli import barograph


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Settings with a database that holds three rows."""
    url = f"sqlite:///{tmp_path}/audit.db"
    upgrade(url)
    engine = open_engine(url)
    for number in range(3):
        with engine.begin() as connection:
            put_audit(connection, NOON, "test", "subject", {"n": number})
    engine.dispose()
    path = tmp_path / "settings.yaml"
    path.write_text(f"database_url: {url}\n")
    return str(path)


def test_an_export_verifies_until_someone_changes_it(monkeypatch, config, tmp_path: Path, capsys):
    file = tmp_path / "audit.jsonl"
    assert barograph(monkeypatch, "audit", "export", "--output", str(file), "-c", config) == 0
    told = capsys.readouterr().err
    assert told.startswith("3 rows, head ")
    head = told.split()[-1]
    assert [path.name for path in tmp_path.glob("audit.jsonl*")] == ["audit.jsonl"]

    assert barograph(monkeypatch, "audit", "verify", str(file), "--expect", head) == 0
    assert f"head {head}" in capsys.readouterr().out
    assert barograph(monkeypatch, "audit", "verify", "--expect", head, "-c", config) == 0

    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2]))
    assert barograph(monkeypatch, "audit", "verify", str(file)) == 0
    assert barograph(monkeypatch, "audit", "verify", str(file), "--expect", head) == 1
    assert "missing from the end" in capsys.readouterr().err

    file.write_text("".join([lines[0], lines[1].replace("subject", "object")]))
    assert barograph(monkeypatch, "audit", "verify", str(file)) == 1
    error = capsys.readouterr().err
    assert error == (
        "barograph: the chain is broken after 1 good rows: "
        "line 2 is no row as it was exported: edited\n"
    )


def test_rows_are_printed_and_read_from_a_pipe(monkeypatch, config, capsys):
    assert barograph(monkeypatch, "audit", "export", "-c", config) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3
    monkeypatch.setattr("sys.stdin", io.StringIO(shown.out))
    assert barograph(monkeypatch, "audit", "verify", "-") == 0


def test_a_file_that_is_not_there_is_one_line(monkeypatch, tmp_path: Path, capsys):
    assert barograph(monkeypatch, "audit", "verify", str(tmp_path / "none.jsonl")) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", [("audit", "verify"), ("deliveries", "list")])
def test_a_database_of_another_version_is_not_changed(monkeypatch, tmp_path: Path, capsys, command):
    config = tmp_path / "settings.yaml"
    config.write_text(f"database_url: sqlite:///{tmp_path}/new.db\n")
    assert barograph(monkeypatch, *command, "-c", str(config)) == 1
    assert "has no tables" in (error := capsys.readouterr().err)
    assert error.endswith("barograph db upgrade\n")
    engine = open_engine(f"sqlite:///{tmp_path}/new.db")
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
