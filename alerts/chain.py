"""The chain of hashes over the audit rows: whoever edits, cuts or adds a row breaks it. Pure.

Each row names the hash of the row before (``previous``) and carries its own (``hash``): the SHA-256
of its canonical JSON, all keys but ``hash``. So a row's hash speaks for all rows before it, and
whoever has noted the newest one, the head, can later tell that nothing before it has changed.
After Haber and Stornetta, How to time-stamp a digital document, J. Cryptology 3 (1991), 99-111.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64
"""What the first row names as the hash before it."""

KEYS = ("id", "at", "kind", "subject", "detail", "previous", "hash")
"""The keys of a row, in the order of an exported line."""


def entry(
    number: int, at: datetime, kind: str, subject: str, detail: Mapping[str, Any], previous: str
) -> dict[str, Any]:
    """A row with its hash.

    Raises:
        ValueError: the detail holds what JSON cannot, such as NaN.
    """
    row = {
        "id": number,
        "at": moment(at),
        "kind": kind,
        "subject": subject,
        "detail": detail,
        "previous": previous,
    }
    return {**row, "hash": digest(row)}


def moment(at: datetime) -> str:
    """A time as it stands in a row: RFC 3339 in UTC, always with six decimals."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def digest(row: Mapping[str, Any]) -> str:
    """The hash of a row, whatever its key ``hash`` says now; 64 hexadecimal digits."""
    content = {key: value for key, value in row.items() if key != "hash"}
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def canonical(value: Any) -> str:
    """The one JSON text of a value: keys in order, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def line(row: Mapping[str, Any]) -> str:
    """A row as a line of an export, without its end: a row has one such text and no other."""
    ordered = {key: row[key] for key in KEYS}
    ordered["detail"] = json.loads(canonical(row["detail"]))
    return json.dumps(ordered, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found.

    ``fault`` says what is wrong at the first row that is, None if nothing; ``rows`` are those
    before it, and ``head`` is the hash of the last of them.
    """

    rows: int
    head: str
    fault: str | None = None


def check(
    rows: Iterable[Mapping[str, Any] | str], expect: str | None = None, *, grows: bool = True
) -> Checked:
    """Follow the chain to its end or to the first row that breaks it.

    Args:
        rows: in their order; a text is a line of an export, which must be as it was written.
        expect: a head noted earlier, which must still be the hash of one of the rows. Without it
            rows cut off from the end, or added to it in due form, are not seen.
        grows: rows may have come since the head was noted; else it must be the last one's.
    """
    head, last, count, met = GENESIS, 0, 0, expect in (None, GENESIS)
    for position, given in enumerate(rows, 1):
        row = _parsed(given) if isinstance(given, str) else given
        if row is None:
            return Checked(count, head, f"line {position} is no row as it was exported: edited")
        if (fault := _fault(row, head, last)) is not None:
            return Checked(count, head, fault)
        head, last, count = row["hash"], row["id"], count + 1
        met = met or head == expect
    if not met:
        fault = "rows are missing from the end, or were written anew: none has the hash"
        return Checked(count, head, f"{fault} {expect}")
    if not grows and expect not in (None, head):
        return Checked(count, head, f"rows were added after the one with the hash {expect}")
    return Checked(count, head)


def _fault(row: Mapping[str, Any], head: str, last: int) -> str | None:
    """What is wrong with a row that comes after row ``last``, whose hash is ``head``."""
    number = row["id"]
    if not row["hash"]:
        return f"row {number} was put in without a hash, perhaps by a version that knows none"
    if row["hash"] != digest(row):
        return f"row {number} was edited: its hash is not that of what it says"
    if row["previous"] == head:
        return None if number > last else f"row {number} was put in after row {last}"
    if number <= last:
        return f"row {number} was put in or moved: it comes after row {last}"
    if number == last + 1 and last:
        return f"row {last} was edited or put in: row {number} follows upon another"
    before = f"row {last}" if last else "the beginning"
    return f"rows are missing, or were moved, between {before} and row {number}"


def _parsed(text: str) -> dict[str, Any] | None:
    """The row of a line; None if it is none, or not in the words it was exported in."""
    try:
        row = json.loads(text)
        if isinstance(row, dict) and isinstance(row.get("id"), int) and line(row) == text:
            return row
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
