from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from stream.slices import Mark
from stream.watermarks import BEAT, NEVER, Watermark

Step = dict[int, Mark] | float
"""Marks by partition, or a tick."""


@st.composite
def logs(draw: st.DrawFn) -> list[Step]:
    """Batches of two partitions and ticks; the clocks of two workers differ a little."""
    steps: list[Step] = []
    now = 1_000.0
    for _ in range(draw(st.integers(0, 12))):
        now += draw(st.sampled_from([0, 1, 5, 9, 10, 11, 61, 500]))
        clock = now - draw(st.sampled_from([0, 0, 2]))
        if draw(st.integers(0, 3)) == 0:
            steps.append(clock)
        else:
            partitions = draw(st.sets(st.integers(0, 1), min_size=1))
            steps.append(
                {p: Mark(int(now) - draw(st.integers(-300, 4000)), clock) for p in partitions}
            )
    return steps


def watermark(partitions: int = 2) -> Watermark:
    return Watermark(partitions, lateness=30, idle_after=60)


def beat(mark: Watermark, start: float, end: float) -> None:
    """Ticks as a running worker writes them where nothing else is written, up to ``end``."""
    now = start
    while now < end:
        now = min(now + BEAT, end)
        mark.tick(now)


def take(mark: Watermark, step: Step) -> int:
    if isinstance(step, dict):
        mark.progress(step)
    else:
        mark.tick(step)
    return mark.value


@given(logs())
def test_it_never_falls(steps):
    mark = watermark()
    values = [take(mark, step) for step in steps]
    assert values == sorted(values)


@given(logs())
def test_a_log_read_twice_gives_the_same_values(steps):
    one, other = watermark(), watermark()
    assert [take(one, step) for step in steps] == [take(other, step) for step in steps]


@given(logs(), st.integers(0, 12))
def test_a_restored_one_goes_on_as_if_nothing_had_been(steps, cut):
    whole, first, second = watermark(), watermark(), watermark()
    expected = [take(whole, step) for step in steps]
    done = [take(first, step) for step in steps[:cut]]
    second.restore(json.loads(json.dumps(first.to_json())))
    assert done + [take(second, step) for step in steps[cut:]] == expected
    assert second.to_json() == whole.to_json()


def test_the_clock_of_a_tick_survives_a_restart():
    """The next batch may be stamped by another machine, whose clock is a second behind."""
    mark, restored = watermark(), watermark()
    mark.progress({0: Mark(5_000, 1_000.0), 1: Mark(1_000, 1_000.0)})
    beat(mark, 1_000.0, 1_059.0)
    mark.progress({0: Mark(6_000, 1_059.0)})
    mark.tick(1_061.0)
    restored.restore(json.loads(json.dumps(mark.to_json())))
    for one in (mark, restored):
        one.progress({0: Mark(7_000, 1_060.0)})
    assert restored.value == mark.value == 7_000 - 30


@given(logs(), st.integers(0, 12))
def test_messages_delivered_anew_change_nothing(steps, start):
    mark = watermark()
    for step in steps:
        take(mark, step)
    state = mark.to_json()
    for step in steps[start:]:
        take(mark, step)
    assert mark.to_json() == state


def test_it_waits_for_every_partition():
    mark = watermark()
    mark.progress({0: Mark(5_000, 100.0)})
    assert mark.value == NEVER
    mark.progress({1: Mark(4_000, 101.0)})
    assert mark.value == 4_000 - 30


def test_it_waits_for_no_partition_longer_than_idle_after():
    mark = watermark()
    mark.progress({0: Mark(5_000, 100.0)})
    beat(mark, 100.0, 155.0)
    mark.progress({0: Mark(5_060, 160.0)})
    assert mark.value == NEVER
    mark.progress({0: Mark(5_061, 161.0)})
    assert mark.value == 5_061 - 30


def test_the_slowest_live_partition_decides():
    mark = watermark()
    mark.progress({0: Mark(9_000, 100.0), 1: Mark(1_000, 100.0)})
    assert mark.value == 1_000 - 30
    beat(mark, 100.0, 155.0)
    mark.progress({0: Mark(9_100, 160.0)})
    assert mark.value == 1_000 - 30
    mark.progress({0: Mark(9_200, 161.0)})
    assert mark.value == 9_200 - 30, "partition 1 has been silent for more than idle_after"


def test_ticks_move_it_once_all_are_idle():
    mark = watermark()
    mark.progress({0: Mark(9_000, 100.0), 1: Mark(8_000, 110.0)})
    beat(mark, 110.0, 170.0)
    assert mark.value == 8_000 - 30
    mark.tick(171.0)
    assert mark.value == 9_000 + 71 - 30
    beat(mark, 171.0, 300.0)
    assert mark.value == 9_000 + 200 - 30


def test_after_an_outage_the_first_partition_read_does_not_leave_the_others_behind():
    """A worker is away for an hour; the backlog of partition 0 happens to be read first."""
    mark = watermark()
    mark.progress({0: Mark(9_000, 9_000.0), 1: Mark(9_000, 9_000.0)})
    mark.progress({0: Mark(10_000, 12_600.0)})
    mark.tick(12_601.0)
    assert mark.value == 9_000 - 30
    mark.progress({1: Mark(9_500, 12_602.0)})
    assert mark.value == 9_500 - 30


def test_after_an_outage_it_soon_follows_the_clock_of_a_feed_that_is_silent():
    mark = watermark()
    mark.progress({0: Mark(9_000, 9_000.0), 1: Mark(9_000, 9_000.0)})
    beat(mark, 12_600.0, 12_650.0)
    assert mark.value == 9_000 - 30
    beat(mark, 12_650.0, 12_660.0)
    assert mark.value == 12_660 - 30


def test_a_late_partition_does_not_bring_it_back():
    mark = watermark(1)
    mark.progress({0: Mark(9_000, 100.0)})
    mark.progress({0: Mark(5_000, 101.0)})
    assert mark.value == 9_000 - 30


def test_ticks_alone_say_nothing_of_event_time():
    mark = watermark()
    mark.tick(1e9)
    mark.tick(2e9)
    assert mark.value == NEVER
