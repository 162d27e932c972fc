from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.baseline import CAP, PRIOR_RATE, PRIOR_SIZE, Baseline
from alerts.negative_binomial import quantile


def taught(counts: list[int], memory_hours: float = 336) -> Baseline:
    baseline = Baseline(memory_hours)
    for count in counts:
        baseline.learn(count)
    return baseline


def test_before_the_first_hour_there_is_the_prior():
    baseline = Baseline(336)
    assert (baseline.hours, baseline.rate, baseline.size) == (0, PRIOR_RATE, PRIOR_SIZE)


def test_a_silent_topic_keeps_a_small_rate():
    baseline = taught([0] * 2000)
    assert 0 < baseline.rate < 0.001
    assert baseline.size > 0


@pytest.mark.parametrize("rate", [1, 5, 40])
def test_it_finds_a_steady_rate(rate):
    assert taught([rate] * 500).rate == pytest.approx(rate, rel=0.01)


def test_it_forgets():
    baseline = taught([20] * 300 + [2] * 200, memory_hours=48)
    assert baseline.rate == pytest.approx(2 + 18 * math.exp(-200 / 48), rel=0.05)


def test_bursts_make_a_small_size_and_poisson_counts_a_large_one():
    chance = random.Random(1)
    bursty = [chance.choice([0, 0, 0, 20]) for _ in range(700)]
    poisson = [sum(chance.random() < 0.01 for _ in range(500)) for _ in range(700)]
    assert taught(bursty).size < 1.5
    assert taught(poisson).size > 20


def test_one_burst_counts_at_most_as_a_rare_hour():
    calm = taught([2] * 100)
    most = quantile(CAP, calm.rate, calm.size)
    once, capped = taught([2] * 100 + [100_000]), taught([2] * 100 + [most])
    assert once == capped
    assert once.rate < calm.rate + 0.5


@given(st.lists(st.integers(0, 500), max_size=60), st.floats(1, 1000))
def test_rate_and_size_are_always_positive_and_finite(counts, memory_hours):
    baseline = taught(counts, memory_hours)
    assert 0 < baseline.rate < math.inf
    assert 0 < baseline.size <= 1000
    assert baseline.hours == len(counts)


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(0, 40))
def test_a_stored_baseline_goes_on_as_it_was(counts, cut):
    stored = json.loads(json.dumps(taught(counts[:cut]).to_json()))
    restored = Baseline.from_json(stored, 336)
    for count in counts[cut:]:
        restored.learn(count)
    assert restored == taught(counts)


def test_a_stored_baseline_takes_up_the_present_memory():
    assert Baseline.from_json(taught([1]).to_json(), 24).memory_hours == 24
