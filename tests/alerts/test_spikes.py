from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import beta_binomial, negative_binomial
from alerts.baseline import LENGTHS, Forecast
from alerts.spikes import EXIT, MONTH, OVERLAP, Counts, Thresholds, judge, thresholds

FORECAST = Forecast(10.0, 20.0, 240.0, 10.0, (2.0, 4.0, 1000.0, 8.0), 0.25, 0.05)
END = 480_000 * 3600
PASSES_AT = Thresholds(count=4.0, share=1.3)


def counts(negative: int, stories: int) -> Counts:
    return Counts(stories, stories, negative, -0.5, negative)


def test_the_threshold_is_the_budget_of_a_month_over_its_tests() -> None:
    of_count = thresholds(3600, 0.5, 4).count
    assert of_count == pytest.approx(-math.log10(0.5 / 4 / (MONTH / 3600 * OVERLAP)))


def test_shorter_windows_and_smaller_budgets_are_harder_to_pass() -> None:
    by_length = [thresholds(seconds, 0.5, 4).count for seconds in LENGTHS]
    assert by_length == sorted(by_length, reverse=True)
    by_budget = [thresholds(3600, budget, 4).count for budget in (0.01, 0.1, 1.0, 10.0)]
    assert by_budget == sorted(by_budget, reverse=True)
    assert thresholds(3600, 0.5, 4).count > thresholds(3600, 0.5, 1).count


def test_a_larger_budget_asks_less_of_the_share_up_to_one_window_in_five() -> None:
    by_budget = {budget: 10 ** -thresholds(3600, budget, 4).share for budget in (0.1, 0.5, 2, 100)}
    assert by_budget == pytest.approx({0.1: 0.01, 0.5: 0.05, 2: 0.2, 100: 0.2})


def test_no_budget_is_so_large_that_what_is_common_passes() -> None:
    assert thresholds(86_400, 100.0, 1).count == pytest.approx(-math.log10(0.5))
    assert thresholds(10 * int(MONTH), 100.0, 1).count > 0


@given(st.sampled_from(LENGTHS), st.integers(0, 400), st.integers(0, 400), st.integers(0, 3599))
def test_both_tests_are_of_the_window_and_its_forecast(
    seconds: int, negative: int, other: int, into: int
) -> None:
    end = END + seconds + into
    result = judge(seconds, end, counts(negative, negative + other), FORECAST, PASSES_AT)
    mean = FORECAST.expected(END + into, seconds)
    assert result.expected == mean
    size = FORECAST.size(seconds)
    assert result.surprise == negative_binomial.surprise(negative, mean, size)
    share = beta_binomial.surprise(negative, negative + other, 0.25, 0.05)
    assert result.share_surprise == share
    assert (result.excess >= 1) == (result.surprise >= 4.0 and share >= 1.3)
    assert result.excess <= result.surprise / 4.0


def test_a_busy_hour_of_the_usual_mood_does_not_pass() -> None:
    busy = judge(3600, END + 3600, counts(60, 240), FORECAST, PASSES_AT)
    assert busy.surprise > 10
    assert busy.excess < EXIT
    assert judge(3600, END + 3600, counts(60, 80), FORECAST, PASSES_AT).excess > 1


def test_the_interval_holds_the_middle() -> None:
    result = judge(3600, END + 3600, counts(0, 0), FORECAST, PASSES_AT)
    assert result.interval == (4, 17)
    assert result.surprise == 0.0
