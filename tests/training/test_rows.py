from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from model.export import as_onnx
from model.network import TwoHeadClassifier
from model.rows import even, unevenness
from model.smoothing import products
from tests.training.conftest import ARCHITECTURES, SEQUENCES, answers


def test_unevenness_is_that_of_the_largest_token_to_the_middle_one() -> None:
    states = np.array([[[1, -2], [0.5, 2], [-40, 3]]], np.float32)
    assert unevenness(states) == pytest.approx(20)
    assert unevenness(np.zeros((1, 3, 2), np.float32)) == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("limit", "evened"), [(0.0, True), (1e9, False)])
def test_a_network_says_the_same_when_its_tokens_are_evened(
    architecture: str,
    limit: float,
    evened: bool,
    backbone: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = TwoHeadClassifier.from_backbone(backbone(architecture))
    with torch.no_grad():
        for weight in network.parameters():  # At first biases are 0, and states of a kind.
            weight += 0.05 * torch.randn_like(weight)
    model = as_onnx(network)
    before, count = answers(model, SEQUENCES), len(products(model))
    monkeypatch.setattr("model.rows.UNEVEN", limit)
    even(model, SEQUENCES)
    onnx.checker.check_model(model)
    assert len(products(model)) == count > 0
    assert any(node.input[0].endswith("/even") for node in products(model)) == evened
    for after, plain in zip(answers(model, SEQUENCES), before, strict=True):
        np.testing.assert_allclose(after, plain, atol=1e-4)
