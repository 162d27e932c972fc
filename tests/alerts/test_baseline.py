from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.baseline import (
    CAP,
    DAY,
    LENGTHS,
    PRIOR_RATE,
    WEEK,
    Baseline,
    Forecast,
    Seen,
    hour_of_week,
)
from alerts.negative_binomial import quantile

MONDAY = 480_048 - hour_of_week(480_048)
"""Hour since 1970 in which a week begins."""


def seen(negative: int, stories: int | None = None) -> Seen:
    """An hour whose negative stories are spread evenly."""
    slots = tuple(negative * (i + 1) // 12 - negative * i // 12 for i in range(12))
    return Seen(negative if stories is None else stories, slots)


def learn(baseline: Baseline, hour: int, what: Seen) -> None:
    baseline.learn(hour, what, baseline.forecast(hour))


def taught(counts: Iterable[int], memory_hours: float = 1344, first: int = MONDAY) -> Baseline:
    baseline = Baseline(memory_hours)
    for i, count in enumerate(counts):
        learn(baseline, first + i, seen(count, 4 * count))
    return baseline


def poisson(dice: random.Random, mean: float) -> int:
    left, count = math.exp(-mean), 0
    drawn = dice.random()
    while drawn > left:
        drawn *= dice.random()
        count += 1
    return count


def test_a_week_begins_on_monday() -> None:
    assert hour_of_week(0) == 3 * DAY  # 1970-01-01 was a Thursday
    assert hour_of_week(MONDAY) == 0
    assert hour_of_week(MONDAY - 1) == WEEK - 1


def test_before_the_first_hour_there_is_the_prior() -> None:
    forecast = Baseline(1344).forecast(MONDAY)
    assert forecast.now == pytest.approx(PRIOR_RATE)
    assert forecast.day == pytest.approx(24 * PRIOR_RATE)
    assert forecast.share == 0.25


def test_a_silent_topic_keeps_a_small_rate() -> None:
    forecast = taught([0] * 2000).forecast(MONDAY)
    assert 0 < forecast.now < 0.001
    assert min(forecast.sizes) > 0


@pytest.mark.parametrize("rate", [1, 5, 40])
def test_it_finds_a_steady_rate(rate: int) -> None:
    forecast = taught([rate] * 700).forecast(MONDAY + 700)
    for seconds in LENGTHS:
        assert forecast.expected(0, seconds) == pytest.approx(rate * seconds / 3600, rel=0.03)


def test_it_learns_the_hours_of_the_week() -> None:
    dice = random.Random(1)
    week = [10.0 if 8 <= h % 24 < 16 and h < 5 * 24 else 1.0 for h in range(WEEK)]
    week[4 * 24 + 20] = 30.0  # Fridays at eight
    baseline = taught(poisson(dice, week[h % WEEK]) for h in range(8 * WEEK))
    rates = [baseline.forecast(MONDAY + h).now for h in range(WEEK)]
    for hour, true in enumerate(week):
        assert rates[hour] == pytest.approx(true, rel=0.4, abs=1.3), hour
    assert rates[4 * 24 + 20] > 18
    forecast = baseline.forecast(MONDAY)
    assert forecast.day == pytest.approx(sum(rates[:24]), rel=0.01)


def test_one_week_is_not_yet_a_rhythm() -> None:
    week = [0] * WEEK
    week[30] = 6
    forecast = taught([2] * WEEK + week).forecast(MONDAY + 30)
    assert forecast.now < 4


def test_a_lasting_change_of_level_is_followed_within_days() -> None:
    counts = [5] * (4 * WEEK) + [15] * (4 * DAY)
    before, after = taught(counts[: 4 * WEEK]), taught(counts)
    assert before.forecast(MONDAY).now == pytest.approx(5, rel=0.05)
    assert 10 < after.forecast(MONDAY + 4 * DAY).now < 18


def test_it_forgets_in_weeks() -> None:
    counts = [20] * (4 * WEEK) + [2] * (8 * WEEK)
    assert taught(counts, memory_hours=WEEK).rate() < 2.1
    assert taught(counts, memory_hours=1e6).rate() > 6


def test_a_gap_is_neither_zero_nor_forgotten() -> None:
    whole = taught([5] * 400)
    gapped = Baseline(1344)
    for i in range(400):
        learn(gapped, MONDAY + i + (72 if i >= 200 else 0), seen(5, 20))
    assert gapped.rate() == pytest.approx(whole.rate(), rel=0.01)


def test_bursts_make_a_small_size_and_poisson_counts_a_large_one() -> None:
    dice = random.Random(1)
    bursty = taught(dice.choice([0, 0, 0, 20]) for _ in range(700)).forecast(MONDAY + 700)
    calm = taught(poisson(dice, 5) for _ in range(700)).forecast(MONDAY + 700)
    assert bursty.size(3600) < 1.5
    assert calm.size(3600) > 8


def test_bursts_of_minutes_are_known_from_bursts_of_hours() -> None:
    clumped = Baseline(1344)
    for i in range(700):
        learn(clumped, MONDAY + i, Seen(24, (6, *[0] * 11)))
    forecast = clumped.forecast(MONDAY + 700)
    assert forecast.size(300) < 0.3
    assert forecast.size(3600) > 5


def test_days_that_differ_widen_the_day_alone() -> None:
    dice = random.Random(3)
    level = [dice.choice([2.0, 10.0]) for _ in range(60)]
    together = taught(poisson(dice, level[h // 24]) for h in range(60 * 24))
    apart = taught(poisson(dice, dice.choice([2.0, 10.0])) for _ in range(60 * 24))
    at = MONDAY + 60 * 24
    assert together.forecast(at).size(86_400) < 0.5 * apart.forecast(at).size(86_400)


@pytest.mark.parametrize("rate", [5, 300, 20_000])
def test_a_first_day_far_from_the_prior_is_no_sign_of_bursts(rate: int) -> None:
    forecast = taught([rate] * DAY).forecast(MONDAY + DAY)
    assert forecast.now == pytest.approx(rate, rel=0.1)
    for seconds in LENGTHS:
        assert 0.5 < forecast.size(seconds) < 10  # a day of which nothing is known yet


def test_a_day_is_unsure_as_far_as_it_lies_in_hours_that_were_never_seen() -> None:
    """Working days are known, the first weekend comes."""
    baseline = taught([100] * 5 * DAY)
    sizes = [baseline.forecast(MONDAY + 4 * DAY + hour).size(86_400) for hour in range(DAY + 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 3 * sizes[-1]
    assert 2 < sizes[-1] < 4


def test_one_burst_counts_at_most_as_a_rare_hour() -> None:
    calm = taught([2] * 200)
    forecast = calm.forecast(MONDAY + 200)
    most = quantile(CAP, forecast.now, forecast.size(3600))
    once = taught([2] * 200 + [100_000]).forecast(MONDAY + 201)
    assert once.now < forecast.now + most / 8
    assert once.size(3600) > 1


@given(st.integers(0, 86_400), st.sampled_from(LENGTHS))
def test_windows_across_an_hour_take_part_of_each(start: int, seconds: int) -> None:
    forecast = Forecast(6.0, 12.0, 200.0, 30.0, (1.0, 2.0, 3.0, 4.0), 0.25, 0.05)
    part = start % 3600 / 3600
    if seconds == 86_400:
        assert forecast.expected(start, seconds) == pytest.approx(200 + part * 24)
    else:
        ahead = max(start % 3600 + seconds - 3600, 0) / 3600
        mean = 6 * (seconds / 3600 - ahead) + 12 * ahead
        assert forecast.expected(start, seconds) == pytest.approx(mean)
    assert forecast.size(seconds) == LENGTHS.index(seconds) + 1


def test_there_is_no_forecast_for_other_lengths() -> None:
    with pytest.raises(ValueError, match="1800"):
        Baseline(1344).forecast(MONDAY).expected(0, 1800)


hours = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=60)


@given(hours, st.floats(1, 2000))
def test_forecasts_are_always_positive_and_finite(
    counts: list[tuple[int, int]], memory_hours: float
) -> None:
    baseline = Baseline(memory_hours)
    for i, (negative, other) in enumerate(counts):
        learn(baseline, MONDAY + i, seen(negative, negative + other))
        forecast = baseline.forecast(MONDAY + i + 1)
        for value in (*forecast[:4], *forecast.sizes):
            assert 0 < value < math.inf
        assert 0 < forecast.share < 1
        assert 0 < forecast.spread < 1
    assert baseline.hours == len(counts)


@given(hours, st.integers(0, 40))
def test_a_stored_baseline_goes_on_as_it_was(counts: list[tuple[int, int]], cut: int) -> None:
    def go_on(baseline: Baseline, first: int, rows: list[tuple[int, int]]) -> Baseline:
        for i, (negative, other) in enumerate(rows, first):
            learn(baseline, MONDAY + i, seen(negative, negative + other))
        return baseline

    stored = json.loads(json.dumps(go_on(Baseline(336), 0, counts[:cut]).to_json()))
    restored = go_on(Baseline.from_json(stored, 336), len(counts[:cut]), counts[cut:])
    assert restored == go_on(Baseline(336), 0, counts)


def test_a_stored_baseline_takes_up_the_present_memory() -> None:
    assert Baseline.from_json(taught([1]).to_json(), 24).memory_hours == 24
