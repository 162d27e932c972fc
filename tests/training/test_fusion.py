from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from model.export import as_onnx
from model.fusion import module
from model.network import TwoHeadClassifier
from tests.training.conftest import ARCHITECTURES, SEQUENCES, SIZES, answers


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_fused_network_says_what_it_says_in_torch(
    architecture: str, backbone: Callable[[str], Path]
) -> None:
    network = TwoHeadClassifier.from_backbone(backbone(architecture)).eval()
    model = as_onnx(network)
    found = iter(answers(model, SEQUENCES))
    for ids in SEQUENCES:
        one = torch.tensor([ids])
        with torch.no_grad():
            for expected in network(one, torch.ones_like(one)):
                np.testing.assert_allclose(next(found), expected, atol=1e-4)


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_attention_is_one_operation_named_after_its_modules(
    architecture: str, backbone: Callable[[str], Path]
) -> None:
    nodes = as_onnx(TwoHeadClassifier.from_backbone(backbone(architecture))).graph.node
    assert [node.name for node in nodes if node.op_type == "Attention"] == [
        " ".join(
            f"encoder.encoder.layer.{layer}.attention.self.{part}"
            for part in ("query", "key", "value")
        )
        for layer in range(SIZES["num_hidden_layers"])
    ]
    assert not any(node.op_type == "Softmax" for node in nodes)


def test_padding_is_not_attended_to_once_fused(backbone: Callable[[str], Path]) -> None:
    model = as_onnx(TwoHeadClassifier.from_backbone(backbone("bert")))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ids, mask = np.array([[0, 9, 8, 2, 1, 1]]), np.array([[1, 1, 1, 1, 0, 0]])
    padded = session.run(None, {"input_ids": ids, "attention_mask": mask})
    alone = session.run(None, {"input_ids": ids[:, :4], "attention_mask": mask[:, :4]})
    for one, other in zip(padded, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_node_tells_its_module() -> None:
    assert module("/encoder/layer.0/output/dense/MatMul") == "encoder.layer.0.output.dense"
