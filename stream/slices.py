"""Messages of the slices topic: what a scored batch says of each monitored topic.

Three kinds travel in one log, so that all an aggregator knows comes to it in one order:

* a **slice** holds the batch's entries for one monitored topic;
* a **progress** closes the batch on every partition of the topic: how far each partition of the
  documents topic has come, and the hours it had documents in;
* a **tick** carries the wall clock when a partition has nothing else to say.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from alerts.records import Evidence

SCALE = 10_000
"""Sentiment is summed in integers of 1/10000: sums then depend on no order of addition."""


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
    """of a negative document, what an alert may show"""


@dataclass(frozen=True)
class Slice:
    """A batch's entries for one monitored topic, in the order of their offsets."""

    topic: str
    entries: tuple[Entry, ...]


class Mark(NamedTuple):
    """How far one partition of the documents topic has come."""

    newest: int
    """newest event time so far in this batch, seconds"""
    arrived: float
    """wall clock when it was scored, seconds"""


@dataclass(frozen=True)
class Progress:
    """The end of a batch, by partition of the documents topic."""

    marks: Mapping[int, Mark]
    hours: tuple[int, ...]
    """hours (since 1970) in which the batch had documents"""


@dataclass(frozen=True)
class Tick:
    """The wall clock, seconds."""

    now: float


Message = Slice | Progress | Tick


def encode(message: Message) -> bytes:
    """The message as compact JSON."""
    data: dict[str, Any]
    match message:
        case Slice(topic, entries):
            data = {"topic": topic, "entries": entries}
        case Progress(marks, hours):
            data = {"progress": {str(p): mark for p, mark in marks.items()}, "hours": hours}
        case Tick(now):
            data = {"tick": now}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def decode(value: bytes) -> Message:
    """The message of these bytes.

    Raises:
        ValueError: the bytes are no message of this version.
    """
    try:
        data = json.loads(value)
        if "topic" in data:
            return Slice(data["topic"], tuple(Entry(*entry) for entry in data["entries"]))
        if "progress" in data:
            marks = {int(p): Mark(*mark) for p, mark in data["progress"].items()}
            return Progress(marks, tuple(data["hours"]))
        return Tick(float(data["tick"]))
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a slices message: {error}") from None


def partition_of(topic: str, partitions: int) -> int:
    """The slices partition that a monitored topic lives on, everywhere and for ever."""
    return zlib.crc32(topic.encode()) % partitions


def evidence_of(
    identity: str, text: str, url: str | None, source: str, time: int, negative: float
) -> dict[str, Any]:
    """A negative document in little: a pane's record must stay small whatever the texts.

    A stored character takes up to 12 bytes, hence limits in both.
    """
    short = _beginning(text, 200, 1200)
    if short != text:
        short = f"{_beginning(text, 199, 1194)}…"
    return {
        "id": _beginning(identity, 64, 192),
        "text": short,
        "url": url if url is not None and _beginning(url, 500, 500) == url else None,
        "source": _beginning(source, 80, 240),
        "time": time,
        "negative": round(negative, 4),
    }


def _beginning(text: str, characters: int, stored: int) -> str:
    """At most so many characters of the text, and so many bytes of JSON."""
    text = text[:characters]
    if len(json.dumps(text)) - 2 <= stored:
        return text
    size = 0
    for at, character in enumerate(text):
        size += len(json.dumps(character)) - 2
        if size > stored:
            return text[:at]
    return text


def to_evidence(data: Mapping[str, Any]) -> Evidence:
    """The public record of stored evidence."""
    return Evidence.model_validate(data)


def slices_of(entries: Iterable[tuple[str, Entry]]) -> list[Slice]:
    """Entries with their topics, grouped by topic in the order given."""
    by_topic: dict[str, list[Entry]] = {}
    for topic, entry in entries:
        by_topic.setdefault(topic, []).append(entry)
    return [Slice(topic, tuple(found)) for topic, found in by_topic.items()]
