"""What a topic's own past leads to expect: the rate of its distinct negative stories.

First version of the baseline: one rate a topic, learned from closed hours with exponential
forgetting; the rhythm of the week is not in it yet. The rate has a gamma prior, and the counts
around it are overdispersed, so that the predictive distribution is a negative binomial whose
variance is ``mean + mean² / size``; ``size`` comes from the moments (see e.g. Cameron and Trivedi,
Regression Analysis of Count Data, 2nd ed., section 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from alerts.negative_binomial import quantile

# A weak prior: as if half an hour with 0.1 negative stories had been seen. It keeps the rate of a
# silent topic off zero, where a single story would be infinitely surprising.
PRIOR_HOURS = 0.5
PRIOR_RATE = 0.2

# Overdispersion is believed only as far as hours support it: as if 24 hours of size 2 were known.
PRIOR_SIZE = 2.0
PRIOR_SIZE_HOURS = 24.0

CAP = 0.999
"""An hour counts at most as this quantile of what was expected, so that one burst does not raise
the rate so far that it hides the next."""


@dataclass
class Baseline:
    """Decayed sums over closed hours."""

    memory_hours: float
    hours: int = 0
    """hours learned, undecayed"""
    weight: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    @property
    def rate(self) -> float:
        """Expected distinct negative stories an hour."""
        return (self.total + PRIOR_HOURS * PRIOR_RATE) / (self.weight + PRIOR_HOURS)

    @property
    def size(self) -> float:
        """Size of the negative binomial; small is overdispersed."""
        if self.weight <= 1.0:
            return PRIOR_SIZE
        mean = self.total / self.weight
        variance = max(self.squares / self.weight - mean * mean, 0.0)
        # As 1/size is what the moments give, it is 1/size that is shrunk to the prior's.
        seen = max(variance - mean, 0.0) / (mean * mean) if mean > 0 else 0.0
        inverse = (seen * self.weight + PRIOR_SIZE_HOURS / PRIOR_SIZE) / (
            self.weight + PRIOR_SIZE_HOURS
        )
        return 1.0 / max(inverse, 1e-3)

    def learn(self, negative_stories: int) -> None:
        """Take in one closed hour."""
        count = float(negative_stories)
        if self.hours >= 24:
            count = min(count, float(quantile(CAP, self.rate, self.size)))
        keep = math.exp(-1.0 / self.memory_hours)
        self.weight = keep * self.weight + 1.0
        self.total = keep * self.total + count
        self.squares = keep * self.squares + count * count
        self.hours += 1

    def to_json(self) -> dict[str, Any]:
        """State that survives a restart."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], memory_hours: float) -> Baseline:
        """The baseline of a stored state, under the present settings."""
        return cls(**{**data, "memory_hours": memory_hours})
