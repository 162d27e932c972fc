"""Files of JSON lines or CSV that grow, followed like ``tail -F`` with the position kept."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Annotated, Literal, cast

from pydantic import Field

from stream.feeds.base import Batch, Beside, Cursor, Duration, Item, Source, SourceError
from stream.feeds.mapping import MappedOptions, mapped, mapped_json
from stream.feeds.tail import Lines, Position, end_of, new_lines
from stream.rows import source_of

LONGEST_ROW = 1_000_000
"""Bytes of a row of CSV after which its quotes are taken to be wrong."""


class FileOptions(MappedOptions):
    """A feed of ``type: file``."""

    path: Beside
    format: Literal["jsonl", "csv"] | None = None
    """default: as the name ends"""
    begin: Literal["start", "end"] = "start"
    """where a file begins that was never read"""
    interval: Annotated[Duration, Field(gt=0, le=86400)] = 1.0

    def problems(self) -> Sequence[str]:
        found = list(super().problems())
        if not self.path.parent.is_dir():
            found.append(f"the folder of path, {self.path.parent}, is not there; make it")
        elif self.path.is_dir():
            found.append(f"path {self.path} is a folder; name a file")
        if self.path.suffix in (".gz", ".zst", ".bz2", ".xz"):
            found.append("a packed file does not grow; send it with barograph send")
        elif self.format_of_rows is None:
            found.append("the name of path ends neither in .jsonl nor in .csv; add format")
        return found

    @property
    def format_of_rows(self) -> str | None:
        """The format that is said or follows from the name."""
        endings = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
        return self.format or endings.get(self.path.suffix)


class FileSource(Source):
    """A file's rows, as they are written."""

    Options = FileOptions

    def default_source(self) -> str:
        options = cast(FileOptions, self.options)
        return options.source or source_of(options.path)

    async def read(self, cursor: Cursor) -> AsyncIterator[Batch]:
        options = cast(FileOptions, self.options)
        if cursor.get("path") != str(options.path):
            try:
                cursor = await asyncio.to_thread(self._first)
            except OSError as error:
                raise SourceError("connection", f"{options.path}: {error.strerror}") from None
            # Where the end was must be known even if nothing is written until a restart.
            yield Batch((), cursor)
        try:
            reading = new_lines(options.path, _position(cursor))
            while (lines := await asyncio.to_thread(next, reading, None)) is not None:
                batch = self._batch(lines, cursor)
                cursor = batch.cursor
                yield batch
        except OSError as error:
            raise SourceError("connection", f"{options.path}: {error.strerror}") from None

    def _first(self) -> Cursor:
        """Where to begin in a file that was never read."""
        options = cast(FileOptions, self.options)
        cursor: Cursor = {"path": str(options.path), "header": None}
        if options.begin == "end" and options.path.is_file():
            cursor.update(asdict(end_of(options.path)))
            if options.format_of_rows == "csv":
                with options.path.open("rb") as file:
                    cursor["header"] = _cells(file.readline())
        return cursor

    def _batch(self, lines: Lines, cursor: Cursor) -> Batch:
        options = cast(FileOptions, self.options)
        cursor = {**cursor, **asdict(lines.after)}
        bad = ["the file was rotated away before it was read to its end"] if lines.lost else []
        if lines.begins:
            cursor |= {"header": None, "open": ""}
        items: list[Item] = []
        row = bytes.fromhex(cursor.get("open", ""))
        for offset, line in lines.lines:
            row += line
            # A cell in quotes may hold line ends: the row ends where the quotes are closed.
            if options.format_of_rows == "csv" and row.count(b'"') % 2 and len(row) < LONGEST_ROW:
                continue
            try:
                items += self._items(row, cursor)
            except (ValueError, csv.Error) as error:
                bad.append(f"{options.path.name} at byte {offset}: {error}")
            row = b""
        cursor["open"] = row.hex()
        return Batch(items, cursor, bad)

    def _items(self, row: bytes, cursor: Cursor) -> list[Item]:
        """The item of a row, if it has one; the header of a CSV is noted in the cursor."""
        options = cast(FileOptions, self.options)
        if not row.strip():
            return []
        if options.format_of_rows == "jsonl":
            return [Item(mapped_json(row.removeprefix(b"\xef\xbb\xbf"), options))]
        cells = _cells(row)
        if cursor["header"] is None:
            cursor["header"] = cells
            return []
        pairs = zip(cursor["header"], cells, strict=False)
        return [Item(mapped({name: cell for name, cell in pairs if name and cell}, options))]


def _cells(line: bytes) -> list[str]:
    text = line.decode("utf-8-sig", "replace")
    return next(csv.reader(io.StringIO(text, newline="")), [])


def _position(cursor: Cursor) -> Position:
    return Position(
        str(cursor.get("inode", "")), int(cursor.get("offset", 0)), str(cursor.get("mark", ""))
    )
