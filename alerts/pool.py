"""What all topics together teach about one of which little is known. Pure.

A new topic starts from the mean rate of all, from their common rhythm over the week, and from their
share of negative; its own counts then move it away, see ``alerts.baseline``. Nearly all topics are
quiet at night and at weekends, so even one with a story a day soon has a rhythm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.baseline import (
    PRIOR_NEGATIVE,
    PRIOR_RATE,
    PRIOR_STORIES,
    PRIOR_STORY,
    WEEK,
    Baseline,
    Prior,
    Seen,
)

# Monday 00:00 UTC of some week: the rates of the week from it on are those by hour of the week.
_MONDAY = 4 * 24


class Pool:
    """The topics of all partitions as one."""

    def __init__(self, memory_hours: float) -> None:
        self.baseline = Baseline(memory_hours)
        self.learned_to: int | None = None
        """hour (since 1970) up to which it has learned"""

    def learn(self, hour: int, seen: Seen) -> None:
        """Take in a closed hour: what it held for each of the topics, summed. Once an hour."""
        if self.learned_to is not None and hour < self.learned_to:
            return
        self.baseline.learn(hour, seen, self.baseline.forecast(hour))
        self.learned_to = hour + 1

    def prior(self, topics: int) -> Prior:
        """What to expect of one of so many topics."""
        held = self.baseline
        # A rate without this moment's drift, which each topic follows by itself.
        rates = [rate / held.recent_factor() for rate in held.rates(_MONDAY, WEEK)]
        mean = sum(rates) / WEEK
        seen = sum(held.weights) + PRIOR_STORY / PRIOR_RATE
        return Prior(
            rate=(sum(held.counts) / max(topics, 1) + PRIOR_STORY) / seen,
            rhythm=tuple(rate / mean for rate in rates),
            share=(held.negative + PRIOR_NEGATIVE) / (held.stories + PRIOR_STORIES),
        )

    def to_json(self) -> dict[str, Any]:
        """State that survives a restart."""
        return {"baseline": self.baseline.to_json(), "learned_to": self.learned_to}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take up the state of ``to_json``."""
        self.baseline = Baseline.from_json(data["baseline"], self.baseline.memory_hours)
        self.learned_to = data["learned_to"]
