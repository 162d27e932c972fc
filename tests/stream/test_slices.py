from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.slices import (
    Mark,
    Progress,
    Read,
    Slice,
    Tick,
    decode,
    encode,
    partition_of,
    slices_of,
)
from tests.stream.factories import DAY0, entry


@pytest.mark.parametrize(
    "message",
    [
        Slice("watch:茅台", (entry(1, 2, label=0, named="跌"), entry(1, 3))),
        Slice("class:macro", ()),
        Slice("class:macro", (entry(label=1, negative=True), entry(label=0, negative=False))),
        Slice("class:macro", (entry(weight=500), entry(weight=500, negative=True))),
        Progress({0: Mark(DAY0, 1.5)}, (Read(0, 7, DAY0, 1, 2, 1),), ("wire", "路透")),
        Progress({0: Mark(DAY0, 1.5), 11: Mark(3, 4.25)}),
        Tick(12.5),
    ],
)
def test_a_message_comes_back_as_it_was(message):
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        b"[]",
        b"1",
        b"null",
        b"{}",
        b'{"topic": "a"}',
        b'{"topic": "a", "entries": [[1]]}',
        b'{"topic": "a", "entries": 7}',
        b'{"progress": [], "read": [], "sources": []}',
        b'{"progress": {"x": [1, 2]}, "read": [], "sources": []}',
        b'{"progress": {"0": [1]}, "read": [], "sources": []}',
        b'{"progress": {}, "read": [[0, 1, 2, 0, 1, 0]], "sources": []}',
        b'{"progress": {}, "hours": []}',
        b'{"tick": null}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_message_is_a_value_error(value):
    with pytest.raises(ValueError):
        decode(value)


def test_a_topic_stays_on_its_partition():
    assert partition_of("class:macro", 4) == partition_of("class:macro", 4)
    assert partition_of("anything", 1) == 0
    assert {partition_of(f"watch:{n}", 4) for n in range(100)} == {0, 1, 2, 3}


@given(st.lists(st.sampled_from("abc")))
def test_entries_are_grouped_by_topic_in_their_order(topics):
    entries = [(topic, entry(offset=n)) for n, topic in enumerate(topics)]
    slices = slices_of(entries)
    assert [s.topic for s in slices] == list(dict.fromkeys(topics))
    for found in slices:
        assert found.entries == tuple(e for topic, e in entries if topic == found.topic)
