"""``barograph forget``: what it says, asks, and its status."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from alerts.schema import upgrade
from alerts.store import list_alerts, open_engine, put_alert
from stream.authors import digest
from stream.broker import free_port
from tests.alerts.examples import alert, evidence
from tests.stream.test_cli import barograph


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Settings with a database that holds an alert, and no Kafka."""
    url = f"sqlite:///{tmp_path}/forget.db"
    upgrade(url)
    engine = open_engine(url)
    ana = digest("ana", b"barograph")
    with engine.begin() as connection:
        put_alert(connection, alert(evidence=(evidence(1, author=ana), evidence(2))))
    engine.dispose()
    path = tmp_path / "settings.yaml"
    path.write_text(
        f"database_url: {url}\nkafka: {{bootstrap: '127.0.0.1:{free_port()}'}}\n"
        "retention: {topics: {documents: 36h}}\n"
    )
    return str(path)


def shown(config: str) -> list[str]:
    engine = open_engine(f"sqlite:///{Path(config).parent}/forget.db")
    found = [story.id for one in list_alerts(engine) for story in one.evidence]
    engine.dispose()
    return found


@pytest.mark.parametrize(
    "wanted", [("--document", "story-1"), ("--author", "ana")], ids=["document", "author"]
)
def test_a_dry_run_says_what_would_go(monkeypatch, config, capsys, wanted):
    assert barograph(monkeypatch, "forget", *wanted, "--dry-run", "-c", config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{wanted[0][2:]} {wanted[1]}: 1 alerts, 1 alert_transitions"
    assert "barograph.documents 36h, barograph.scored 7d" in lines[1]
    assert shown(config) == ["story-1", "story-2"]


def test_it_asks_first(monkeypatch, config, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert barograph(monkeypatch, "forget", "--document", "story-1", "-c", config) == 1
    assert "Forget this for good?" in capsys.readouterr().out
    assert shown(config) == ["story-1", "story-2"]


def test_without_kafka_it_is_half_done_and_says_so(monkeypatch, config, capsys):
    arguments = ("forget", "--author", "ana", "--yes", "-c", config)
    for line in ("author ana: 1 alerts", "author ana: no rows, forgotten on 2"):
        assert barograph(monkeypatch, *arguments) == 1
        told = capsys.readouterr()
        assert told.out.startswith(line)
        assert "forgotten in the database, but not on Kafka: no Kafka broker answers" in told.err
        assert "run the same command again" in told.err
        assert shown(config) == ["story-2"]
    assert barograph(monkeypatch, "audit", "verify", "-c", config) == 0


def test_what_is_not_there_is_said_and_nothing_is_changed(monkeypatch, config, capsys):
    both = ("forget", "--document", "story-2", "--document", "nowhere", "--yes", "-c", config)
    assert barograph(monkeypatch, *both) == 1
    assert "the database knows no document nowhere: nothing was changed" in capsys.readouterr().err
    assert shown(config) == ["story-1", "story-2"]


@pytest.mark.parametrize("arguments", [(), ("--document", ""), ("--author", "")])
def test_nothing_to_forget_is_wrong_usage(monkeypatch, config, capsys, arguments):
    assert barograph(monkeypatch, "forget", *arguments, "-c", config) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
