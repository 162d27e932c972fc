"""The negative binomial distribution by mean and size: variance ``mean + mean² / size``.

Sums of the probability mass in plain floats: counts here are small, and scipy would be a quarter
of the install.
"""

from __future__ import annotations

import math


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
    """``-log10 P(X >= count)``; 0 of a count at or below what is common.

    Above the mean the tail is summed from ``count`` on, so that small probabilities keep their
    digits; below it, as the complement of what lies under.
    """
    if count <= 0 or mean <= 0:
        return 0.0 if count <= 0 else math.inf
    if count <= mean:
        below = math.fsum(math.exp(log_pmf(k, mean, size)) for k in range(count))
        return max(-math.log10(max(1.0 - below, 1e-12)), 0.0)
    # Beyond the mean the ratio of successive masses is below 1 and falls towards mean/(mean+size).
    first = log_pmf(count, mean, size)
    ratio_base = mean / (size + mean)
    term, total, k = 1.0, 1.0, count
    while True:
        term *= (k + size) / (k + 1) * ratio_base
        total += term
        k += 1
        ratio = (k + size) / (k + 1) * ratio_base
        if ratio < 1 and term * ratio / (1 - ratio) < 1e-9 * total:
            break
    return -(first + math.log(total)) / math.log(10)


def quantile(probability: float, mean: float, size: float) -> int:
    """The smallest count with at least this probability at or below it."""
    if not 0 <= probability < 1:
        raise ValueError("probability must lie in [0, 1)")
    count, below = 0, math.exp(log_pmf(0, mean, size))
    while below < probability:
        count += 1
        step = math.exp(log_pmf(count, mean, size))
        below += step
        if count > mean and step < 1e-15:
            break
    return count
