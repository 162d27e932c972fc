from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.negative_binomial import log_pmf, quantile, surprise

MEANS = (0.01, 0.3, 1.0, 4.5, 20.0, 100.0)
SIZES = (0.5, 1.0, 2.0, 7.5, 1000.0)

means = st.sampled_from(MEANS)
sizes = st.sampled_from(SIZES)


def pmf(count: int, mean: float, size: float) -> list[Fraction]:
    """Exact masses of 0 to ``count``, each relative to that of 0."""
    m, r = Fraction(mean), Fraction(size)
    masses = [Fraction(1)]
    for k in range(count):
        masses.append(masses[-1] * (k + r) / (k + 1) * m / (r + m))
    return masses


def mass_of_zero(mean: float, size: float) -> Decimal:
    return (Decimal(size) / (Decimal(size) + Decimal(mean))) ** Decimal(size)


def exact(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def tail(count: int, mean: float, size: float) -> Decimal:
    """``P(X >= count)`` in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        total = sum((exact(mass) for mass in pmf(count, mean, size)[:count]), Decimal(0))
        return 1 - total * mass_of_zero(mean, size)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("size", SIZES)
def test_masses_are_exact(mean, size):
    with localcontext() as context:
        context.prec = 60
        for count, ratio in enumerate(pmf(30, mean, size)):
            expected = exact(ratio) * mass_of_zero(mean, size)
            assert math.exp(log_pmf(count, mean, size)) == pytest.approx(float(expected), rel=1e-8)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("size", SIZES)
def test_surprise_is_the_exact_tail(mean, size):
    for count in (1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 200):
        probability = tail(count, mean, size)
        if probability < Decimal("1e-40"):
            break
        expected = -float(probability.log10())
        assert surprise(count, mean, size) == pytest.approx(expected, rel=1e-5, abs=1e-7), count


def test_small_tails_keep_their_digits():
    # At size 1 the distribution is geometric: P(X >= count) = (mean / (1 + mean)) ** count.
    for count in (50, 500, 5_000):
        assert surprise(count, 1.0, 1.0) == pytest.approx(count * math.log10(2), rel=1e-9)


@given(means, sizes, st.integers(0, 300))
def test_more_is_never_less_surprising(mean, size, count):
    assert surprise(count + 1, mean, size) >= surprise(count, mean, size) - 1e-9


@given(sizes, st.integers(0, 60))
def test_expecting_more_makes_a_count_less_surprising(size, count):
    found = [surprise(count, mean, size) for mean in MEANS]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("mean", [0.2, 3.0, 25.0])
def test_a_large_size_is_poisson(mean):
    for count in (1, 4, 10, 40):
        below = math.fsum(
            math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count)
        )
        above = math.fsum(
            math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
            for k in range(count, count + 400)
        )
        probability = above if above < 0.5 else 1 - below
        assert surprise(count, mean, 1e7) == pytest.approx(
            -math.log10(probability), rel=1e-3, abs=1e-6
        )


def test_edges():
    assert surprise(0, 5.0, 2.0) == 0.0
    assert surprise(-1, 5.0, 2.0) == 0.0
    assert surprise(0, 0.0, 2.0) == 0.0
    assert surprise(1, 0.0, 2.0) == math.inf
    assert log_pmf(0, 0.0, 1.0) == 0.0
    assert log_pmf(3, 0.0, 1.0) == -math.inf


@given(means, sizes, st.floats(0.001, 0.999))
def test_a_quantile_is_the_smallest_count_that_reaches_it(mean, size, probability):
    count = quantile(probability, mean, size)
    below = [math.exp(log_pmf(k, mean, size)) for k in range(count + 1)]
    assert math.fsum(below) >= probability - 1e-9
    assert math.fsum(below[:-1]) < probability + 1e-9


@given(means, sizes, st.integers(0, 40))
def test_a_quantile_inverts_the_distribution(mean, size, count):
    reached = math.fsum(math.exp(log_pmf(k, mean, size)) for k in range(count + 1))
    if reached < 1 - 1e-9:
        mass = math.exp(log_pmf(count, mean, size))
        assert quantile(reached - mass / 2, mean, size) == count or mass < 1e-12


def test_quantiles_of_nothing_and_of_no_probability():
    assert quantile(0.0, 3.0, 1.0) == 0
    assert quantile(0.999, 0.0, 1.0) == 0
    assert quantile(0.5, 5.0, 1e6) == 5


@pytest.mark.parametrize("probability", [-0.1, 1.0, 2.0, math.nan])
def test_a_probability_that_is_none(probability):
    with pytest.raises(ValueError):
        quantile(probability, 1.0, 1.0)


def test_a_quantile_near_one_ends():
    assert quantile(1 - 2**-53, 3.0, 2.0) < 500
