"""Is what a trailing window holds too negative to be chance?

Two questions, both of which must be answered with yes: are there more distinct negative stories
than the topic's own past expects (negative binomial), and is their share of all its stories higher
(beta-binomial)? The second keeps a busy hour from passing for a bad one. The first sets how often
chance passes: its thresholds follow from the budget of false alarms, shared by the window lengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from alerts import beta_binomial, negative_binomial
from alerts.baseline import Forecast

MONTH = 30.44 * 24 * 3600
"""Seconds in a mean month."""

# A trailing window is tested every minute, so the tests of a month overlap. Their maximum behaves
# like that of about this many times as many windows side by side (a clumping factor): set so that
# no simulated stream alerts more often than the budget allows (python -m benchmarks.calibration).
OVERLAP = 1.5

SHARE_BY_CHANCE, MOST_BY_CHANCE = 0.1, 0.2
"""Part of all windows whose share may count as higher by chance, for each false alarm a month that
is allowed, and at most: with a fixed part no budget would turn a topic up in which half of the
stories are often negative by chance (python -m benchmarks.spikes)."""

EXIT = 0.5
"""Leaving takes an excess below this."""


@dataclass(frozen=True)
class Counts:
    """What a trailing window holds; stories are distinct."""

    documents: int
    stories: int
    negative_stories: int
    mean_sentiment: float
    negative: int


class Sources(NamedTuple):
    """Who the negative stories of a window are from."""

    distinct: int
    """authors where they are known, else sources"""
    independent: int
    """stories, of one author at most one"""


@dataclass(frozen=True)
class Thresholds:
    """Surprises from which a window passes."""

    count: float
    """of so many negative stories"""
    share: float
    """of their share of all stories"""


@dataclass(frozen=True)
class Result:
    """One window's tests; a surprise is ``-log10`` of the tail probability."""

    seconds: int
    stories: int
    negative_stories: int
    expected: float
    size: float
    share: float
    spread: float
    passes_at: Thresholds

    @cached_property
    def surprise(self) -> float:
        """Of so many negative stories."""
        return negative_binomial.surprise(self.negative_stories, self.expected, self.size)

    @cached_property
    def share_surprise(self) -> float:
        """Of so many of the stories being negative."""
        return beta_binomial.surprise(self.negative_stories, self.stories, self.share, self.spread)

    @cached_property
    def excess(self) -> float:
        """Surprise over threshold, held under 1 by an ordinary share; 1 or more passes."""
        excess = self.surprise / self.passes_at.count
        if excess < EXIT:  # the share can only lower it
            return excess
        share = self.share_surprise / self.passes_at.share
        return excess if share >= 1.0 else min(excess, share)

    def of_independent(self, stories: int) -> Result:
        """The same window with no more than so many negative stories."""
        gone = self.negative_stories - stories
        if gone <= 0:
            return self
        return replace(self, negative_stories=stories, stories=self.stories - gone)

    @property
    def interval(self) -> tuple[int, int]:
        """The central 95 % of what is expected."""
        return (
            negative_binomial.quantile(0.025, self.expected, self.size),
            negative_binomial.quantile(0.975, self.expected, self.size),
        )


def thresholds(seconds: int, budget: float, lengths: int) -> Thresholds:
    """Of the count, what chance reaches only ``budget / lengths`` times a month; and of the share.

    Args:
        seconds: length of the window.
        budget: false alarms allowed per topic and month, all lengths together.
        lengths: how many lengths share the budget.
    """
    tests = max(MONTH / seconds, 1.0) * OVERLAP
    return Thresholds(
        count=-math.log10(min(budget / lengths / tests, 0.5)),
        share=-math.log10(min(budget * SHARE_BY_CHANCE, MOST_BY_CHANCE)),
    )


def judge(
    seconds: int, end: int, counts: Counts, forecast: Forecast, passes_at: Thresholds
) -> Result:
    """Test the window of that length that ends at ``end``.

    Args:
        seconds: length of the window.
        end: seconds since 1970.
        counts: what it holds.
        forecast: of the hour in which it begins, from before it.
        passes_at: what passes.
    """
    return Result(
        seconds=seconds,
        stories=counts.stories,
        negative_stories=counts.negative_stories,
        expected=forecast.expected(end - seconds, seconds),
        size=forecast.size(seconds),
        share=forecast.share,
        spread=forecast.spread,
        passes_at=passes_at,
    )
