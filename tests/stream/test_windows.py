from __future__ import annotations

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.baseline import Forecast
from alerts.records import Window
from alerts.spikes import Sources
from stream.panes import PANE, Pane, pane_of
from stream.slices import WEIGHT, Entry
from stream.windows import ALIGNED, DAY, HORIZON, HOUR, RETENTION, TRAILING, TopicWindows
from tests.stream.factories import DAY0, entry

STEPS = (0, 1, 30, 60, 299, 300, 901, 3_599, 3_600, 20_000, 86_400, 90_000, 90_061, 100_000)


@st.composite
def entry_lists(draw: st.DrawFn) -> list[Entry]:
    """Entries of one topic, times in any order over a few days."""
    times = st.sampled_from(STEPS).flatmap(
        lambda step: st.integers(-60, 60).map(lambda near: DAY0 + 2 * DAY + step + near)
    )
    return [
        entry(
            0,
            offset,
            draw(times),
            draw(st.integers(0, 2)),
            named=draw(st.sampled_from("ABC")),
            source=draw(st.sampled_from("xyz")),
            weight=draw(st.sampled_from([WEIGHT, WEIGHT, 0, 500, 2 * WEIGHT])),
            negative=draw(st.sampled_from([None, None, True, False])),
        )
        for offset in range(draw(st.integers(0, 20)))
    ]


def owned(entries: list[Entry]) -> set[tuple[str, int]]:
    """Stories and the panes that own them: none of the horizon before holds the same."""
    held = {(e.story, pane_of(e.time)) for e in entries if e.weight}
    return {
        (story, pane)
        for story, pane in held
        if not any(s == story and pane - HORIZON <= p < pane for s, p in held)
    }


def sums(entries: list[Entry], start: int, end: int) -> dict[str, float]:
    """What the window ``[start, end)`` holds, recomputed from nothing but the entries."""
    inside = [e for e in entries if start <= pane_of(e.time) < end]
    negative = [e for e in entries if e.tells_negative]
    new, others = owned(negative), owned([e for e in entries if not e.tells_negative])
    total = sum(e.sentiment * e.weight for e in inside)
    weight = sum(e.weight for e in inside)
    return {
        "documents": len(inside),
        "negative": sum(e.label == 0 for e in inside),
        "stories": sum(start <= pane < end for _, pane in [*new, *others]),
        "negative_stories": sum(start <= pane < end for _, pane in new),
        "mean_sentiment": round(total / (10_000 * weight), 6) if weight else 0.0,
    }


def trailing_sums(entries: list[Entry], end: int) -> dict[int, dict[str, float]]:
    return {seconds: sums(entries, end - seconds, end) for seconds in TRAILING}


def trailing(windows: TopicWindows) -> dict[int, dict[str, float]]:
    return {seconds: vars(counts) for seconds, counts in windows.trailing().items()}


def check_aligned(windows: list[Window], entries: list[Entry]) -> None:
    for window in windows:
        start, end = int(window.start.timestamp()), int(window.end.timestamp())
        inside = [e for e in entries if start <= e.time < end]
        found = window.model_dump()
        expected = sums(entries, start, end)
        assert {name: found[name] for name in expected} == expected
        assert window.neutral == sum(e.label == 1 for e in inside)
        assert window.positive == sum(e.label == 2 for e in inside)
        assert window.sources == len({e.source for e in inside if e.weight})
        assert window.revision == window.documents


def nothing(_time: int) -> None:
    return None


@given(entry_lists())
def test_aligned_windows_are_the_sums_of_their_entries(entries):
    windows = TopicWindows("t")
    newest: dict[tuple[int, float], Window] = {}
    for done, found in enumerate(entries, 1):
        assert windows.add(found) == pane_of(found.time)
        for window in windows.changed(nothing):
            newest[window.seconds, window.start.timestamp()] = window
        check_aligned(list(newest.values()), entries[:done])
    expected = {(s, float(e.time - e.time % s)) for e in entries for s in ALIGNED}
    assert newest.keys() == expected
    assert windows.changed(nothing) == []


@given(entry_lists(), st.integers(0, 1_600), st.integers(0, 1_600))
def test_what_is_in_so_far_is_what_would_have_been_closed(entries, closed, further):
    windows = TopicWindows("t")
    for found in entries:
        windows.add(found)
    windows.close(DAY0 + DAY + PANE * closed)
    before = windows.trailing()
    end = DAY0 + DAY + PANE * (closed + further)
    ahead = windows.ahead(end)
    sources = {seconds: windows.negative_sources(seconds, end) for seconds in TRAILING}
    evidence = {seconds: windows.evidence(seconds, 5, end) for seconds in TRAILING}
    assert windows.trailing() == before
    windows.close(end)
    assert ahead == windows.trailing()
    assert sources == {seconds: windows.negative_sources(seconds) for seconds in TRAILING}
    assert evidence == {seconds: windows.evidence(seconds, 5) for seconds in TRAILING}


@given(st.data())
def test_trailing_windows_are_the_sums_of_their_entries_late_ones_too(data):
    entries = data.draw(entry_lists())
    windows = TopicWindows("t")
    border = DAY0 + 2 * DAY
    for done, found in enumerate(entries, 1):
        windows.add(found)
        if data.draw(st.booleans()):
            border += PANE * data.draw(st.sampled_from([0, 1, 4, 16, 59, 600, 1_439, 1_440, 1_501]))
            windows.close(border)
        if windows.closed_to is not None:
            assert trailing(windows) == trailing_sums(entries[:done], border)
            negative = [e for e in entries[:done] if e.tells_negative and e.weight]
            for seconds in TRAILING:
                held = {e.source for e in negative if border - seconds <= pane_of(e.time) < border}
                assert windows.negative_sources(seconds).distinct == len(held)


@given(st.data())
def test_stored_panes_in_any_order_give_the_same_windows(data):
    entries = data.draw(entry_lists())
    border = DAY0 + 2 * DAY + data.draw(st.sampled_from(STEPS)) // PANE * PANE
    windows = TopicWindows("t")
    for found in entries:
        windows.add(found)
    windows.close(border)
    stored = [(start, json.dumps(pane.to_json())) for start, pane in windows.panes.items()]
    restored = TopicWindows("t")
    for start, record in data.draw(st.permutations(stored)):
        restored.restore(start, Pane.from_json(json.loads(record)))
    restored.close(border)
    assert restored.changed(nothing) == windows.changed(nothing)
    assert trailing(restored) == trailing(windows)
    for seconds in TRAILING:
        assert restored.evidence(seconds, 5) == windows.evidence(seconds, 5)
        assert restored.negative_sources(seconds) == windows.negative_sources(seconds)
    assert [restored.add(found) for found in entries] == [None] * len(entries)


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_running_sums_hold_over_days_of_expiry(seed):
    """A week in which windows become final and panes expire, with late entries throughout."""
    chance = random.Random(seed)
    windows, entries, final, newest = TopicWindows("t"), [], {}, {}
    watermark = DAY0 + 10 * DAY
    for offset in range(60):
        watermark += chance.choice([60, 600, HOUR, 5 * HOUR, 20 * HOUR])
        late = chance.choice([0, 0, 60, HOUR, 10 * HOUR, HORIZON])
        found = entry(0, offset, watermark - late, chance.randrange(3), chance.choice("ABCDE"), "s")
        windows.add(found)
        entries.append(found)
        windows.close(watermark - watermark % PANE)
        assert trailing(windows) == trailing_sums(entries, watermark - watermark % PANE)
        for window in windows.changed(nothing):
            key = window.seconds, window.start.timestamp()
            assert key not in final, "a final window was touched"
            newest[key] = window
        hour = watermark - watermark % HOUR
        for window in windows.finish(hour, nothing):
            assert window.final
            assert window.end.timestamp() + HORIZON <= hour
            final[window.seconds, window.start.timestamp()] = window
        for start in windows.expire(hour):
            assert start + RETENTION < hour
    check_aligned(list({**newest, **final}.values()), entries)
    assert all(start + RETENTION >= hour for start in windows.panes)


def test_windows_add_up():
    chance = random.Random(5)
    windows = TopicWindows("t")
    for offset in range(400):
        time = DAY0 + chance.randrange(DAY)
        windows.add(entry(0, offset, time, chance.randrange(3), f"{chance.randrange(50)}", "s"))
    found = windows.changed(nothing)
    for name in ("documents", "stories", "negative_stories", "negative", "neutral", "positive"):
        by_length = {
            seconds: sum(getattr(w, name) for w in found if w.seconds == seconds)
            for seconds in ALIGNED
        }
        assert len(set(by_length.values())) == 1, name
    day = [window for window in found if window.seconds == DAY]
    assert sum(window.negative_stories for window in day) == 50
    assert sum(window.stories for window in day) == 2 * 50  # each is told either way


def test_a_window_carries_what_was_expected_of_it_at_its_start():
    windows = TopicWindows("t")
    windows.add(entry(time=DAY0 + HOUR + 10))
    sizes, rest = (1.0, 1.0, 1.0, 1.0), (0.25, 0.05)
    known = {
        DAY0: Forecast(12.0, 12.0, 288.0, 12.0, sizes, *rest),
        DAY0 + HOUR: Forecast(24.0, 24.0, 576.0, 24.0, sizes, *rest),
    }
    expected = {
        w.seconds: w.expected_negative_stories for w in windows.changed(lambda time: known[time])
    }
    assert expected == {300: 2.0, HOUR: 24.0, DAY: 12.0 * 24}


def test_a_change_of_expectation_publishes_what_begins_later():
    windows = TopicWindows("t")
    windows.add(entry(time=DAY0 + 10))
    windows.add(entry(offset=1, time=DAY0 + HOUR + 10))
    windows.changed(nothing)
    windows.expect(DAY0 + HOUR)
    starts = {w.start.timestamp() for w in windows.changed(nothing)}
    assert starts == {DAY0 + HOUR}


def test_closing_backwards_does_nothing():
    windows = TopicWindows("t")
    windows.add(entry(time=DAY0 + 10))
    windows.close(DAY0 + 120)
    before = trailing(windows)
    windows.close(DAY0 + 60)
    assert windows.closed_to == DAY0 + 120
    assert trailing(windows) == before


def test_before_the_first_close_there_is_nothing_to_test():
    windows = TopicWindows("t")
    windows.add(entry(label=0))
    assert windows.negative_sources(HOUR) == Sources(0, 0)
    assert windows.evidence(HOUR, 5) == []
    assert windows.trailing()[HOUR].documents == 0


def test_an_author_has_one_voice_and_a_source_one_for_each_story() -> None:
    windows = TopicWindows("t")
    told = [("@a", "one"), ("@a", "two"), ("@a", "two"), ("@a", "three"), ("@b", "four")]
    told += [("wire", f"w{n}") for n in range(6)]
    for offset, (source, named) in enumerate(told):
        time = DAY0 + 60 * offset
        windows.add(entry(offset=offset, time=time, label=0, named=named, source=source))
    windows.close(DAY0 + HOUR)
    assert windows.negative_sources(HOUR) == Sources(3, 2 + 6)


def test_a_story_told_on_both_sides_counts_on_each_and_never_twice_on_one():
    windows = TopicWindows("t")
    for offset, label in enumerate([2, 0, 2, 0, 1]):
        windows.add(entry(0, offset, DAY0 + PANE * offset, label, "told", f"source {offset}"))
    (day,) = (window for window in windows.changed(nothing) if window.seconds == DAY)
    assert (day.documents, day.stories, day.negative_stories) == (5, 2, 1)
