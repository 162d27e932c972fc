"""Is the number of distinct negative stories in a trailing window too high to be chance?

The test of each window length is the upper tail of a negative binomial around what the topic's own
past expects. The thresholds follow from the budget of false alarms, shared by the window lengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alerts.negative_binomial import quantile, surprise

MONTH = 30.44 * 24 * 3600
"""Seconds in a mean month."""

# A trailing window is tested every minute, so the tests of a month overlap. Their maximum behaves
# like that of about this many times as many windows side by side (a clumping factor).
OVERLAP = 3.0

EXIT = 0.5
"""Leaving takes a surprise below this share of the threshold."""


@dataclass(frozen=True)
class Counts:
    """What a trailing window holds; stories are distinct."""

    documents: int
    stories: int
    negative_stories: int
    mean_sentiment: float
    negative: int


@dataclass(frozen=True)
class Result:
    """One window's test: surprise is ``-log10`` of the tail probability."""

    seconds: int
    expected: float
    low: int
    high: int
    surprise: float
    threshold: float

    @property
    def excess(self) -> float:
        """Surprise over threshold; 1 or more passes."""
        return self.surprise / self.threshold


def threshold(seconds: int, budget: float, lengths: int) -> float:
    """Surprise that chance reaches only ``budget / lengths`` times a month.

    Args:
        seconds: length of the window.
        budget: false alarms allowed per topic and month, all lengths together.
        lengths: how many lengths share the budget.
    """
    tests = max(MONTH / seconds, 1.0) * OVERLAP
    return -math.log10(min(budget / lengths / tests, 0.5))


def count_test(
    seconds: int, negative_stories: int, rate: float, size: float, passes_at: float
) -> Result:
    """Test one window.

    Args:
        seconds: length of the window.
        negative_stories: distinct negative stories in it.
        rate: expected per hour, from before the window.
        size: overdispersion of an hour. A longer window keeps it, as if its hours rose and fell
            together: cautious, where the day's rhythm is not yet known.
        passes_at: the threshold.
    """
    expected = rate * seconds / 3600
    return Result(
        seconds=seconds,
        expected=expected,
        low=quantile(0.025, expected, size),
        high=quantile(0.975, expected, size),
        surprise=surprise(negative_stories, expected, size),
        threshold=passes_at,
    )
