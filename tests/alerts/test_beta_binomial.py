from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.beta_binomial import EXACT, log_pmf, surprise

shares = st.floats(0.01, 0.99)
spreads = st.floats(0.001, 0.8)


@given(st.integers(1, 60), shares, spreads)
def test_it_is_a_distribution_with_that_mean_and_variance(n: int, share: float, spread: float):
    masses = [math.exp(log_pmf(k, n, share, spread)) for k in range(n + 1)]
    assert math.fsum(masses) == pytest.approx(1, rel=1e-9)
    mean = math.fsum(k * m for k, m in enumerate(masses))
    assert mean == pytest.approx(n * share, rel=1e-6)
    variance = math.fsum((k - mean) ** 2 * m for k, m in enumerate(masses))
    assert variance == pytest.approx(n * share * (1 - share) * (1 + (n - 1) * spread), rel=1e-6)


@given(st.integers(1, 60), st.data(), shares, spreads)
def test_a_surprise_is_the_tail(n: int, data: st.DataObject, share: float, spread: float) -> None:
    count = data.draw(st.integers(0, n))
    tail = math.fsum(math.exp(log_pmf(k, n, share, spread)) for k in range(count, n + 1))
    expected = 0.0 if count <= n * share else -math.log10(tail)
    assert surprise(count, n, share, spread) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_without_spread_it_is_nearly_the_binomial() -> None:
    binomial = sum(math.comb(10, k) * 0.25**k * 0.75 ** (10 - k) for k in range(8, 11))
    assert surprise(8, 10, 0.25, 1e-7) == pytest.approx(-math.log10(binomial), rel=1e-4)


def test_all_of_a_few_says_less_than_all_of_many() -> None:
    assert (
        0 < surprise(3, 3, 0.25, 0.05) < surprise(8, 8, 0.25, 0.05) < surprise(40, 40, 0.25, 0.05)
    )


def test_large_windows_go_on_where_small_ones_end() -> None:
    for share, spread in ((0.25, 0.05), (0.1, 0.02), (0.6, 0.2)):
        n = EXACT
        for count in range(int(n * share) + 8, n, 20):
            exact, near = surprise(count, n, share, spread), surprise(count, n + 1, share, spread)
            if exact > 12:
                break
            assert near == pytest.approx(exact, rel=0.1, abs=0.03), (count, share, spread)


def test_nothing_surprises_in_an_empty_window() -> None:
    assert surprise(0, 0, 0.25, 0.05) == 0
