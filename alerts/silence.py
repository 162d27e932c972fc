"""Has a source been silent for longer than its own rhythm explains? Pure.

The documents that a source was expected to send since its newest one follow from its rate by hour
of the week; the surprise of silence is ``-log10`` of the probability of none of them (negative
binomial). A source that pauses every night is not stale at night, once a week has shown that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from alerts.baseline import DAY, HOUR, SLOTS, Baseline, Seen
from alerts.spikes import MONTH

WARM_UP_HOURS = 168
"""Hours that must be known: a whole week, or the first weekend would look like a fault."""

STALE_BUDGET = 0.1
"""False alarms that chance may raise per source and month."""

LEAST_SURPRISE = 3.0

LEAST_SILENCE = 600
"""Seconds below which no silence counts, however busy the source."""

LONGEST = 7 * DAY
"""Hours of silence that are summed up; more cannot make it more certain."""


class SourceRhythm:
    """One source: when it was last heard, and what it usually sends."""

    def __init__(self, memory_hours: float, heard: int) -> None:
        """Heard: event time of its newest document, seconds since 1970."""
        self.baseline = Baseline(memory_hours, day_types_apart=True)
        self.heard = heard
        self.learned_to = heard // HOUR
        """hour (since 1970) up to which it has learned"""
        self._usual: tuple[tuple[int, int, int], list[float], tuple[float, float]] | None = None

    def learn(self, hour: int, documents: int) -> None:
        """Take in a closed hour, unless the source was stale by its end: that is no rhythm.

        Args:
            hour: its number since 1970; each counts once.
            documents: what came from the source in it.
        """
        if hour < self.learned_to:
            return
        self.learned_to = hour + 1
        if documents or not self.is_stale((hour + 1) * HOUR):
            evenly = tuple(
                documents * (i + 1) // SLOTS - documents * i // SLOTS for i in range(SLOTS)
            )
            seen = Seen(documents, evenly)
            self.baseline.learn(hour, seen, self.baseline.forecast(hour))

    def surprise(self, now: int) -> float:
        """Of hearing nothing from its newest document to ``now``, seconds of event time."""
        silence = now - self.heard
        if silence < LEAST_SILENCE or self.baseline.hours < WARM_UP_HOURS:
            return 0.0
        rates, hour, day = self._rhythm(now)
        first = self.heard // HOUR
        expected = sum(
            rate * (min(now, (at + 1) * HOUR) - max(self.heard, at * HOUR)) / HOUR
            for at, rate in enumerate(rates, start=first)
        )
        # Between the size of an hour and that of a day, as the silence is.
        share = math.log(max(silence, HOUR) / HOUR) / math.log(DAY)
        size = hour * (day / hour) ** min(share, 1.0)
        return float(size * math.log1p(expected / size) / math.log(10))

    def is_stale(self, now: int) -> bool:
        """Whether the silence is beyond chance, given how many pauses a month has."""
        pauses = max(self.baseline.rate() * MONTH / HOUR, 1.0)
        return self.surprise(now) >= max(math.log10(pauses / STALE_BUDGET), LEAST_SURPRISE)

    def _rhythm(self, now: int) -> tuple[list[float], float, float]:
        """Rates of the hours from its newest document to ``now``; sizes of an hour and of a day."""
        first = self.heard // HOUR
        hours = min(now // HOUR - first + 1, LONGEST)
        if self._usual is None or self._usual[0] != (first, hours, self.learned_to):
            rates = self.baseline.rates(first, hours)
            *_, hour, day = self.baseline.forecast(first).sizes
            # Never smaller with a longer silence, which must not become less surprising.
            self._usual = (first, hours, self.learned_to), rates, (hour, max(hour, day))
        return self._usual[1], *self._usual[2]

    def to_json(self) -> dict[str, Any]:
        """State that survives a restart."""
        return {
            "baseline": self.baseline.to_json(),
            "heard": self.heard,
            "learned_to": self.learned_to,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], memory_hours: float) -> SourceRhythm:
        """The rhythm of a stored state, under the present settings."""
        made = cls(memory_hours, data["heard"])
        made.learned_to = data["learned_to"]
        # Earlier versions did not keep them apart.
        apart = {**data["baseline"], "day_types_apart": True}
        made.baseline = Baseline.from_json(apart, memory_hours)
        return made
