from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import floats, integers

from stream.feeds.pace import LONGEST_WAIT, back_off, interval

chances = floats(0, 1)


@given(integers(1, 10_000), chances, floats(0, 86_400))
def test_a_wait_is_bounded_and_never_sooner_than_asked(failures, chance, asked):
    wait = back_off(failures, chance, asked)
    assert asked <= wait <= max(LONGEST_WAIT, asked * 1.1)
    assert wait >= 0.5


def test_waits_grow_and_intervals_vary():
    assert [back_off(n, 0) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert [back_off(n, 1) for n in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert (interval(100, 0), interval(100, 0.5), interval(100, 1)) == (90, 100, 110.00000000000001)
