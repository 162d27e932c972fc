"""Messages of the slices topic: what a scored batch says of each monitored topic.

Four kinds travel in one log, so that all an aggregator knows comes to it in one order:

* a **slice** holds the batch's entries for one monitored topic;
* a **progress** closes the batch on every partition of the topic: how far each partition of the
  documents topic has come, and a line on each document, for what must be known of all of them;
* a **tick** carries the wall clock when a partition has nothing else to say;
* a **forget** names, by digests, documents and authors that no evidence may show any more.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from alerts.records import ModelName

SCALE = 10_000
"""Sentiment is summed in integers of 1/10000: sums then depend on no order of addition."""


WEIGHT = 1_000
"""What a document of weight 1 weighs: weights too are summed in integers."""

AUTHOR = "@"
"""Begins the hash of an author; one of a source, which many write for, has none."""


class Entry(NamedTuple):
    """What one document says of one topic."""

    partition: int
    """partition of the documents topic"""
    offset: int
    """offset in that partition"""
    time: int
    """event time, seconds since 1970"""
    label: int
    """0 negative, 1 neutral, 2 positive"""
    sentiment: int
    """positive minus negative, in 1/10000"""
    story: str
    source: str
    """short hash of the author, else of the source"""
    evidence: dict[str, Any] | None
    """of a document that tells a negative story, what an alert may show"""
    weight: int = WEIGHT
    """in 1/1000; of 0 it is among the documents, and in no other count"""
    negative: bool | None = None
    """whether it tells a negative story; None: as the label says"""

    @property
    def tells_negative(self) -> bool:
        """Whether it tells a negative story."""
        return self.label == 0 if self.negative is None else self.negative


@dataclass(frozen=True)
class Slice:
    """A batch's entries for one monitored topic, in the order of their offsets."""

    topic: str
    entries: tuple[Entry, ...]
    model: ModelName | None = None
    """what scored them; of an older version's slice it is not known"""


class Mark(NamedTuple):
    """How far one partition of the documents topic has come."""

    newest: int
    """newest event time so far in this batch, seconds"""
    arrived: float
    """wall clock when it was scored, seconds"""


class Read(NamedTuple):
    """A document that was read, as far as it concerns every partition."""

    partition: int
    """partition of the documents topic"""
    offset: int
    """offset in that partition"""
    time: int
    """event time, seconds since 1970"""
    source: int
    """place in the batch's ``sources``"""
    topics: int
    """monitored topics it counts for"""
    negative: int
    """those of which it tells a negative story"""


@dataclass(frozen=True)
class Progress:
    """The end of a batch."""

    marks: Mapping[int, Mark]
    """by partition of the documents topic"""
    read: tuple[Read, ...] = ()
    """of each partition in the order of offsets"""
    sources: tuple[str, ...] = ()

    @cached_property
    def hours(self) -> frozenset[int]:
        """Hours (since 1970) in which the batch had documents."""
        return frozenset(read.time // 3600 for read in self.read)


@dataclass(frozen=True)
class Tick:
    """The wall clock, seconds."""

    now: float


@dataclass(frozen=True)
class Forget:
    """What is to be forgotten, as ``alerts.erasure`` names it."""

    digests: tuple[str, ...]


Message = Slice | Progress | Tick | Forget


def encode(message: Message) -> bytes:
    """The message as compact JSON."""
    data: dict[str, Any]
    match message:
        case Slice(topic, entries, model):
            data = {"topic": topic, "entries": [_shortened(entry) for entry in entries]}
            if model is not None:
                data["model"] = [model.name, model.version]
        case Progress(marks, read, sources):
            data = {"progress": {str(p): mark for p, mark in marks.items()}}
            data |= {"read": read, "sources": sources}
        case Tick(now):
            data = {"tick": now}
        case Forget(digests):
            data = {"forget": digests}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _shortened(entry: Entry) -> tuple[Any, ...]:
    """Less the last fields where they say nothing: older workers read the first eight."""
    if entry.negative is not None:
        return entry
    return entry[:9] if entry.weight != WEIGHT else entry[:8]


def decode(value: bytes) -> Message:
    """The message of these bytes; what a newer version has added to it is passed over.

    Raises:
        ValueError: the bytes are no message of a kind that this version knows.
    """
    try:
        data = json.loads(value)
        if "topic" in data:
            name, version = data.get("model", (None, None))
            model = None if name is None else ModelName(name=name, version=version)
            entries = tuple(Entry(*entry[: len(Entry._fields)]) for entry in data["entries"])
            return Slice(data["topic"], entries, model)
        if "progress" in data:
            heard = data["progress"].items()
            marks = {int(p): Mark(*mark[: len(Mark._fields)]) for p, mark in heard}
            read = tuple(Read(*line[: len(Read._fields)]) for line in data["read"])
            if any(not 0 <= line.source < len(data["sources"]) for line in read):
                raise ValueError("not a slices message: a document of no source")
            return Progress(marks, read, tuple(data["sources"]))
        if "forget" in data:
            return Forget(tuple(str(digest) for digest in data["forget"]))
        return Tick(float(data["tick"]))
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a slices message: {error}") from None


def partition_of(topic: str, partitions: int) -> int:
    """The slices partition that a monitored topic lives on, everywhere and for ever."""
    return zlib.crc32(topic.encode()) % partitions


def slices_of(entries: Iterable[tuple[str, Entry]], model: ModelName | None = None) -> list[Slice]:
    """Entries with their topics, all scored by one model, by topic in the order given."""
    by_topic: dict[str, list[Entry]] = {}
    for topic, entry in entries:
        by_topic.setdefault(topic, []).append(entry)
    return [Slice(topic, tuple(found), model) for topic, found in by_topic.items()]
