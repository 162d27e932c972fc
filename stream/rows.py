"""Rows of a file as documents: JSON lines or CSV, gzip-compressed or not.

Lenient on purpose, so that public data sets can be sent and replayed as they are. What cannot be
read as a document is handed on as it stands: it becomes a dead letter with its reason, and is
neither lost nor in the way.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

MAX_TITLE = 1000
MAX_CSV_FIELD = 8 * 2**20
PROGRESS_LINES = 500
GONE = ("", "[removed]", "[deleted]")
"""Bodies of posts that say nothing."""

STDIN = Path("-")


class RowsError(Exception):
    """A file cannot be read (further); the message says where and why."""


class Row(NamedTuple):
    """A row as it goes to Kafka."""

    line: int
    value: bytes
    key: bytes | None


def document_row(row: dict[str, Any], default_source: str | None) -> dict[str, Any]:
    """A row in the form of a document.

    Filled in where missing: ``source`` from ``default_source``, else from ``subreddit``;
    ``published_at`` from ``time``; ``tags`` from ``tickers``; and a post's ``text`` becomes the
    title of its ``body``. Other keys stay; the document ignores them.

    Args:
        row: an object of a JSON lines file, or a CSV row whose empty cells were left out.
        default_source: the source of rows that name none.
    """
    row = dict(row)
    if not row.get("source"):
        if default_source:
            row["source"] = default_source
        elif row.get("subreddit"):
            row["source"] = f"reddit/{row['subreddit']}"
    for name, other in (("published_at", "time"), ("tags", "tickers")):
        if row.get(name) is None and row.get(other) is not None:
            row[name] = row[other]
    body = row.pop("body", None)
    if isinstance(body, str) and body.strip() not in GONE:
        text = row.get("text")
        if not text:
            row["text"] = body
        elif not row.get("title") and isinstance(text, str) and len(text) <= MAX_TITLE:
            row["title"], row["text"] = text, body
        else:
            row["text"] = f"{text}\n\n{body}"
    return row


def source_of(path: Path) -> str:
    """What rows are said to come from when neither they nor the user say: the file's name."""
    return "stdin" if path == STDIN else f"file/{path.name.split('.')[0] or path.name}"


def read_rows(path: Path, default_source: str | None = None) -> Iterator[tuple[int, bytes]]:
    """Line numbers and the bytes to be sent; see ``keyed_rows``."""
    return ((row.line, row.value) for row in keyed_rows(path, default_source))


def keyed_rows(
    path: Path,
    default_source: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[Row]:
    """The rows of a file, ``-`` being standard input; blank lines are left out.

    Args:
        path: ``….jsonl`` or ``….csv`` (UTF-8, with a header), each also as ``….gz``.
        default_source: the source of rows that name none; rows without ``subreddit`` then get the
            file's name.
        progress: called now and then with the number of bytes read from the file.

    Raises:
        RowsError: the file cannot be opened, breaks off, or is a CSV without a column ``text``.
    """
    number = 0
    try:
        with _open(path) as raw:
            parse = _csv_rows if ".csv" in path.suffixes else _json_rows
            for number, source, row in parse(_decompressed(raw)):
                yield _row(number, source, row, path, default_source)
                if progress is not None and number % PROGRESS_LINES == 0:
                    progress(raw.tell())
    except OSError as error:
        raise RowsError(f"cannot read {path}: {error.strerror or error}") from None
    except (EOFError, zlib.error, csv.Error) as error:
        raise RowsError(f"{path} breaks off after line {number}: {error}") from None


def _row(
    number: int,
    source: bytes,
    row: dict[str, Any] | None,
    path: Path,
    default_source: str | None,
) -> Row:
    if row is None:
        return Row(number, source, None)
    document = document_row(row, default_source)
    if not document.get("source"):
        document["source"] = source_of(path)
    key = str(document.get("id") or document["source"])
    try:
        value = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return Row(number, value, key.encode())
    except UnicodeEncodeError:  # half a surrogate pair, which is not text
        return Row(number, source, None)


def _open(path: Path) -> IO[bytes]:
    # A copy of standard input's descriptor, so that closing it leaves standard input open.
    return open(sys.stdin.fileno(), "rb", closefd=False) if path == STDIN else path.open("rb")


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    assert isinstance(raw, io.BufferedReader)
    if raw.peek(2)[:2] == b"\x1f\x8b":
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))
    return raw


Parsed = Iterator[tuple[int, bytes, dict[str, Any] | None]]


def _json_rows(stream: IO[bytes]) -> Parsed:
    for number, line in enumerate(stream, start=1):
        line = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if not line:
            continue
        try:
            row = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError):
            row = None
        yield number, line, row if isinstance(row, dict) else None


def _csv_rows(stream: IO[bytes]) -> Parsed:
    csv.field_size_limit(MAX_CSV_FIELD)
    lines = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
    try:
        reader = csv.DictReader(lines)
        if "text" not in (reader.fieldnames or ()):
            raise csv.Error("the first line of a CSV must name a column text")
        for cells in reader:
            row: dict[str, Any] = {name: cell for name, cell in cells.items() if name and cell}
            for name in ("tags", "tickers"):
                if name in row:
                    row[name] = [tag for tag in re.split(r"[\s,;|]+", row[name]) if tag]
            yield reader.line_num, json.dumps(cells).encode(), row
    finally:
        lines.detach()  # the stream is its owner's to close


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
