from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn

from model.metrics import (
    LEAST_ROWS,
    accuracy,
    bootstrap,
    brier_score,
    calibration_error,
    confusion_matrix,
    detailed,
    macro_f1,
    mcnemar,
    overall,
    per_class,
    reliability,
)

CLASSES = 4
ROWS = st.lists(
    st.tuples(*[st.integers(0, CLASSES - 1)] * 2, st.floats(0, 1)), min_size=1, max_size=60
)
RNG = np.random.default_rng


@given(ROWS)
def test_figures_are_those_of_scikit_learn(rows: list[tuple[int, int, float]]) -> None:
    truth, predicted = (np.array(column) for column in list(zip(*rows, strict=True))[:2])
    labels = range(CLASSES)
    matrix = confusion_matrix(truth, predicted, CLASSES)
    assert matrix.tolist() == sklearn.confusion_matrix(truth, predicted, labels=labels).tolist()
    assert accuracy(matrix) == pytest.approx(sklearn.accuracy_score(truth, predicted))
    assert macro_f1(matrix) == pytest.approx(
        sklearn.f1_score(truth, predicted, average="macro", zero_division=0)
    )
    expected = sklearn.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=np.nan
    )
    found = per_class(matrix)
    for ours, theirs in zip(
        (found.precision, found.recall, found.f1, found.support), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs)


def test_a_class_that_does_not_occur_has_no_figures() -> None:
    matrix = confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    found = per_class(matrix)
    assert all(math.isnan(f[2]) for f in (found.precision, found.recall, found.f1))
    assert macro_f1(matrix) == pytest.approx(2 / 3)
    classes = detailed(np.array([0]), np.array([0]), np.array([1.0]), ("a", "b"))["classes"]
    assert classes["b"] == {"precision": None, "recall": None, "f1": None, "support": 0}


def test_brier_score_runs_from_0_to_2() -> None:
    certain = np.eye(3)
    assert brier_score(certain, np.arange(3)) == 0
    assert brier_score(certain, np.array([1, 2, 0])) == 2
    assert brier_score(np.full((1, 3), 1 / 3), np.array([0])) == pytest.approx(2 / 3)


@given(ROWS)
def test_bins_hold_all_rows_and_their_own_confidences(rows: list[tuple[int, int, float]]) -> None:
    confidence = np.array([sure for _, _, sure in rows])
    correct = np.array([truth == predicted for truth, predicted, _ in rows])
    bins = reliability(confidence, correct)
    assert sum(part.count for part in bins) == len(rows)
    for part in bins:
        assert part.low - 1e-9 <= part.confidence <= part.high + 1e-9
        assert 0 <= part.accuracy <= 1
    assert 0 <= calibration_error(confidence, correct) <= 1


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.9, 0.9, 0.6, 0.6])
    correct = np.array([True, True, True, False])
    assert calibration_error(confidence, correct) == pytest.approx(0.1)
    assert calibration_error(np.array([1.0]), np.array([False])) == 1


def test_whoever_is_right_as_often_as_sure_is_calibrated_and_the_cocksure_is_not() -> None:
    confidence = RNG(1).uniform(0.35, 1, 50_000)
    correct = RNG(2).uniform(size=50_000) < confidence
    assert calibration_error(confidence, correct) < 0.01
    assert calibration_error(np.sqrt(confidence), correct) > 0.05


def test_groups_of_enough_rows_have_figures_of_their_own() -> None:
    truth, predicted = np.array([0] * 40 + [1] * 5), np.array([0] * 30 + [1] * 15)
    kinds = ["news"] * LEAST_ROWS + ["comment"] * 10 + [""] * 5
    found = detailed(truth, predicted, np.full(45, 0.9), ("a", "b"), {"kind": kinds})
    assert found["by_kind"] == {"news": overall(truth[:30], predicted[:30], np.full(30, 0.9), 2)}
    assert found["by_kind"]["news"]["accuracy"] == 1


def answers(seed: int, truth: np.ndarray, right: float) -> np.ndarray:
    """Right with this probability, else the next class."""
    wrong = RNG(seed).uniform(size=len(truth)) >= right
    return np.where(wrong, (truth + 1) % CLASSES, truth)


TRUTH = RNG(0).integers(0, CLASSES, 800)


def test_the_interval_of_equals_covers_0_and_that_of_a_better_one_does_not() -> None:
    one, same, better = (answers(s, TRUTH, p) for s, p in ((1, 0.7), (2, 0.7), (3, 0.9)))
    equal, apart = (bootstrap(TRUTH, one, other, CLASSES) for other in (same, better))
    for interval in (equal.accuracy, equal.macro_f1, *equal.recall):
        assert interval.low < 0 < interval.high
    for interval in (apart.accuracy, apart.macro_f1, *apart.recall):
        assert 0 < interval.low < interval.difference < interval.high
        assert interval.difference == pytest.approx(0.2, abs=0.08)


def test_the_interval_is_that_of_drawing_rows() -> None:
    truth, one, other = TRUTH[:100], answers(1, TRUTH[:100], 0.6), answers(2, TRUTH[:100], 0.7)
    found = bootstrap(truth, one, other, CLASSES, resamples=4_000)
    draws = RNG(5).integers(0, 100, (1_000, 100))
    drawn = [
        macro_f1(confusion_matrix(truth[d], other[d], CLASSES))
        - macro_f1(confusion_matrix(truth[d], one[d], CLASSES))
        for d in draws
    ]
    expected = np.quantile(drawn, [0.025, 0.975])
    assert (found.macro_f1.low, found.macro_f1.high) == pytest.approx(expected, abs=0.03)


def test_the_same_seed_gives_the_same_interval_and_exchange_turns_its_sign() -> None:
    one, other = answers(1, TRUTH, 0.7), answers(2, TRUTH, 0.8)
    found = bootstrap(TRUTH, one, other, CLASSES, seed=3)
    assert found == bootstrap(TRUTH, one, other, CLASSES, seed=3)
    assert found != bootstrap(TRUTH, one, other, CLASSES, seed=4)
    turned = bootstrap(TRUTH, other, one, CLASSES).accuracy
    assert turned.difference == -found.accuracy.difference


def test_a_class_without_rows_has_no_interval() -> None:
    found = bootstrap(np.array([0, 1]), np.array([0, 1]), np.array([1, 1]), 3)
    assert math.isnan(found.recall[2].low)
    assert found.accuracy.difference == -0.5


FLAGS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(FLAGS)
def test_mcnemar_is_the_exact_binomial_and_symmetric(rows: list[tuple[bool, bool]]) -> None:
    one, other = (np.array(column) for column in zip(*rows, strict=True))
    lost, won = int((one & ~other).sum()), int((other & ~one).sum())
    expected = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
    assert mcnemar(one, other) == pytest.approx(expected)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_mcnemar_stands_thousands_of_rows() -> None:
    one = np.arange(6_000) < 3_100
    assert mcnemar(one, ~one) == pytest.approx(stats.binomtest(3_100, 6_000).pvalue)
    assert mcnemar(np.ones(6_000, bool), np.zeros(6_000, bool)) == pytest.approx(0, abs=1e-300)
