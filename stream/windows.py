"""One topic's panes, and the windows made of them.

Aligned windows (published, so that they add up) and trailing windows (tested) are running sums over
the panes: what enters is added, what leaves is subtracted. Both can be rebuilt from the stored
panes, so nothing but panes is stored of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

from alerts.baseline import LENGTHS, SLOTS, Forecast, Seen
from alerts.erasure import kept
from alerts.records import ModelName, Window, together, utc
from alerts.spikes import Counts, Sources
from stream.evidence import representative, strongest
from stream.novelty import NoveltyIndex
from stream.panes import PANE, Pane, pane_of
from stream.slices import AUTHOR, SCALE, WEIGHT, Entry

HOUR = 3600
DAY = 24 * HOUR

ALIGNED = (300, HOUR, DAY)
"""Lengths of the published windows, seconds."""

TRAILING = LENGTHS
"""Lengths of the tested windows, seconds."""

HORIZON = 25 * HOUR
"""Seconds a document may lag behind the watermark and still be counted."""

RETENTION = DAY + 2 * HORIZON
"""Seconds a pane is kept: a day's window stays open for the horizon after its end, and whether a
story in it is new is decided by the horizon before its start."""


CANDIDATES = 40
"""The most negative stories of a window, of which an alert shows a few that stand for all."""

Past = Callable[[int], Forecast | None]
"""What was expected of windows that begin at a time; None before the first closed hour."""


@dataclass
class Totals:
    """Sums over some panes."""

    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    sentiment: int = 0
    weight: int = 0
    """as of a pane"""
    weighted: int = 0
    negative_stories: int = 0
    other_stories: int = 0

    @property
    def documents(self) -> int:
        return sum(self.counts)

    @property
    def stories(self) -> int:
        return self.negative_stories + self.other_stories

    @property
    def mean_sentiment(self) -> float:
        """Weighted mean of positive minus negative, -1 to 1; 0 of what weighs nothing."""
        weight = WEIGHT * self.documents + self.weight
        if weight == 0:
            return 0.0
        return round((WEIGHT * self.sentiment + self.weighted) / (SCALE * weight), 6)

    def add(self, other: Totals, sign: int = 1) -> None:
        """Add the other sums, or with -1 take them away."""
        for label in range(3):
            self.counts[label] += sign * other.counts[label]
        self.sentiment += sign * other.sentiment
        self.weight += sign * other.weight
        self.weighted += sign * other.weighted
        self.negative_stories += sign * other.negative_stories
        self.other_stories += sign * other.other_stories


@dataclass
class Trailing:
    """The sums of ``seconds`` up to the last closed pane."""

    seconds: int
    totals: Totals = field(default_factory=Totals)


class TopicWindows:
    """All windows of one topic."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.panes: dict[int, Pane] = {}
        self.closed_to: int | None = None
        """end of the last pane that the trailing windows hold"""
        self.final_to: int | None = None
        """watermark up to which windows have been made final; those are never touched again"""
        self._own: dict[int, Totals] = {}
        """a pane's sums, its stories counted where they are new"""
        # Each side by itself: in the same words one firm was fined and another was cleared.
        self._negative = NoveltyIndex(HORIZON)
        self._other = NoveltyIndex(HORIZON)
        self._aligned: dict[tuple[int, int], Totals] = {}
        self._sources: dict[tuple[int, int], set[str]] = {}
        self._models: dict[tuple[int, int], set[ModelName]] = {}
        self._trailing = [Trailing(seconds) for seconds in TRAILING]
        self._dirty: set[tuple[int, int]] = set()

    def add(self, entry: Entry, model: ModelName | None = None) -> int | None:
        """Count the entry, which that model scored.

        Returns:
            The start of its pane, or None when it is a repeat.
        """
        start = pane_of(entry.time)
        pane = self.panes.get(start)
        if pane is None:
            pane = self.panes[start] = Pane()
        told = pane.negative_stories if entry.tells_negative else pane.other_stories
        known = entry.story in told
        if not pane.add(entry, model):
            return None
        beyond = entry.weight - WEIGHT
        change = Totals(sentiment=entry.sentiment, weight=beyond, weighted=beyond * entry.sentiment)
        change.counts[entry.label] = 1
        self._apply(start, change)
        if not known and entry.story in told:
            self._note(entry.story, start, negative=entry.tells_negative)
        heard = entry.source in pane.sources
        for key in self._open(start):
            if heard:
                self._sources.setdefault(key, set()).add(entry.source)
            if model is not None:
                self._models.setdefault(key, set()).add(model)
        return start

    def restore(self, start: int, pane: Pane) -> None:
        """Take up a stored pane; order does not matter."""
        self.panes[start] = pane
        self._apply(start, Totals(list(pane.counts), pane.sentiment, pane.weight, pane.weighted))
        for story in pane.negative_stories:
            self._note(story, start, negative=True)
        for story in pane.other_stories:
            self._note(story, start, negative=False)
        for key in self._open(start):
            self._sources.setdefault(key, set()).update(pane.sources)
            self._models.setdefault(key, set()).update(pane.models)

    def _open(self, start: int) -> list[tuple[int, int]]:
        """The aligned windows, as (seconds, start), that hold the pane and may still change."""
        keys = [(seconds, start - start % seconds) for seconds in ALIGNED]
        if self.final_to is None:
            return keys
        return [key for key in keys if sum(key) + HORIZON > self.final_to]

    def _note(self, story: str, pane: int, *, negative: bool) -> None:
        index = self._negative if negative else self._other
        for owner, delta in index.insert(story, pane):
            change = Totals(negative_stories=delta) if negative else Totals(other_stories=delta)
            self._apply(owner, change)

    def _apply(self, start: int, change: Totals) -> None:
        """Bring a change of one pane into every sum that holds the pane."""
        self._own.setdefault(start, Totals()).add(change)
        for key in self._open(start):
            self._aligned.setdefault(key, Totals()).add(change)
            self._dirty.add(key)
        if self.closed_to is not None and start < self.closed_to:
            for trailing in self._trailing:
                if start >= self.closed_to - trailing.seconds:
                    trailing.totals.add(change)

    def close(self, end: int) -> None:
        """Move the trailing windows to end at ``end``, a pane's border."""
        if self.closed_to is not None and end <= self.closed_to:
            return
        for trailing in self._trailing:
            trailing.totals = self._moved(trailing, end)
        self.closed_to = end

    def _moved(self, trailing: Trailing, end: int) -> Totals:
        """The sums of a trailing window, were it to end at ``end``, at or after ``closed_to``."""
        before, seconds = self.closed_to, trailing.seconds
        moved = Totals()
        low = end - seconds
        if before is not None and end - before < seconds:
            moved.add(trailing.totals)
            for start in self._between(before - seconds, low):
                moved.add(self._own[start], -1)
            low = before
        for start in self._between(low, end):
            moved.add(self._own[start])
        return moved

    def _between(self, low: int, high: int) -> Iterator[int]:
        """Starts of the panes in ``[low, high)``."""
        if (high - low) // PANE < len(self.panes):
            return (start for start in range(low, high, PANE) if start in self.panes)
        return (start for start in self.panes if low <= start < high)

    def trailing(self) -> dict[int, Counts]:
        """The tested counts by window length; sources are left out, being costly."""
        return {t.seconds: _counts(t.totals) for t in self._trailing}

    def ahead(self, end: int) -> dict[int, Counts]:
        """The counts of windows that will end at ``end``, with what is in so far; moves nothing."""
        return {t.seconds: _counts(self._moved(t, end)) for t in self._trailing}

    def negative_sources(self, seconds: int, end: int | None = None) -> Sources:
        """Who a trailing window's negative documents and new stories are from.

        It ends where the last closed pane does, or at ``end``.
        """
        sources: set[str] = set()
        first: list[str] = []
        for start, pane in self._within(seconds, end):
            sources |= pane.negative_sources
            first += (
                told.source
                for story, told in pane.negative_stories.items()
                if self._negative.is_new(story, start)
            )
        authors = {who for who in first if who.startswith(AUTHOR)}
        return Sources(len(sources), len(authors) + sum(who not in authors for who in first))

    def evidence(self, seconds: int, limit: int, end: int | None = None) -> list[dict[str, Any]]:
        """Negative stories that stand for a trailing window, and how many documents tell each.

        It ends where the last closed pane does, or at ``end``.
        """
        found: list[dict[str, Any]] = []
        documents: Counter[str] = Counter()
        for _, pane in self._within(seconds, end):
            found += pane.evidence
            for story, told in pane.negative_stories.items():
                documents[story] += told.documents
        stories = strongest(found, CANDIDATES)
        told_by = {
            item["story"]: max(sum(documents[c] for c in self._negative.copies(item["story"])), 1)
            for item in stories
        }
        return [
            {**item, "documents": told_by[item["story"]]}
            for item in representative(stories, told_by, limit)
        ]

    def model(self, seconds: int) -> ModelName | None:
        """What scored the documents of the trailing window."""
        return together({model for _, pane in self._within(seconds) for model in pane.models})

    def _within(self, seconds: int, end: int | None = None) -> Iterator[tuple[int, Pane]]:
        """The panes of a trailing window, by start."""
        end = self.closed_to if end is None else end
        if end is not None:
            for start in self._between(end - seconds, end):
                yield start, self.panes[start]

    def forget(self, digests: Container[str]) -> list[int]:
        """Drop forgotten evidence, whose counts stay; returns the starts of changed panes."""
        changed = []
        for start, pane in self.panes.items():
            left = [dict(item) for item in kept(pane.evidence, digests)]
            if len(left) < len(pane.evidence):
                pane.evidence = left
                changed.append(start)
        return changed

    def seen(self, hour: int) -> Seen:
        """What an hour (its number since 1970) held, for the baseline."""
        start = hour * HOUR
        whole = self._aligned.get((HOUR, start))
        width = HOUR // SLOTS
        slots = (self._aligned.get((width, start + i * width)) for i in range(SLOTS))
        negative = tuple(0 if slot is None else slot.negative_stories for slot in slots)
        return Seen(0 if whole is None else whole.stories, negative)

    def expect(self, time: int) -> None:
        """Mark the windows that begin at ``time`` or later: their expectation has changed."""
        self._dirty.update(key for key in self._aligned if key[1] >= time)

    def changed(self, past: Past) -> list[Window]:
        """The windows that changed since the last call, in order."""
        keys, self._dirty = sorted(self._dirty), set()
        return [self._window(key, past, final=False) for key in keys]

    def finish(self, watermark: int, past: Past) -> list[Window]:
        """The windows that have become final, in order; they are dropped here."""
        self.final_to = watermark
        final = sorted(key for key in self._aligned if sum(key) + HORIZON <= watermark)
        windows = [self._window(key, past, final=True) for key in final]
        for key in final:
            del self._aligned[key]
            self._sources.pop(key, None)
            self._models.pop(key, None)
            self._dirty.discard(key)
        return windows

    def expire(self, watermark: int) -> list[int]:
        """Drop the panes that no window can need any more; returns their starts."""
        old = sorted(start for start in self.panes if start + RETENTION < watermark)
        for start in old:
            pane = self.panes.pop(start)
            self._own.pop(start, None)
            for story in pane.negative_stories:
                self._negative.forget(story, start)
            for story in pane.other_stories:
                self._other.forget(story, start)
        return old

    def _window(self, key: tuple[int, int], past: Past, *, final: bool) -> Window:
        seconds, start = key
        totals = self._aligned[key]
        forecast = past(start)
        expected = None if forecast is None else round(forecast.expected(start, seconds), 4)
        return Window(
            topic=self.topic,
            start=utc(start),
            end=utc(start + seconds),
            documents=totals.documents,
            stories=totals.stories,
            sources=len(self._sources.get(key, ())),
            negative=totals.counts[0],
            neutral=totals.counts[1],
            positive=totals.counts[2],
            negative_stories=totals.negative_stories,
            mean_sentiment=totals.mean_sentiment,
            expected_negative_stories=expected,
            model=together(self._models.get(key, ())),
            revision=totals.documents,
            final=final,
        )


def _counts(totals: Totals) -> Counts:
    return Counts(
        documents=totals.documents,
        stories=totals.stories,
        negative_stories=totals.negative_stories,
        mean_sentiment=totals.mean_sentiment,
        negative=totals.counts[0],
    )
