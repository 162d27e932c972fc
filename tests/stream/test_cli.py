"""The command line: what it answers, and with which status."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import structlog

from stream.cli import main


def barograph(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["barograph", *arguments])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        structlog.reset_defaults()  # it would go on writing where this test's output went
    return 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("send", "no-such-file.jsonl", "-b", "127.0.0.1:1"), 1, "no Kafka broker answers"),
        (("topics", "create", "-b", "127.0.0.1:1"), 1, "no Kafka broker answers"),
        (("worker", "-c", "no-such.yaml"), 2, "cannot read settings no-such.yaml"),
        (("replay", "no-such-file.jsonl"), 1, "no-such-file.jsonl"),
        (("replay", "x.jsonl", "--watchlist", "no-such.yaml"), 2, "cannot read watchlist"),
        (("classify",), 2, "give either texts or --input FILE"),
        (("classify", "a text", "--model", "no-such-folder"), 1, "no model in no-such-folder"),
        (("up", "--once"), 2, "--once needs --demo"),
        (("db", "upgrade", "-c", "bad.yaml"), 2, "setting kafka.partitions"),
        (("db", "upgrade", "-c", "down.yaml"), 1, "cannot be used (setting database_url): "),
        (("no-such-command",), 2, "no-such-command"),
        (("send", "x", "--limit", "0"), 2, "--limit"),
    ],
)
def test_a_mistake_gives_a_line_that_says_what_to_change(
    monkeypatch, tmp_path, capsys, arguments, status, says
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("kafka: {partitions: 0}")
    (tmp_path / "down.yaml").write_text("database_url: postgresql://127.0.0.1:1/none")
    assert barograph(monkeypatch, *arguments) == status
    shown = capsys.readouterr().err
    assert says in shown
    assert "Traceback" not in shown
    if arguments[0] != "no-such-command" and "--limit" not in arguments:  # those come with usage
        assert len(shown.splitlines()) == 1


def test_a_fault_in_the_log_shows_no_texts(monkeypatch, capsys):
    """The usual traceback on a terminal shows the values of variables."""

    def failing():
        text = "Mrs Quillfeather left"
        try:
            raise ValueError(len(text))
        except ValueError:
            structlog.get_logger().exception("failed")

    monkeypatch.setattr("stream.cli.app", failing)
    assert barograph(monkeypatch) == 0
    shown = capsys.readouterr().err
    assert "ValueError: 21" in shown
    assert shown.count("Quillfeather") == 0


def test_tokens_are_made_shown_once_listed_and_revoked(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert barograph(monkeypatch, "tokens", "list") == 0
    assert "barograph tokens create" in capsys.readouterr().out
    assert barograph(monkeypatch, "tokens", "create", "ana", "--role", "act") == 0
    made = capsys.readouterr()
    secret = made.out.strip()
    assert secret.startswith("barograph_")
    assert "nothing shows it again" in made.err
    assert barograph(monkeypatch, "tokens", "create", "ana", "--role", "act") == 1
    assert "revoke it first" in capsys.readouterr().err
    assert barograph(monkeypatch, "tokens", "create", "bo", "--role", "root") == 2
    capsys.readouterr()
    assert barograph(monkeypatch, "tokens", "revoke", "ana") == 0
    assert barograph(monkeypatch, "tokens", "revoke", "ana") == 1
    assert "no token is called ana" in capsys.readouterr().err
    assert barograph(monkeypatch, "tokens", "list") == 0
    listed = capsys.readouterr().out
    assert "revoked" in listed
    assert secret not in listed


def test_the_desk_listens_to_others_only_with_a_token(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr("uvicorn.run", lambda app, **options: started.append(options["host"]))
    monkeypatch.setenv("BAROGRAPH_HTTP__HOST", "0.0.0.0")
    assert barograph(monkeypatch, "desk") == 2
    assert "barograph tokens create" in capsys.readouterr().err
    assert barograph(monkeypatch, "tokens", "create", "ana", "--role", "admin") == 0
    assert barograph(monkeypatch, "desk") == 0
    assert barograph(monkeypatch, "tokens", "revoke", "ana") == 0
    assert barograph(monkeypatch, "desk") == 2
    monkeypatch.setenv("BAROGRAPH_HTTP__HOST", "localhost")
    assert barograph(monkeypatch, "desk") == 0
    assert started == ["0.0.0.0", "localhost"]


def test_feedback_is_exported(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert barograph(monkeypatch, "feedback", "export", "out.jsonl") == 1
    assert "barograph db upgrade" in capsys.readouterr().err
    assert barograph(monkeypatch, "db", "upgrade") == 0
    assert barograph(monkeypatch, "feedback", "export", "out.jsonl") == 0
    assert "0 corrections written to out.jsonl" in capsys.readouterr().out
    assert barograph(monkeypatch, "feedback", "export", "none/out.jsonl") == 1
    assert "none/out.jsonl" in capsys.readouterr().err


def test_help_shows_an_example(monkeypatch, capsys):
    assert barograph(monkeypatch, "send", "--help") == 0
    assert "barograph send posts.jsonl.gz" in capsys.readouterr().out


def test_classify_answers_row_by_row(monkeypatch, tmp_path: Path, capsys):
    rows = [
        {"text": "Shares plunge after profit warning", "n": 1},
        {"text": "  ", "n": 2},
        {"text": "Company raises guidance after record quarter", "n": 3},
    ]
    given, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text("".join(json.dumps(row) + "\n" for row in rows) + "not json\n")
    arguments = ("classify", "--input", str(given), "--output", str(out))
    assert barograph(monkeypatch, *arguments) == 0
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [answer.get("n") for answer in answers] == [1, 2, 3, None]
    assert answers[0]["sentiment"]["label"] == "negative"
    assert answers[1]["error"] == answers[3]["error"] == "no text"
    assert answers[2]["sentiment"]["label"] == "positive"
    assert answers[2]["lang"] == "en"


def test_classify_may_ask_about_one_of_several(monkeypatch, capsys):
    text = "Corvane Energy surges to a record while Dunmere Foods collapses after fraud charges"
    found = {}
    for name in ("Corvane Energy", "Dunmere Foods"):
        assert barograph(monkeypatch, "classify", text, "--target", name) == 0
        found[name] = json.loads(capsys.readouterr().out)["sentiment"]["label"]
    assert found == {"Corvane Energy": "positive", "Dunmere Foods": "negative"}


def test_replay_writes_what_came_of_a_file(monkeypatch, tmp_path: Path, capsys):
    rows = tmp_path / "in.jsonl"
    document = {"text": "Shares plunge", "source": "wire", "published_at": "2024-05-01T10:00:00Z"}
    rows.write_text(json.dumps(document) + "\n" + '{"text": 1}\n')
    out = {name: tmp_path / f"{name}.jsonl" for name in ("scored", "windows", "alerts")}
    options = [word for name, path in out.items() for word in (f"--{name}", str(path))]
    assert barograph(monkeypatch, "replay", str(rows), *options) == 0
    assert "1 documents, 1 dead letters" in capsys.readouterr().out
    scored = json.loads(out["scored"].read_text())
    assert scored["published_at"] == scored["event_time"] == "2024-05-01T10:00:00Z"
    windows = [json.loads(line) for line in out["windows"].read_text().splitlines()]
    assert [w["documents"] for w in windows] == [1, 1, 1]
    assert out["alerts"].read_text() == ""
