"""Panes: mergeable sums of one topic over 60 s of event time.

A pane is the unit that is stored: its record carries, per partition of the documents topic, the
highest offset it has taken, so that an entry delivered twice counts once. Sums, offsets and story
signatures stand in one record, hence are written together or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from alerts.records import ModelName
from stream.evidence import strongest
from stream.slices import WEIGHT, Entry

PANE = 60
"""Seconds of event time."""

# A record must stay under 16 KiB whatever the traffic. Beyond these numbers within one minute the
# distinct counts are a floor; the sums of documents stay exact.
MAX_STORIES = 120
MAX_SOURCES = 120
MAX_EVIDENCE = 3
MAX_MODELS = 2
"""Two are as mixed as any number."""


def pane_of(time: int) -> int:
    """Start of the pane that holds this event time."""
    return time - time % PANE


class Told(NamedTuple):
    """How a negative story was told in a pane."""

    source: str
    """the least of the sources that told it, whatever order they came in"""
    documents: int


@dataclass
class Pane:
    """What one topic's minute holds."""

    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    """documents by label: negative, neutral, positive"""
    sentiment: int = 0
    """sum of positive minus negative, in 1/10000"""
    weight: int = 0
    """sum of what documents weigh beyond 1, in 1/1000"""
    weighted: int = 0
    """sum of the same times positive minus negative"""
    negative_stories: dict[str, Told] = field(default_factory=dict)
    other_stories: set[str] = field(default_factory=set)
    """told as anything but negative; one that is told both ways is in both"""
    negative_sources: set[str] = field(default_factory=set)
    other_sources: set[str] = field(default_factory=set)
    """of what is not negative, likewise"""
    evidence: list[dict[str, Any]] = field(default_factory=list)
    """the most negative documents, most negative first, one a story"""
    offsets: dict[int, int] = field(default_factory=dict)
    """highest offset taken, per partition of the documents topic"""
    models: set[ModelName] = field(default_factory=set)
    """what scored them, as far as it is known"""

    @property
    def documents(self) -> int:
        return sum(self.counts)

    @property
    def sources(self) -> set[str]:
        """All that told a story."""
        return self.negative_sources | self.other_sources

    def add(self, entry: Entry, model: ModelName | None = None) -> bool:
        """Count the entry, which that model scored; False when it was counted before.

        Entries of one partition come in the order of their offsets, repeats included, so one
        number a partition tells a repeat from a new one.
        """
        if entry.offset <= self.offsets.get(entry.partition, -1):
            return False
        self.offsets[entry.partition] = entry.offset
        if model is not None and len(self.models) < MAX_MODELS:
            self.models.add(model)
        self.counts[entry.label] += 1
        self.sentiment += entry.sentiment
        self.weight += entry.weight - WEIGHT
        self.weighted += (entry.weight - WEIGHT) * entry.sentiment
        if entry.weight == 0:
            return True
        negative = entry.tells_negative
        # Each side has its own limit, so that a flood of neutral texts does not hide negative ones.
        if not negative and _is_room(entry.story, self.other_stories, MAX_STORIES):
            self.other_stories.add(entry.story)
        if negative and _is_room(entry.story, self.negative_stories, MAX_STORIES):
            told = self.negative_stories.get(entry.story, Told(entry.source, 0))
            self.negative_stories[entry.story] = Told(
                min(told.source, entry.source), told.documents + 1
            )
        sources = self.negative_sources if negative else self.other_sources
        if _is_room(entry.source, sources, MAX_SOURCES):
            sources.add(entry.source)
        if negative and entry.evidence is not None:
            self.evidence = strongest(
                [*self.evidence, {**entry.evidence, "story": entry.story}], MAX_EVIDENCE
            )
        return True

    def to_json(self) -> dict[str, Any]:
        """The stored record; sorted, so that equal panes have equal bytes."""
        record: dict[str, Any] = {
            "c": self.counts,
            "s": self.sentiment,
            "n": dict(sorted(self.negative_stories.items())),
            "o": sorted(self.other_stories),
            "ns": sorted(self.negative_sources),
            "os": sorted(self.other_sources),
            "e": self.evidence,
            "k": {str(p): o for p, o in sorted(self.offsets.items())},
            "m": sorted([model.name, model.version] for model in self.models),
        }
        if self.weight or self.weighted:
            record["w"] = [self.weight, self.weighted]
        return record

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Pane:
        """The pane of a stored record."""
        weight, weighted = data.get("w", (0, 0))
        return cls(
            counts=list(data["c"]),
            sentiment=data["s"],
            weight=weight,
            weighted=weighted,
            negative_stories={
                story: Told(*told[: len(Told._fields)]) for story, told in data["n"].items()
            },
            other_stories=set(data["o"]),
            negative_sources=set(data["ns"]),
            other_sources=set(data["os"]),
            evidence=list(data["e"]),
            offsets={int(p): o for p, o in data["k"].items()},
            models={ModelName(name=n, version=v) for n, v in data.get("m", ())},
        )


def _is_room(item: str, kept: Collection[str], limit: int) -> bool:
    """Whether the item is there, or fits."""
    return item in kept or len(kept) < limit
