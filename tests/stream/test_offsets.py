"""Offsets may be committed exactly as far as every message before them is done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.offsets import Offsets


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=20),
    st.data(),
)
def test_nothing_is_passed_over_in_whatever_order_work_ends(
    steps: list[int], data: st.DataObject
) -> None:
    offsets: Offsets[str] = Offsets()
    at, messages = 0, []
    for step in steps:  # a log may have holes
        messages.append(offsets.take("p", at))
        at += step
    committed = 0
    for message in data.draw(st.permutations(messages)):
        message.done = True
        committed = offsets.advance().get("p", committed)
        waiting = [m.offset for m in messages if not m.done]
        before = [m.offset for m in messages if not waiting or m.offset < waiting[0]]
        assert committed == (before[-1] + 1 if before else 0)
    assert offsets.next("p") == messages[-1].offset + 1
    assert offsets.advance() == {}


def test_partitions_do_not_wait_for_each_other() -> None:
    offsets: Offsets[int] = Offsets()
    offsets.take(0, 5)
    offsets.take(1, 9).done = True
    assert offsets.advance() == {1: 10}
    assert offsets.next(0) is None


def test_what_was_taken_before_a_rebalance_counts_no_more() -> None:
    offsets: Offsets[int] = Offsets()
    old = offsets.take(0, 7)
    offsets.clear()
    new = offsets.take(0, 3)
    old.done = True
    assert offsets.advance() == {}
    new.done = True
    assert offsets.advance() == {0: 4}
