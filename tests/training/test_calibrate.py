from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.calibrate import HIGHEST, LOWEST, apply_temperature, fit_temperature, log_loss
from model.dataset import UNKNOWN
from model.metrics import calibration_error


def simulated(rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn by exactly their probabilities."""
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 2, (rows, 3))
    chances = apply_temperature(logits, 1)
    return logits, (rng.uniform(size=(rows, 1)) > chances.cumsum(1)).sum(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_on_is_found(temperature: float) -> None:
    logits, labels = simulated()
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_the_cocksure_is_calibrated_and_keeps_its_labels() -> None:
    logits, labels = simulated()
    cocksure = logits * 3
    before = apply_temperature(cocksure, 1)
    after = apply_temperature(cocksure, fit_temperature(cocksure, labels))
    assert (before.argmax(1) == after.argmax(1)).all()
    right = after.argmax(1) == labels
    assert calibration_error(after.max(1), right) < 0.02 < calibration_error(before.max(1), right)


@given(st.integers(0, 1_000), st.floats(LOWEST, HIGHEST))
def test_no_other_temperature_has_less_loss(seed: int, other: float) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 2, (30, 3)), rng.integers(0, 3, 30)
    found = fit_temperature(logits, labels)
    assert log_loss(logits, labels, found) <= log_loss(logits, labels, other) + 1e-9


@given(
    st.lists(st.lists(st.floats(-300, 300), min_size=3, max_size=3), min_size=1, max_size=9),
    st.floats(LOWEST, HIGHEST),
)
def test_probabilities_add_up_however_large_the_logits(
    logits: list[list[float]], temperature: float
) -> None:
    found = apply_temperature(np.array(logits), temperature)
    assert found.sum(1) == pytest.approx(1)
    assert ((found >= 0) & (found <= 1)).all()


def test_log_loss_by_hand() -> None:
    assert log_loss(np.zeros((2, 3)), np.array([0, 2])) == pytest.approx(np.log(3))
    assert log_loss(np.array([[1e4, 0.0]]), np.array([1])) == pytest.approx(1e4)


def test_rows_without_a_label_do_not_count() -> None:
    logits, labels = simulated(500)
    more = np.concatenate([logits, -logits]), np.concatenate([labels, np.full(500, UNKNOWN)])
    assert fit_temperature(*more) == fit_temperature(logits, labels)


def test_the_temperature_stays_in_bounds() -> None:
    logits = np.array([[1.0, 0, 0], [0, 1, 0]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(LOWEST)
    assert fit_temperature(logits, np.array([2, 2])) == pytest.approx(HIGHEST)
    assert fit_temperature(np.ones((2, 3)), np.array([0, 1])) == pytest.approx(1)


def test_nothing_labelled_is_an_error() -> None:
    with pytest.raises(ValueError, match="no labelled rows"):
        fit_temperature(np.zeros((1, 3)), np.array([UNKNOWN]))
