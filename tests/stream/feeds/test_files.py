"""Files that grow, are truncated and rotated, as ``tail -F`` follows them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from stream.feeds.base import Cursor, SourceError
from stream.feeds.files import FileOptions
from tests.stream.feeds.reading import read


class Follower:
    """Reads on from the cursor of the time before, which goes through JSON as in the state."""

    def __init__(self, path: Path, **more: Any) -> None:
        self.entry = {"id": "f", "type": "file", "path": str(path), **more}
        self.cursor: Cursor = {}
        self.bad: list[str] = []

    def texts(self) -> list[str]:
        found: list[str] = []
        for batch in read(self.entry, self.cursor):
            self.cursor = json.loads(json.dumps(batch.cursor))
            self.bad += batch.bad
            found += [item.document["text"] for item in batch.items]
        return found


def lines(*texts: str) -> str:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "posts.jsonl"


def test_each_line_once_as_it_is_written(path: Path):
    follower = Follower(path)
    assert follower.texts() == []
    append(path, lines("a", "b"))
    assert follower.texts() == ["a", "b"]
    assert follower.texts() == []
    whole = lines("c")
    append(path, whole[:9])
    assert follower.texts() == []
    append(path, whole[9:] + lines("d"))
    assert follower.texts() == ["c", "d"]


def test_what_is_no_row_is_told_of_and_in_nobodys_way(path: Path):
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\n\nbroken\n[1]\n\xff\xfe\n{"text": "b"}\r\n')
    follower = Follower(path)
    assert follower.texts() == ["a", "b"]
    assert len(follower.bad) == 3
    assert follower.bad[0] == "posts.jsonl at byte 18: not JSON"


def test_truncated_and_written_anew(path: Path):
    follower = Follower(path)
    append(path, lines("a", "b"))
    follower.texts()
    path.write_text(lines("c"))
    assert follower.texts() == ["c"]
    # Longer than before, so that only what stands before the position tells.
    path.write_text(lines("d", "e", "f", "g"))
    assert follower.texts() == ["d", "e", "f", "g"]
    path.write_text("")
    assert follower.texts() == []
    append(path, lines("h"))
    assert follower.texts() == ["h"]
    assert follower.bad == []


def test_renamed_with_a_rest_unread(path: Path):
    follower = Follower(path)
    append(path, lines("a"))
    follower.texts()
    append(path, lines("b") + lines("c").rstrip())
    path.rename(path.with_name("posts.jsonl.1"))
    assert follower.texts() == []
    append(path, lines("d"))
    assert follower.texts() == ["b", "c", "d"]
    append(path, lines("e"))
    assert follower.texts() == ["e"]


def test_renamed_to_a_name_with_a_date(path: Path):
    follower = Follower(path)
    append(path, lines("a"))
    follower.texts()
    append(path, lines("b"))
    path.rename(path.with_name("posts-20260304.jsonl"))
    append(path, lines("c"))
    assert follower.texts() == ["b", "c"]


def test_copied_and_truncated_with_a_rest_unread(path: Path):
    follower = Follower(path)
    append(path, lines("a"))
    follower.texts()
    append(path, lines("b"))
    shutil.copy(path, path.with_name("posts.jsonl.1"))
    os.truncate(path, 0)
    append(path, lines("c"))
    assert follower.texts() == ["b", "c"]


def test_rotated_away_for_good_is_told(path: Path):
    follower = Follower(path)
    append(path, lines("a"))
    follower.texts()
    other = path.with_name("other")
    other.write_text(lines("b"))
    other.rename(path)
    assert follower.texts() == ["b"]
    assert follower.bad == ["the file was rotated away before it was read to its end"]


def test_only_what_is_new(path: Path):
    append(path, lines("old") + lines("half")[:5])
    follower = Follower(path, begin="end")
    follower.texts()
    append(path, lines("half")[5:] + lines("new"))
    assert follower.texts() == ["half", "new"]


def test_csv_with_line_ends_in_cells(tmp_path: Path):
    path = tmp_path / "posts.csv"
    append(path, 'time,text,tickers\n2026-03-04T12:00:00Z,"two\nlines, ""quoted""",A B\n,"ha')
    follower = Follower(path, lang="en")
    assert follower.texts() == ['two\nlines, "quoted"']
    append(path, 'lf"\n,last,\n')
    assert follower.texts() == ["half", "last"]
    path.unlink()
    append(path, "text\nother header\n")
    assert follower.texts() == ["other header"]


def test_csv_from_its_end_keeps_the_header(tmp_path: Path):
    path = tmp_path / "posts.csv"
    append(path, "id,text\n1,old\n")
    follower = Follower(path, begin="end")
    assert follower.texts() == []
    append(path, "2,new\n")
    assert follower.texts() == ["new"]


def test_a_file_larger_than_one_read(path: Path):
    texts = [f"{n} " + "x" * 2000 for n in range(2000)]
    append(path, lines(*texts))
    follower = Follower(path)
    assert follower.texts() == texts
    append(path, lines("last"))
    assert follower.texts() == ["last"]


def test_what_cannot_be_read_is_an_error(tmp_path: Path):
    with pytest.raises(SourceError, match="Not a directory|Is a directory"):
        Follower(tmp_path, format="jsonl").texts()


def test_problems(tmp_path: Path):
    def told(path: str) -> list[str]:
        entry = {"id": "f", "type": "file", "path": path}
        options = FileOptions.model_validate(entry, context={"folder": tmp_path})
        return list(options.problems())

    assert told("posts.csv") == []
    assert "is not there; make it" in told("none/posts.csv")[0]
    assert "is a folder" in told(str(tmp_path))[0]
    assert "barograph send" in told("posts.jsonl.gz")[0]
    assert "add format" in told("posts.txt")[0]
