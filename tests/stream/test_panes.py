from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evidence import evidence_of
from stream.panes import MAX_SOURCES, MAX_STORIES, PANE, Pane, Told, pane_of
from stream.slices import WEIGHT, Entry
from tests.stream.factories import DAY0, SENTIMENT_OF, entry, story


@st.composite
def source_logs(draw: st.DrawFn) -> list[list[Entry]]:
    """Entries of one minute, by source partition, in the order of their offsets."""
    logs = []
    for partition in range(draw(st.integers(1, 3))):
        log = []
        for offset in range(draw(st.integers(0, 6))):
            label = draw(st.integers(0, 2))
            time = DAY0 + draw(st.integers(0, 59))
            found = entry(
                partition,
                offset,
                time,
                label,
                named=draw(st.sampled_from("ABCDEF")),
                source=draw(st.sampled_from("xyz")),
                weight=draw(st.sampled_from([0, 250, WEIGHT, WEIGHT, 3 * WEIGHT])),
                negative=draw(st.sampled_from([None, None, True, False])),
            )
            if found.tells_negative:
                # A document sent twice has one identity in two places.
                identity = draw(st.sampled_from(["a", "b", f"{partition}-{offset}"]))
                negative = draw(st.sampled_from([0.6, 0.8, 0.95]))
                text = evidence_of(identity, f"{partition}/{offset}", None, "s", time, negative)
                found = found._replace(evidence=text)
            log.append(found)
        logs.append(log)
    return logs


def interleaved(draw: st.DrawFn, logs: list[list[Entry]], repeats: bool) -> list[Entry]:
    """Some order that keeps each partition's own; a partition may be read again from anywhere."""
    positions = [0] * len(logs)
    reread = 3 if repeats else 0
    result = []
    while True:
        open_logs = [i for i, log in enumerate(logs) if positions[i] < len(log)]
        if not open_logs:
            return result
        which = draw(st.sampled_from(open_logs))
        result.append(logs[which][positions[which]])
        positions[which] += 1
        if reread and draw(st.booleans()):
            reread -= 1
            positions[which] = draw(st.integers(0, positions[which]))


def pane(entries: list[Entry]) -> Pane:
    made = Pane()
    for found in entries:
        made.add(found)
    return made


@given(st.data())
def test_no_interleaving_and_no_repeat_changes_the_record(data):
    logs = data.draw(source_logs())
    plain = pane([found for log in logs for found in log])
    mixed = pane(interleaved(data.draw, logs, repeats=True))
    assert json.dumps(mixed.to_json()) == json.dumps(plain.to_json())
    assert plain.documents == sum(len(log) for log in logs)


@given(st.data())
def test_a_stored_pane_goes_on_where_it_was(data):
    logs = data.draw(source_logs())
    entries = interleaved(data.draw, logs, repeats=True)
    cut = data.draw(st.integers(0, len(entries)))
    stored = json.dumps(pane(entries[:cut]).to_json())
    restored = Pane.from_json(json.loads(stored))
    assert json.dumps(restored.to_json()) == stored
    for found in entries[cut:]:
        restored.add(found)
    assert restored == pane(entries)


def test_a_repeat_is_told_and_changes_nothing():
    made = pane([entry(offset=4, label=0)])
    before = json.dumps(made.to_json())
    assert not made.add(entry(offset=4, label=0, named="other"))
    assert not made.add(entry(offset=3, label=2, named="other"))
    assert json.dumps(made.to_json()) == before
    assert made.add(entry(partition=1, offset=3))


@pytest.mark.parametrize("letter", ["a", "跌", "\U0001f4c9", "\x01", '"'])
def test_a_record_stays_small_under_a_flood_of_any_script(letter):
    made = Pane()
    partitions, documents = 16, 6_000
    for number in range(documents):
        partition, offset = number % partitions, 10**11 + number
        label = number % 3
        evidence = None
        if label == 0:
            name = f"{number}" + letter * 3000
            evidence = evidence_of(
                name, name, f"https://{name[:480]}", name, DAY0 + 59, number / documents
            ) | {"weight": 0.123}
        made.add(
            Entry(
                partition,
                offset,
                DAY0 + 59,
                label,
                SENTIMENT_OF[label],
                story(f"{number}"),
                f"{number:08x}",
                evidence,
                123,
            )
        )
    assert len(json.dumps(made.to_json()).encode()) < 16 * 1024
    assert made.documents == documents
    assert made.sentiment == sum(SENTIMENT_OF) * documents // 3
    assert len(made.negative_stories) == MAX_STORIES
    assert len(made.other_stories) == MAX_STORIES
    assert len(made.negative_sources) == len(made.other_sources) == MAX_SOURCES
    assert len(made.evidence) == 3


def test_negative_stories_are_what_tells_one_whatever_its_label():
    made = pane(
        [
            entry(offset=0, label=1, named="leaning", negative=True),
            entry(offset=1, label=0, named="unsure", negative=False),
            entry(offset=2, label=0, named="plain"),
        ]
    )
    assert made.counts == [2, 1, 0]
    assert set(made.negative_stories) == {story("leaning"), story("plain")}
    assert made.other_stories == {story("unsure")}


def test_a_flood_of_neutral_texts_hides_no_negative_one():
    made = pane([entry(offset=n, named=f"n{n}") for n in range(1000)])
    made.add(entry(offset=1000, label=0, named="bad"))
    assert made.negative_stories == {story("bad"): Told("source", 1)}
    assert [item["story"] for item in made.evidence] == [story("bad")]


def test_evidence_is_the_most_negative_one_a_story():
    made = Pane()
    for offset, (name, negative) in enumerate(
        [("A", 0.7), ("A", 0.9), ("B", 0.8), ("C", 0.6), ("D", 0.95), ("A", 0.5)]
    ):
        text = evidence_of(f"{offset}", "text", None, "s", DAY0, negative)
        made.add(entry(offset=offset, label=0, named=name, evidence=text))
    assert [(item["story"], item["negative"]) for item in made.evidence] == [
        (story("D"), 0.95),
        (story("A"), 0.9),
        (story("B"), 0.8),
    ]


@given(st.integers(0, 2**40))
def test_a_pane_holds_its_time(time):
    start = pane_of(time)
    assert start % PANE == 0
    assert start <= time < start + PANE
