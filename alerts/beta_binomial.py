"""The beta-binomial distribution: of ``n`` stories, how many are negative when the share varies.

By mean ``share`` and ``spread``, the correlation between two stories of a window: with
``a = share (1 - spread) / spread`` and ``b = (1 - share) (1 - spread) / spread`` the share is
Beta(a, b), and the count's variance ``n share (1 - share) (1 + (n - 1) spread)`` (e.g. Agresti,
Categorical Data Analysis, 3rd ed., section 14.3).
"""

from __future__ import annotations

import math

from alerts.incomplete_beta import log_incomplete_beta

EXACT = 300
"""Stories up to which the tail is summed; beyond, the surprise may be a tenth too small."""


def log_pmf(count: int, n: int, share: float, spread: float) -> float:
    """Natural logarithm of ``P(X = count)``."""
    a = share * (1.0 - spread) / spread
    b = (1.0 - share) * (1.0 - spread) / spread
    return _log_choose(n, count) + _log_beta(count + a, n - count + b) - _log_beta(a, b)


def surprise(count: int, n: int, share: float, spread: float) -> float:
    """``-log10 P(X >= count)`` of so many among ``n``; 0 of a count no larger than expected.

    Args:
        count: 0 to ``n``.
        n: stories in the window.
        share: expected, above 0 and below 1.
        spread: above 0 and below 1.
    """
    if count <= n * share:
        return 0.0
    if n > EXACT:
        # The share itself is nearly beta, with the count's own variance added to its own.
        wide = spread + (1.0 - spread) / n
        a, b = share * (1.0 - wide) / wide, (1.0 - share) * (1.0 - wide) / wide
        least = (count - 0.5) / n
        return max(-log_incomplete_beta(b, a, 1.0 - least, least) / math.log(10), 0.0)
    a, b = share * (1.0 - spread) / spread, (1.0 - share) * (1.0 - spread) / spread
    term = total = 1.0
    for k in range(count, n):
        term *= (n - k) * (k + a) / ((k + 1) * (n - k - 1 + b))
        total += term
        if term < 1e-12 * total:
            break
    log_tail = log_pmf(count, n, share, spread) + math.log(total)
    return max(-log_tail / math.log(10), 0.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
