"""The negative binomial distribution by mean and size: variance ``mean + mean² / size``.

Its tail is a regularised incomplete beta function: ``P(X >= k) = I_q(k, size)`` with
``q = mean / (mean + size)`` (DLMF 8.17.24).
"""

from __future__ import annotations

import math

from alerts.incomplete_beta import log_incomplete_beta


def log_pmf(count: int, mean: float, size: float) -> float:
    """Natural logarithm of ``P(X = count)``."""
    if mean <= 0:
        return 0.0 if count == 0 else -math.inf
    return (
        math.lgamma(count + size)
        - math.lgamma(size)
        - math.lgamma(count + 1)
        + size * math.log(size / (size + mean))
        + count * math.log(mean / (size + mean))
    )


def surprise(count: int, mean: float, size: float) -> float:
    """``-log10 P(X >= count)``, with all its digits however small the probability."""
    if count <= 0 or mean <= 0:
        return 0.0 if count <= 0 else math.inf
    return max(-_log_tail(count, mean, size) / math.log(10), 0.0)


def quantile(probability: float, mean: float, size: float) -> int:
    """The smallest count with at least this probability at or below it."""
    if not 0 <= probability < 1:
        raise ValueError("probability must lie in [0, 1)")
    if mean <= 0:
        return 0
    above = 1.0 - probability
    low, high = -1, max(int(mean), 1)
    while math.exp(_log_tail(high + 1, mean, size)) > above:
        low, high = high, 2 * high + 1
    while high - low > 1:
        middle = (low + high) // 2
        if math.exp(_log_tail(middle + 1, mean, size)) > above:
            low = middle
        else:
            high = middle
    return high


def _log_tail(count: int, mean: float, size: float) -> float:
    """Natural logarithm of ``P(X >= count)``, for a count of 1 or more."""
    return log_incomplete_beta(count, size, mean / (mean + size), size / (mean + size))
