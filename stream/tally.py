"""What all documents together tell, counted alike on every partition of the slices topic. Pure.

A partition sees only the slices of its own topics. For what must be known of all (the rate and the
rhythm that a new topic starts from, the silence of a source) each batch's end carries a line a
document to every partition, and each counts them here: once, by the offset in the documents topic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alerts.baseline import SLOTS, Seen
from alerts.pool import Pool
from alerts.silence import SourceRhythm
from stream.slices import Progress
from stream.windows import HOUR

Record = dict[str, Any]

POOL, SOURCE = "@pool", "@source"

MAX_SOURCES = 1000
"""Sources that are watched for silence, a partition: a feed gone wrong must not fill the tables."""

MAX_PAUSE = 14 * 24
"""Hours of silence after which a source is given up, and found anew when it speaks again."""


@dataclass
class Hour:
    """What an hour that is still open holds so far."""

    counted: int = 0
    """topics that its documents count for, summed"""
    negative: list[int] = field(default_factory=lambda: [0] * SLOTS)
    """of those the negative ones, by twelfth of the hour"""
    sources: Counter[str] = field(default_factory=Counter)
    """documents, of the sources that are watched here"""


class Tally:
    """The counts of one partition of the slices topic."""

    def __init__(self, partition: int, owns: Callable[[str], bool], memory_hours: float) -> None:
        """Owns: which sources are watched for silence here, each on one partition."""
        self.partition = partition
        self.memory_hours = memory_hours
        self.pool = Pool(memory_hours)
        self.sources: dict[str, SourceRhythm] = {}
        self.open: dict[int, Hour] = {}
        """hours (since 1970) with documents, not yet learned"""
        self._owns = owns
        self._applied: dict[int, int] = {}
        """highest offset counted, per partition of the documents topic"""
        self._learned: set[str] = set()
        """keys of the states that have changed by learning"""

    def take(self, progress: Progress, learned_to: int) -> None:
        """Count a batch's documents, those of hours that have been learned for their sources alone.

        Entries of one partition come in the order of their offsets, repeats included.
        """
        for read in progress.read:
            if read.offset <= self._applied.get(read.partition, -1):
                continue
            self._applied[read.partition] = read.offset
            number = read.time // HOUR
            source = progress.sources[read.source]
            watched = self._heard(source, read.time)
            if number < learned_to:
                continue
            hour = self.open.setdefault(number, Hour())
            hour.counted += read.topics
            hour.negative[read.time % HOUR * SLOTS // HOUR] += read.negative
            hour.sources[source] += watched

    def _heard(self, source: str, time: int) -> bool:
        """Note that the source is alive; whether it is one of those watched here."""
        if (known := self.sources.get(source)) is not None:
            known.heard = max(known.heard, time)
            return True
        if not self._owns(source) or len(self.sources) >= MAX_SOURCES:
            return False
        self.sources[source] = SourceRhythm(self.memory_hours, time)
        self._learned.add(f"{SOURCE}|{source}")  # From which hour on it learns.
        return True

    def learn(self, hour: int) -> None:
        """Close an hour that had documents."""
        held = self.open.pop(hour, None)
        if held is None:
            return
        self.pool.learn(hour, Seen(held.counted, tuple(held.negative)))
        self._learned.add(f"{POOL}|{self.partition}")
        for source, rhythm in self.sources.items():
            self._learn_source(source, rhythm, hour, held.sources[source])

    def pass_silence(self, hour: int) -> None:
        """Learn, of each source, the hours before this one in which there was no document at all.

        For topics such an hour is missing data; of a source it may be the rhythm.
        """
        for source, rhythm in list(self.sources.items()):
            if hour - max(rhythm.learned_to, rhythm.heard // HOUR) > MAX_PAUSE:
                del self.sources[source]
                self._learned.discard(f"{SOURCE}|{source}")
                continue
            rhythm.learned_to = max(rhythm.learned_to, hour - MAX_PAUSE)
            for silent in range(rhythm.learned_to, hour):
                if silent in self.open:
                    break
                self._learn_source(source, rhythm, silent, 0)

    def _learn_source(self, source: str, rhythm: SourceRhythm, hour: int, documents: int) -> None:
        rhythm.learn(hour, documents)
        self._learned.add(f"{SOURCE}|{source}")

    # State

    def to_json(self) -> Record:
        """What changes with every batch; the rest comes from ``learned``."""
        return {
            "applied": {str(p): offset for p, offset in sorted(self._applied.items())},
            "hours": {
                str(number): [hour.counted, hour.negative, dict(sorted(hour.sources.items()))]
                for number, hour in sorted(self.open.items())
            },
            "heard": {source: rhythm.heard for source, rhythm in sorted(self.sources.items())},
        }

    def learned(self) -> Iterable[tuple[str, Record]]:
        """States that have changed since the last call, by key."""
        changed, self._learned = sorted(self._learned), set()
        for key in changed:
            kind, _, name = key.partition("|")
            yield key, (self.pool if kind == POOL else self.sources[name]).to_json()

    def restore(self, own: Record, states: Mapping[str, Record]) -> None:
        """Take up the state of ``to_json``, and of ``learned`` those of this partition."""
        self._applied = {int(p): offset for p, offset in own["applied"].items()}
        self.open = {
            int(number): Hour(counted, list(negative), Counter(sources))
            for number, (counted, negative, sources, *_) in own["hours"].items()
        }
        if (pool := states.get(f"{POOL}|{self.partition}")) is not None:
            self.pool.restore(pool)
        for source, heard in own["heard"].items():
            known = states.get(f"{SOURCE}|{source}")
            made = SourceRhythm(self.memory_hours, heard)
            if known is not None:
                made = SourceRhythm.from_json(known, self.memory_hours)
                made.heard = heard
            self.sources[source] = made
