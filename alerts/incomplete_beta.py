"""The regularised incomplete beta function, the tail of all distributions that are used here.

By its continued fraction (DLMF 8.17.22), which takes some dozens of steps at any argument. In plain
floats: scipy would be a quarter of the install.
"""

from __future__ import annotations

import math

TINY = 1e-300

STEPS = 100_000
"""Hundreds are the most that was ever needed."""


def log_incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Natural logarithm of ``I_x(a, b)``, with all its digits however small it is.

    Args:
        a: above 0.
        b: above 0.
        x: above 0 and below 1.
        rest: ``1 - x``, which the caller may know with more digits.
    """
    if x < (a + 1.0) / (a + b + 2.0):
        return _log_front(a, b, x, rest) + math.log(_fraction(a, b, x))
    # Where the fraction converges slowly its mirror image does not: I_x(a, b) = 1 - I_rest(b, a).
    other = math.exp(_log_front(b, a, rest, x)) * _fraction(b, a, rest)
    return math.log1p(-min(other, 1.0 - 1e-16))


def _log_front(a: float, b: float, x: float, rest: float) -> float:
    """Logarithm of ``x**a (1 - x)**b / (a B(a, b))``."""
    beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    return a * math.log(x) + b * math.log(rest) - math.log(a) - beta


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction ``1 / (1 + d1 / (1 + d2 / ...))``, by the modified Lentz method."""
    value = numerator = 1.0
    denominator = 0.0
    for step in range(1, STEPS):
        m = step // 2
        if step % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1.0 / ((1.0 + d * denominator) or TINY)
        numerator = (1.0 + d / numerator) or TINY
        value *= numerator * denominator
        if abs(numerator * denominator - 1.0) < 1e-13:
            return 1.0 / value
    raise ArithmeticError(f"I_x({a}, {b}) at {x} does not converge")
