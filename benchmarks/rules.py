"""The rules that people use today for spikes of negative news, each with a threshold to turn.

All see the same: what of one topic's trailing hour was negative, in steps of five minutes. They get
what is best for them: no warm-up, a look every five minutes, and the same cooldown as the detector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STEP = 300
"""Seconds between two looks."""

HOUR, DAY = 3600 // STEP, 86_400 // STEP
"""In steps."""


@dataclass(frozen=True)
class Series:
    """A topic in steps."""

    negative: np.ndarray
    documents: np.ndarray
    sources: np.ndarray
    """distinct ones of negative documents in the trailing hour"""

    def trailing(self, values: np.ndarray, steps: int) -> np.ndarray:
        """Sums over the last ``steps``."""
        sums = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
        at = np.arange(1, len(values) + 1)
        return sums[at] - sums[np.maximum(at - steps, 0)]

    @property
    def hourly(self) -> np.ndarray:
        """Negative documents of the trailing hour."""
        return self.trailing(self.negative, HOUR)


def past(values: np.ndarray, skip: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of ``steps`` values that end ``skip`` before each."""
    one = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
    two = np.concatenate([[0.0], np.cumsum(np.square(values, dtype=float))])
    high = np.maximum(np.arange(1, len(values) + 1) - skip, 0)
    low = np.maximum(high - steps, 0)
    count = np.maximum(high - low, 1)
    mean = (one[high] - one[low]) / count
    return mean, np.sqrt(np.maximum((two[high] - two[low]) / count - mean**2, 0.0))


def z_score(series: Series, threshold: float) -> np.ndarray:
    """Hourly negative count against mean and deviation of 14 days; the prototype's rule, at 3."""
    hourly = series.hourly
    mean, deviation = past(hourly, HOUR, 14 * DAY)
    return (deviation > 0) & (hourly > mean + threshold * deviation)


def share_of_week(series: Series, threshold: float) -> np.ndarray:
    """Negative share of a day against that of a week, in deviations; listening tools, at 2."""
    day = _share(series, DAY)
    mean, deviation = past(day, 0, 7 * DAY)
    return (deviation > 0) & (day > mean + threshold * deviation)


def with_domains(series: Series, threshold: float) -> np.ndarray:
    """As ``z_score``, with three sources at least; commercial spike alerts, at 5."""
    return z_score(series, threshold) & (series.sources >= 3)


def adaptive(series: Series, threshold: float) -> np.ndarray:
    """Smoothed value above a band of its own last 26 hours; dashboards, at 2.

    After the adaptive strategy of grafana/promql-anomaly-detection (Apache 2.0): the mean of an
    hour, mean and deviation of that over 26 hours, and a band of at least half the mean.
    """
    smooth = series.hourly / HOUR
    mean, deviation = past(smooth, 0, 26 * HOUR)
    band = np.maximum(threshold * deviation, 0.5 * mean)
    return (smooth > 0) & (smooth > mean + band)


def fixed_share(series: Series, threshold: float) -> np.ndarray:
    """Negative share of the hour above a number, with three documents at least; the naive rule."""
    documents = series.trailing(series.documents, HOUR)
    return (documents >= 3) & (_share(series, HOUR) > threshold)


def _share(series: Series, steps: int) -> np.ndarray:
    documents = series.trailing(series.documents, steps)
    return series.trailing(series.negative, steps) / np.maximum(documents, 1.0)


Rule = Callable[[Series, float], np.ndarray]

RULES: dict[str, tuple[Rule, tuple[float, ...]]] = {
    "z-score": (z_score, (2, 3, 4, 6, 8, 10, 14, 20, 28, 40, 56)),
    "share of a week": (share_of_week, (1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8)),
    "with domains": (with_domains, (2, 3, 5, 7, 10, 14, 20, 28, 40, 56)),
    "adaptive": (adaptive, (1, 2, 2.5, 3, 4, 5, 7, 10, 14)),
    "fixed share": (fixed_share, (0.2, 0.34, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)),
}
"""Rules by name, each with the thresholds it is tried at."""

COOLDOWN = 12 * STEP
"""Seconds without a match before a rule may alert anew."""


def alerts(matches: np.ndarray, first: int) -> list[int]:
    """Times at which a rule alerts: where it begins to match after a cooldown."""
    found: list[int] = []
    last = -COOLDOWN
    for step in np.flatnonzero(matches):
        time = int(step + 1) * STEP
        if time - last > COOLDOWN:
            found.append(first + time)
        last = time
    return found
