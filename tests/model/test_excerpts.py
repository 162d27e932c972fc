from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from model.excerpts import MAX_EXCERPTS, Excerpt, Run, around, excerpts, runs

LENGTHS, SIZES, LIMITS = st.integers(0, 5_000), st.integers(1, 600), st.integers(2, 20)


@given(LENGTHS, SIZES, LIMITS)
def test_excerpts_lie_in_the_text_and_are_full(length: int, size: int, limit: int) -> None:
    found = excerpts(length, size, limit)
    assert 1 <= len(found) <= limit
    for excerpt in found:
        assert 0 <= excerpt.start <= excerpt.end <= length
        assert excerpt.end - excerpt.start == min(size, length)
    assert (found[0].start, found[-1].end) == (0, length)


@given(LENGTHS, SIZES, LIMITS)
def test_up_to_the_limit_they_cover_everything_and_share_a_quarter(
    length: int, size: int, limit: int
) -> None:
    found = excerpts(length, size, limit)
    if len(found) < limit:
        assert all(a.end - b.start >= size // 4 for a, b in pairwise(found))
        assert sum(excerpt.own for excerpt in found) == length


@given(LENGTHS, SIZES, LIMITS)
def test_no_fewer_would_do(length: int, size: int, limit: int) -> None:
    found = excerpts(length, size, limit)
    if len(found) > 1:
        assert size + (len(found) - 2) * (size - size // 4) < length


@given(LENGTHS, SIZES, LIMITS)
def test_own_tokens_are_those_that_no_earlier_one_has(length: int, size: int, limit: int) -> None:
    before: set[int] = set()
    for excerpt in excerpts(length, size, limit):
        tokens = set(range(excerpt.start, excerpt.end))
        assert excerpt.own == len(tokens - before)
        before |= tokens


@given(LENGTHS, SIZES, LIMITS)
def test_gaps_are_alike(length: int, size: int, limit: int) -> None:
    starts = [excerpt.start for excerpt in excerpts(length, size, limit)]
    steps = [b - a for a, b in pairwise(starts)]
    assert max(steps, default=0) - min(steps, default=0) <= 1


def test_examples() -> None:
    assert excerpts(10, 10) == [Excerpt(0, 10, 10)]
    assert excerpts(11, 10) == [Excerpt(0, 10, 10), Excerpt(1, 11, 1)]
    assert excerpts(26, 12) == [Excerpt(0, 12, 12), Excerpt(7, 19, 7), Excerpt(14, 26, 7)]
    assert len(excerpts(1_000_000, 100)) == MAX_EXCERPTS


@given(st.integers(1, 2_000), SIZES, st.data())
def test_what_is_read_for_a_mention_holds_it(length: int, size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, length - 1))
    last = data.draw(st.integers(first, min(first + size - 1, length - 1)))
    excerpt = around(length, size, first, last)
    assert 0 <= excerpt.start <= first <= last < excerpt.end <= length
    assert excerpt.end - excerpt.start == min(size, length)


def test_a_mention_in_the_beginning_is_read_with_the_beginning() -> None:
    assert around(1_000, 100, 90, 99) == Excerpt(0, 100, 100)
    assert around(1_000, 100, 95, 100) == Excerpt(48, 148, 100)
    assert around(1_000, 100, 998, 999) == Excerpt(900, 1_000, 100)


# Ids of texts are 1 to 99, those of targets from 100, and special ones are negative.


def pair(text: int, target: int) -> tuple[list[int], list[int | None]]:
    ids = [-1, *range(1, text + 1), -2, *range(100, 100 + target), -3]
    return ids, [None, *[0] * text, None, *[1] * target, None]


def single(text: int) -> tuple[list[int], list[int | None]]:
    return [-1, *range(1, text + 1), -2], [None, *[0] * text, None]


def test_a_short_text_runs_as_it_is() -> None:
    ids, parts = single(8)
    assert runs(ids, parts, 10) == [Run(ids, 1)]


def test_a_long_text_keeps_its_special_tokens_in_every_run() -> None:
    assert runs(*single(20), 12) == [
        Run([-1, *range(1, 11), -2], 10),
        Run([-1, *range(6, 16), -2], 5),
        Run([-1, *range(11, 21), -2], 5),
    ]


def test_a_pair_has_one_run_where_the_target_is_mentioned() -> None:
    ids, parts = pair(30, 2)
    assert runs(ids, parts, 15) == [Run([-1, *range(1, 11), -2, 100, 101, -3], 10)]
    assert runs(ids, parts, 15, (20, 21)) == [Run([-1, *range(16, 26), -2, 100, 101, -3], 10)]


def test_a_long_target_leaves_half_to_the_text() -> None:
    [run] = runs(*pair(30, 40), 20)
    assert run.ids == [-1, *range(1, 10), -2, *range(100, 108), -3]
    [run] = runs(*pair(0, 40), 20)
    assert run.ids == [-1, -2, *range(100, 118)]


@given(st.integers(0, 90), st.integers(0, 60), st.integers(8, 50))
def test_no_run_is_too_long(text: int, target: int, size: int) -> None:
    for ids, parts in (single(text), pair(text, target)):
        assert all(len(run.ids) <= size and run.weight >= 1 for run in runs(ids, parts, size))
