"""The lines of a file that grows, across truncation and rotation.

The position is kept with a fingerprint of what stands before it. Where that is no longer there,
the file is another one; the rest of the old one is looked for beside it, under any name.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

MARK = 256
"""Bytes before the position that the fingerprint covers."""

CHUNK = 1_000_000
"""Bytes read at once, and of the longest line that is one."""


@dataclass(frozen=True)
class Position:
    """How far a file has been read."""

    inode: str = ""
    offset: int = 0
    mark: str = ""


@dataclass(frozen=True)
class Lines:
    """Whole lines, where each of them begins, and the position after them."""

    lines: list[tuple[int, bytes]]
    after: Position
    begins: bool
    """whether they stand at the beginning of a file"""
    lost: bool = False
    """whether a file that was not read to its end is nowhere to be found"""


def new_lines(path: Path, position: Position) -> Iterator[Lines]:
    """The lines after a position, at most ``CHUNK`` bytes at once.

    A last line without an end is taken only once its file has been rotated away: until then more
    of it may come. A file that is not there has no lines.

    Raises:
        OSError: it cannot be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        if _continues(file, position):
            yield from _rest(file, position, closed=False)
            return
        fresh = Position(_inode(file), 0, "")
        if position.inode:
            old = _old_file(path, position)
            if old is not None:
                with old:
                    yield from _rest(old, position, closed=True)
            # What is truncated in place was meant to be forgotten.
            lost = old is None and position.inode != fresh.inode
            yield Lines([], fresh, begins=False, lost=lost)
        yield from _rest(file, fresh, closed=False)


def end_of(path: Path) -> Position:
    """The position after the last whole line there is now."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(end - CHUNK, 0)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                return _at(file, begin + found + 1)
            end = begin
        return Position(_inode(file), 0, "")


def _rest(file: IO[bytes], position: Position, closed: bool) -> Iterator[Lines]:
    offset = position.offset
    while True:
        file.seek(offset)
        chunk = file.read(CHUNK)
        whole = chunk.rfind(b"\n") + 1
        if not whole and (len(chunk) == CHUNK or (closed and chunk)):
            whole = len(chunk)
        if not whole:
            return
        lines: list[tuple[int, bytes]] = []
        at = offset
        for line in _split(chunk[:whole]):
            lines.append((at, line))
            at += len(line)
        begins = offset == 0
        offset += whole
        yield Lines(lines, _at(file, offset), begins)


def _split(chunk: bytes) -> Iterator[bytes]:
    """Lines with their ends; only a newline ends one."""
    at = 0
    while at < len(chunk):
        end = chunk.find(b"\n", at) + 1 or len(chunk)
        yield chunk[at:end]
        at = end


def _at(file: IO[bytes], offset: int) -> Position:
    return replace(Position(_inode(file), offset), mark=_mark(file, offset))


def _inode(file: IO[bytes]) -> str:
    status = os.fstat(file.fileno())
    return f"{status.st_dev}:{status.st_ino}"


def _mark(file: IO[bytes], offset: int) -> str:
    begin = max(offset - MARK, 0)
    file.seek(begin)
    found = file.read(offset - begin)
    return hashlib.sha256(found).hexdigest()[:32] if len(found) == offset - begin else ""


def _continues(file: IO[bytes], position: Position) -> bool:
    """Whether a file is the one that the position is in, as far as it was read."""
    if position.offset == 0:
        return _inode(file) == position.inode
    return _mark(file, position.offset) == position.mark


def _old_file(path: Path, position: Position) -> IO[bytes] | None:
    """The file that was read before, renamed or copied."""
    for other in sorted(path.parent.glob(f"{glob.escape(path.stem)}*")):
        if other == path or not other.is_file():
            continue
        try:
            file = other.open("rb")
        except OSError:
            continue
        if _continues(file, position):
            return file
        file.close()
    return None
