"""What a chain of hashes must show: any edited, missing, added or moved row."""

from __future__ import annotations

import json
import math
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.chain import GENESIS, Checked, check, digest, entry, line
from tests.alerts.examples import NOON

Row = dict[str, Any]
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(-1e9, 1e9)
DETAILS = st.dictionaries(st.text(max_size=5), VALUES | st.lists(VALUES, max_size=2), max_size=3)
HASH = st.text("0123456789abcdef", min_size=64, max_size=64)


def chained(details: list[Row], gaps: list[int]) -> list[Row]:
    """Rows in due form; ids may leave some out, as those of a database do."""
    rows: list[Row] = []
    number, previous = 0, GENESIS
    for detail, gap in zip(details, gaps, strict=True):
        number += gap
        at = NOON + timedelta(microseconds=number)
        rows.append(entry(number, at, "test", f"s{number}", detail, previous))
        previous = rows[-1]["hash"]
    return rows


@st.composite
def chains(draw: st.DrawFn, at_least: int = 1) -> list[Row]:
    details = draw(st.lists(DETAILS, min_size=at_least, max_size=6))
    gaps = draw(st.lists(st.integers(1, 3), min_size=len(details), max_size=len(details)))
    return chained(details, gaps)


def rehashed(row: Row) -> Row:
    return {**row, "hash": digest(row)}


@st.composite
def tampered(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """A chain, and what became of it after one change by someone who can compute hashes."""
    rows = draw(chains(at_least=2))
    at = draw(st.integers(0, len(rows) - 1))
    row = rows[at]
    how = draw(st.sampled_from(["edit", "delete", "insert", "swap"]))
    if how == "delete":
        return rows, rows[:at] + rows[at + 1 :]
    if how == "swap":
        other = draw(st.integers(0, len(rows) - 1).filter(lambda i: i != at))
        changed = list(rows)
        changed[at], changed[other] = changed[other], changed[at]
        return rows, changed
    key = draw(st.sampled_from(["id", "at", "kind", "subject", "detail", "previous", "hash"]))
    value = draw(
        {"id": st.integers(0, 30), "detail": DETAILS, "previous": HASH, "hash": HASH}.get(
            key, st.text(max_size=5)
        )
    )
    new = {**row, key: value}
    if key != "hash" and draw(st.booleans()):
        new = rehashed(new)
    if how == "insert":
        place = draw(st.integers(0, len(rows)))
        return rows, [*rows[:place], new, *rows[place:]]
    return rows, [*rows[:at], new, *rows[at + 1 :]]


@given(chains(at_least=0))
def test_what_was_written_is_good(rows: list[Row]) -> None:
    head = rows[-1]["hash"] if rows else GENESIS
    assert check(rows) == check(map(line, rows)) == Checked(len(rows), head)
    for row in rows:
        assert check(rows, row["hash"]).fault is None
    assert check(rows, head, grows=False).fault is None


@given(tampered())
def test_any_change_is_found(change: tuple[list[Row], list[Row]]) -> None:
    rows, changed = change
    if list(map(line, changed)) == list(map(line, rows)):
        return
    head = rows[-1]["hash"]
    assert check(changed, head, grows=False).fault is not None
    assert check(map(line, changed), head, grows=False).fault is not None
    # Without the head only what comes before the last row is safe from who computes hashes.
    if changed[-1] == rows[-1]:
        assert check(changed).fault is not None


@given(chains(), st.data())
def test_no_byte_of_an_export_can_be_changed(rows: list[Row], data: st.DataObject) -> None:
    lines = [line(row) for row in rows]
    at = data.draw(st.integers(0, len(lines) - 1))
    where = data.draw(st.integers(0, len(lines[at]) - 1))
    new = data.draw(st.characters().filter(lambda c: c != lines[at][where]))
    lines[at] = lines[at][:where] + new + lines[at][where + 1 :]
    assert check(lines, rows[-1]["hash"]).fault is not None


def rows(count: int = 4) -> list[Row]:
    return chained([{"n": n} for n in range(count)], [1] * count)


def test_the_first_row_that_is_wrong_is_named() -> None:
    good = rows()
    edited = {**good[1], "kind": "other"}
    for broken, says in [
        ([good[0], edited, *good[2:]], "row 2 was edited: its hash"),
        ([good[0], rehashed(edited), *good[2:]], "row 2 was edited or put in: row 3"),
        ([good[0], *good[2:]], "missing, or were moved, between row 1 and row 3"),
        (good[1:], "missing, or were moved, between the beginning and row 2"),
        ([good[0], good[2], good[1], good[3]], "between row 1 and row 3"),
        ([*good, good[1]], "row 2 was put in or moved: it comes after row 4"),
        ([good[0], {**good[1], "hash": ""}], "row 2 was put in without a hash"),
    ]:
        fault = check(broken).fault
        assert fault is not None
        assert says in fault


def test_a_cut_off_end_is_seen_by_the_head_that_was_noted() -> None:
    good = rows()
    assert check(good[:3]).fault is None
    fault = check(good[:3], good[3]["hash"]).fault
    assert fault is not None
    assert "missing from the end" in fault
    assert check(good, good[2]["hash"]).fault is None
    fault = check(good, good[2]["hash"], grows=False).fault
    assert fault is not None
    assert "added after" in fault


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nul", '{"id":1}', '{"id":"1"}', "[" * 100_000, '"\udcff"']
)
def test_what_is_no_row_is_named_by_its_line(text: str) -> None:
    good = [line(row) for row in rows(2)]
    found = check([*good, text])
    assert (found.rows, found.fault) == (2, "line 3 is no row as it was exported: edited")


def test_other_words_for_the_same_row_are_an_edit() -> None:
    (row,) = rows(1)
    for text in (json.dumps(row), line(row) + " ", line(row).replace('"n":0', '"n":0.0')):
        assert check([text]).fault is not None


def test_a_row_can_be_checked_by_anyone() -> None:
    row = entry(
        7, NOON.astimezone(timezone(timedelta(hours=9))), "k", "é", {"b": [1.5], "a": None}, GENESIS
    )
    assert row["at"] == "2025-03-04T12:00:00.000000Z"
    text = (
        '{"at":"2025-03-04T12:00:00.000000Z","detail":{"a":null,"b":[1.5]},"id":7,"kind":"k",'
        f'"previous":"{GENESIS}","subject":"\\u00e9"}}'
    )
    import hashlib

    assert row["hash"] == hashlib.sha256(text.encode()).hexdigest()


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError):
        entry(1, NOON, "k", "s", {"x": math.nan}, GENESIS)
