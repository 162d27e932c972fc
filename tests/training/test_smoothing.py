from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model.export import as_onnx
from model.network import TwoHeadClassifier
from model.smoothing import products, scales, smooth
from tests.training.conftest import ARCHITECTURES, SEQUENCES, answers

magnitudes = arrays.arrays(np.float32, 7, elements=st.floats(0, 1000, width=32))


@given(magnitudes, magnitudes, st.floats(0, 1))
def test_scales_are_finite_and_change_no_mean(
    activations: np.ndarray, weights: np.ndarray, strength: float
) -> None:
    found = scales(activations, weights, strength)
    assert np.isfinite(found).all()
    assert (found > 0).all()
    assert np.log(found.astype(float)).mean() == pytest.approx(0, abs=1e-3)


def test_all_the_unevenness_moves_at_full_strength() -> None:
    activations = np.array([1, 10, 100], np.float32)
    even = activations / scales(activations, np.array([3, 1, 2], np.float32), strength=1.0)
    np.testing.assert_allclose(even, even[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_smoothed_network_says_the_same(
    architecture: str, backbone: Callable[[str], Path]
) -> None:
    network = TwoHeadClassifier.from_backbone(backbone(architecture))
    model = as_onnx(network)
    before = answers(model, SEQUENCES)
    count = len(products(model))
    smooth(model, SEQUENCES)
    onnx.checker.check_model(model)
    assert len(products(model)) == count > 0
    smoothed = {node.input[0] for node in products(model) if node.input[0].endswith("/smooth")}
    assert len(smoothed) >= 3
    for after, plain in zip(answers(model, SEQUENCES), before, strict=True):
        np.testing.assert_allclose(after, plain, atol=1e-4)
