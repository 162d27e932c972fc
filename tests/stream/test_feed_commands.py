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


WRONG = {
    "- just words": "must be a mapping with id, type and source",
    "- {type: rss, url: 'http://a.example'}": "id is missing; add it",
    "- {id: twice, type: rss, url: 'http://a.example'}\n  - {id: twice, type: rss}": (
        "the id is that of line {before}; give it another"
    ),
    "- {id: '!', type: rss, url: 'http://a.example'}": "id: use 1 to 64 letters",
    "- {id: no-type, url: 'http://a.example'}": "type is missing; it is one of file, http-json",
    "- {id: pigeon, type: pigeon}": "type 'pigeon' is none of file, http-json",
    "- {id: no-url, type: rss}": "url is missing; add it",
    "- {id: ftp, type: rss, url: 'ftp://a.example'}": "url must begin with http:// or https://",
    "- {id: typo, type: rss, urll: a, url: 'http://a.example'}": "unknown key urll; this type",
    "- {id: again, type: rss, url: 'http://a.example', url: 'http://b.example'}": (
        "key url is there twice; leave one out"
    ),
    "- {id: soon, type: rss, url: 'http://a.example', interval: soon}": (
        "interval: say it in seconds, or as 30s, 5m, 2h or 1d"
    ),
    "- {id: kind, type: rss, url: 'http://a.example', kind: gossip}": "kind: Input should be",
    "- {id: lang, type: rss, url: 'http://a.example', lang: English}": (
        "lang: use a tag such as en or zh-Hans"
    ),
    "- {id: packed, type: file, path: a.jsonl.gz}": "send it with barograph send",
    "- {id: ending, type: file, path: a.txt}": "ends neither in .jsonl nor in .csv; add format",
    "- {id: folder, type: file, path: none/a.csv}": "is not there; make it",
    "- {id: fields, type: file, path: a.csv, fields: {title: t}}": "fields must say where text",
    "- {id: zone, type: file, path: a.csv, zone: Mars}": "zone: name a time zone such as",
    "- {id: since, type: http-json, url: 'http://a.example', since: {path: a}}": (
        "since needs a param"
    ),
    "- {id: deep, type: http-json, url: 'http://a.example', paging: {path: a, prm: b}}": (
        "unknown key paging.prm; paging takes param, path"
    ),
    "- {id: token, type: sse, url: 'http://a.example', headers: {A: '${NOT_THERE}'}}": (
        "headers name ${{NOT_THERE}}, and the environment has no such variable"
    ),
    "- {id: kafka, type: kafka, bootstrap: 'b:1', topic: t, security: {sasl: PLAIN}}": (
        "security: sasl needs username and password"
    ),
}
"""An entry, and what is said of it."""


def test_each_kind_of_problem_is_told_with_its_line_all_at_once(monkeypatch, tmp_path, capsys):
    path = tmp_path / "feeds.yaml"
    fine = "- {id: fine, type: rss, url: 'http://fine.example'}"
    path.write_text("feeds:\n" + "".join(f"  {entry}\n" for entry in [fine, *WRONG]))
    assert barograph(monkeypatch, "feed", "check", str(path)) == 1
    shown = capsys.readouterr()
    told = shown.out.splitlines()
    lines = path.read_text().splitlines()
    number = 2
    expected = []
    for entry, says in WRONG.items():
        number += entry.count("\n") + 1
        expected.append((number, says.format(before=number - 1)))
    # What is wrong with the second of the two is told once: that its id is taken.
    assert len(told) == len(expected)
    for line, (number, says) in zip(told, expected, strict=True):
        assert line.startswith(f"line {number}, feed "), lines[number - 1]
        assert says in line
    assert f"{len(WRONG)} problems in {path}" in shown.err


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
