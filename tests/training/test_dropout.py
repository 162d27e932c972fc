from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from model.dropout import ByteDropout, quicken
from model.network import TwoHeadClassifier
from tests.training.conftest import ARCHITECTURES


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_share_is_dropped_and_the_mean_stays(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    layer = ByteDropout(p)
    found = layer(torch.ones(301, 333, dtype=dtype))
    assert found.dtype == dtype
    assert layer.p == pytest.approx(p, abs=1 / 512)
    assert (found == 0).float().mean().item() == pytest.approx(layer.p, abs=0.01)
    assert found.float().mean().item() == pytest.approx(1, abs=0.03)
    assert len(found.unique()) == 2


def test_neighbours_and_passes_are_dropped_independently() -> None:
    torch.manual_seed(2)
    layer = ByteDropout(0.5)
    one, other = (layer(torch.ones(8000)) == 0 for _ in range(2))
    for first, second in ((one, other), *((one[:-by], one[by:]) for by in (1, 7, 8))):
        assert (first & second).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_what_is_dropped_learns_nothing() -> None:
    torch.manual_seed(3)
    states = torch.ones(50, requires_grad=True)
    found = ByteDropout(0.5)(states)
    found.sum().backward()
    assert states.grad is not None
    torch.testing.assert_close(states.grad, found.detach())


def test_nothing_is_dropped_when_it_is_not_training_or_nothing_is_to_be() -> None:
    states = torch.randn(9)
    assert ByteDropout(0.5).eval()(states) is states
    assert ByteDropout(0.0)(states) is states


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_has_no_other_dropout_and_answers_the_same(
    architecture: str, backbone: Callable[[str], Path]
) -> None:
    network = TwoHeadClassifier.from_backbone(backbone(architecture)).eval()
    ids = torch.tensor([[0, 9, 8, 7, 6, 2]])
    with torch.inference_mode():
        before = network(ids, torch.ones_like(ids))
        quicken(network)
        after = network(ids, torch.ones_like(ids))
    kinds = [type(module) for module in network.modules()]
    assert nn.Dropout not in kinds
    assert ByteDropout in kinds
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
