from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from alerts.baseline import SLOTS
from stream.slices import Mark, Progress, Read
from stream.tally import MAX_PAUSE, MAX_SOURCES, Tally
from stream.windows import HOUR
from tests.stream.factories import DAY0

MEMORY = 1344
FIRST = DAY0 // HOUR


def tally() -> Tally:
    return Tally(0, lambda source: source != "other's", MEMORY)


def batch(*read: Read, sources: tuple[str, ...] = ("wire", "blog", "other's")) -> Progress:
    return Progress({0: Mark(DAY0, 0.0)}, read, sources)


@st.composite
def reads(draw: st.DrawFn) -> list[Read]:
    """Documents of two partitions within three hours, each partition in its order."""
    offsets = [0, 0]
    found = []
    for _ in range(draw(st.integers(1, 30))):
        partition = draw(st.integers(0, 1))
        topics = draw(st.integers(1, 3))
        time = DAY0 + draw(st.integers(0, 3 * HOUR - 1))
        made = Read(partition, offsets[partition], time, draw(st.integers(0, 2)), topics, 1)
        offsets[partition] += 1
        found.append(made)
    return found


@given(st.data())
def test_a_document_counts_once_however_batches_are_cut_and_repeated(data):
    documents = data.draw(reads())
    whole, cut = tally(), tally()
    whole.take(batch(*documents), 0)
    done = 0
    while done < len(documents):
        start = data.draw(st.integers(0, done))
        end = data.draw(st.integers(done + 1, len(documents)))
        cut.take(batch(*documents[start:end]), 0)
        done = end
    assert cut.to_json() == whole.to_json()
    assert sum(hour.counted for hour in whole.open.values()) == sum(d.topics for d in documents)


def test_an_hour_holds_topics_and_sources_by_its_parts() -> None:
    made = tally()
    made.take(batch(Read(0, 0, DAY0 + 10, 0, 3, 2), Read(0, 1, DAY0 + 3599, 2, 1, 1)), 0)
    hour = made.open[FIRST]
    assert hour.counted == 4
    assert hour.negative == [2, *[0] * (SLOTS - 2), 1]
    assert +hour.sources == {"wire": 1}
    assert made.sources.keys() == {"wire"}


def test_an_hour_that_is_learned_is_not_opened_again() -> None:
    made = tally()
    made.take(batch(Read(0, 0, DAY0 + 10, 0, 1, 0)), 0)
    made.learn(FIRST)
    made.take(batch(Read(0, 1, DAY0 + 20, 0, 1, 0), Read(0, 2, DAY0 + HOUR, 1, 1, 0)), FIRST + 1)
    assert made.open.keys() == {FIRST + 1}
    assert made.pool.baseline.hours == 1
    assert made.sources.keys() == {"wire", "blog"}


def test_a_source_learns_the_hours_it_is_silent_in() -> None:
    made = tally()
    made.take(batch(Read(0, 0, DAY0 + 10, 0, 1, 0)), 0)
    made.learn(FIRST)
    made.pass_silence(FIRST + 5)
    assert made.sources["wire"].baseline.hours == 5
    assert made.pool.baseline.hours == 1


def test_silence_is_passed_no_further_than_an_open_hour() -> None:
    made = tally()
    made.take(batch(Read(0, 0, DAY0, 0, 1, 0), Read(0, 1, DAY0 + 3 * HOUR, 0, 1, 0)), 0)
    made.learn(FIRST)
    made.pass_silence(FIRST + 6)
    assert made.sources["wire"].learned_to == FIRST + 3
    made.learn(FIRST + 3)
    made.pass_silence(FIRST + 6)
    assert made.sources["wire"].baseline.hours == 6


def test_a_source_is_given_up_after_two_weeks_and_found_anew() -> None:
    made = tally()
    made.take(batch(Read(0, 0, DAY0, 0, 1, 0)), 0)
    made.learn(FIRST)
    made.pass_silence(FIRST + MAX_PAUSE + 2)
    assert made.sources == {}
    assert all("wire" not in key for key, _ in made.learned())
    later = DAY0 + (MAX_PAUSE + 9) * HOUR
    made.take(batch(Read(0, 1, later, 0, 1, 0)), 0)
    assert made.sources["wire"].heard == later


def test_sources_are_bounded() -> None:
    made = tally()
    names = tuple(f"s{n}" for n in range(MAX_SOURCES + 5))
    made.take(batch(*(Read(0, n, DAY0, n, 1, 0) for n in range(len(names))), sources=names), 0)
    assert len(made.sources) == MAX_SOURCES


def test_states_come_back() -> None:
    made = tally()
    made.take(batch(Read(0, 0, DAY0, 0, 1, 1), Read(1, 4, DAY0 + HOUR, 1, 2, 0)), 0)
    made.learn(FIRST)
    own, states = json.loads(json.dumps([made.to_json(), dict(made.learned())]))
    assert states.keys() == {"@pool|0", "@source|wire", "@source|blog"}
    again = tally()
    again.restore(own, states)
    again.learn(FIRST + 1)
    made.learn(FIRST + 1)
    assert again.to_json() == made.to_json()
    assert dict(again.learned()) == dict(made.learned())
