from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.negative_binomial import surprise
from alerts.spikes import MONTH, OVERLAP, count_test, threshold

LENGTHS = (300, 900, 3600, 86_400)


def test_the_threshold_is_the_budget_of_a_month_over_its_tests():
    assert threshold(3600, 0.5, 4) == pytest.approx(-math.log10(0.5 / 4 / (MONTH / 3600 * OVERLAP)))


def test_shorter_windows_and_smaller_budgets_are_harder_to_pass():
    by_length = [threshold(seconds, 0.5, 4) for seconds in LENGTHS]
    assert by_length == sorted(by_length, reverse=True)
    by_budget = [threshold(3600, budget, 4) for budget in (0.01, 0.1, 1.0, 10.0)]
    assert by_budget == sorted(by_budget, reverse=True)
    assert threshold(3600, 0.5, 4) > threshold(3600, 0.5, 1)


def test_no_budget_is_so_large_that_what_is_common_passes():
    assert threshold(86_400, 100.0, 1) == pytest.approx(-math.log10(0.5))
    assert threshold(10 * int(MONTH), 100.0, 1) > 0


@given(st.sampled_from(LENGTHS), st.integers(0, 50), st.floats(0.01, 30), st.floats(0.5, 100))
def test_a_test_scales_the_rate_to_its_window(seconds, count, rate, size):
    result = count_test(seconds, count, rate, size, 4.0)
    expected = rate * seconds / 3600
    assert result.expected == expected
    assert result.surprise == surprise(count, expected, size)
    assert result.low <= result.high
    assert result.excess == result.surprise / 4.0


def test_the_interval_holds_the_middle():
    result = count_test(3600, 0, 10.0, 1000.0, 4.0)
    assert (result.low, result.high) == (4, 17)
    assert result.surprise == 0.0
