"""``barograph feed check``: what it says, and its status."""

from __future__ import annotations

from pathlib import Path

from tests.stream.feeds.test_rss import item, rss
from tests.stream.feeds.web import web_server
from tests.stream.test_cli import barograph


def test_check_tells_every_problem(monkeypatch, tmp_path: Path, capsys):
    path = tmp_path / "feeds.yaml"
    path.write_text("feeds:\n  - {id: a, type: rss}\n  - {id: b, type: x}\n")
    assert barograph(monkeypatch, "feed", "check", str(path)) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("line 2, feed a: url is missing; add it\nline 3, feed b: ")
    assert shown.err.startswith("barograph: 2 problems in ")
    assert barograph(monkeypatch, "feed", "run", str(path)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_try_reads_each_feed_once_and_keeps_nothing(monkeypatch, tmp_path: Path, capsys):
    path = tmp_path / "feeds.yaml"
    with web_server() as web:
        web.answer("/feed", rss(item(2), item(1)))
        line = '  - {{id: {}, type: rss, url: "{}/{}", internal: true}}\n'
        path.write_text("feeds:\n" + line.format("a", web.url, "feed"))
        assert barograph(monkeypatch, "feed", "check", str(path)) == 0
        assert web.requests == []
        assert barograph(monkeypatch, "feed", "check", str(path), "--try") == 0
        shown = capsys.readouterr().out
        assert "feed a: 2 documents  2026-03-04T12:28:07+00:00  Corvane cuts" in shown
        with path.open("a") as file:
            file.write(line.format("b", web.url, "none"))
        assert barograph(monkeypatch, "feed", "check", str(path), "--try") == 1
        assert "feed b: status: the server answers 404" in capsys.readouterr().out
    assert [found.name for found in tmp_path.iterdir()] == ["feeds.yaml"]


def test_a_broker_that_is_not_there_is_said_so(monkeypatch, tmp_path: Path, capsys):
    path = tmp_path / "feeds.yaml"
    path.write_text("feeds: [{id: a, type: rss, url: 'http://a.example'}]")
    assert barograph(monkeypatch, "feed", "run", str(path), "-b", "127.0.0.1:1") == 1
    assert "no Kafka broker answers" in capsys.readouterr().err
