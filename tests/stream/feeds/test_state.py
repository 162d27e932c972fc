from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stream.feeds.state import State, StateError
from tests.servers import ROOT


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path):
    path = tmp_path / "feeds.state.db"
    state = State(path)
    assert state.cursor("a") == {}
    state.keep("a", {"etag": "1"}, ["x", "half \ud800 a pair"])
    state.keep("a", {"etag": "2"}, ["x", "y"])
    state.stop("b", "http://b.example", "gone")
    state.close()
    state = State(path)
    assert state.cursor("a") == {"etag": "2"}
    assert [state.known("a", key) for key in ("x", "y", "half \ud800 a pair", "z")] == [
        True,
        True,
        True,
        False,
    ]
    assert not state.known("b", "x")
    assert state.stopped("b", "http://b.example") == "gone"
    assert state.stopped("b", "http://other.example") is None
    assert path.stat().st_mode & 0o077 == 0
    state.close()


def test_a_second_process_is_refused(tmp_path: Path):
    path = tmp_path / "feeds.state.db"
    state = State(path)
    program = "import sys; from pathlib import Path; from stream.feeds.state import State; "
    done = subprocess.run(
        [sys.executable, "-c", program + "State(Path(sys.argv[1]))", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    state.close()
    assert "another barograph feed run has feeds.state.db" in done.stderr
    State(path).close()


def test_what_is_no_state_is_said_so_and_left(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but notes that someone wants to keep " * 20)
    before = path.read_bytes()
    with pytest.raises(StateError, match="notes.txt"):
        State(path)
    assert path.read_bytes() == before
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StateError, match="version 99"):
        State(newer)
    with pytest.raises(StateError, match="cannot write"):
        State(tmp_path / "none" / "state.db")
