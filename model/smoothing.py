"""Outliers of norms moved into weights, so that one 8-bit range serves a whole tensor.

A few channels of what a norm makes are many times as large as the others and would set the range
of all. Since ``x W = (x / s) (s W)`` for any scale ``s`` of each channel, they can be made
even, at the price of less even weights. Source: SmoothQuant, Xiao et al. (arXiv 2211.10438).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

STRENGTH = 0.75
"""How much of the unevenness moves into the weights: 0 none of it, 1 all. From 0.65 to 0.8 the
logits are least disturbed, all alike; at 0.5 and 0.9 more (docs/decisions/0006-int8.md)."""

SMALLEST = 1e-5
"""Channels below are taken to be as large as this, those that are never used among them."""

Floats = npt.NDArray[np.float32]


def scales(activations: Floats, weights: Floats, strength: float = STRENGTH) -> Floats:
    """What to divide each channel by, (channels,), with a geometric mean of 1.

    Args:
        activations: the largest magnitude seen in each channel.
        weights: the largest magnitude that each channel is multiplied by.
        strength: see ``STRENGTH``.
    """
    large = np.maximum(activations, SMALLEST) ** strength
    found = large / np.maximum(weights, SMALLEST) ** (1 - strength)
    even: Floats = (found / np.exp(np.log(found).mean())).astype(np.float32)
    return even


def smooth(model: onnx.ModelProto, texts: Sequence[Sequence[int]]) -> None:
    """Smooth what norms give to products with constant matrices, in place.

    Args:
        model: a network with inputs ``input_ids`` and ``attention_mask``.
        texts: token ids of texts like those that it will be asked.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    norms = {n.output[0] for n in model.graph.node if n.op_type == "LayerNormalization"}
    by_input: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in products(model):
        if node.input[0] in norms:
            by_input[node.input[0]].append(node)
    largest = _largest(model, list(by_input), texts)
    for name, nodes in by_input.items():
        matrices = [numpy_helper.to_array(constants[node.input[1]]) for node in nodes]
        rows = np.max([np.abs(matrix).max(1) for matrix in matrices], axis=0)
        scale = scales(largest[name], rows)
        for node, matrix in zip(nodes, matrices, strict=True):
            scaled = numpy_helper.from_array(matrix * scale[:, None], node.input[1])
            constants[node.input[1]].CopyFrom(scaled)
            node.input[0] = f"{name}/smooth"
        inverse = numpy_helper.from_array(1 / scale, f"{name}/scale")
        model.graph.initializer.append(inverse)
        first = min(list(model.graph.node).index(node) for node in nodes)
        divide = helper.make_node(
            "Mul", [name, inverse.name], [f"{name}/smooth"], name=f"{name}/smooth"
        )
        model.graph.node.insert(first, divide)


def products(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that multiply states by a constant matrix, fused attention among them."""
    constants = {tensor.name for tensor in model.graph.initializer}
    kinds = ("MatMul", "Attention")
    return [n for n in model.graph.node if n.op_type in kinds and n.input[1] in constants]


def states(
    model: onnx.ModelProto, names: Sequence[str], texts: Sequence[Sequence[int]]
) -> Iterator[list[Floats]]:
    """The named states of each text, (1, tokens, channels) each."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for ids in texts:
        one = np.array([ids], np.int64)
        yield session.run(list(names), {"input_ids": one, "attention_mask": np.ones_like(one)})


def _largest(
    model: onnx.ModelProto, names: Sequence[str], texts: Sequence[Sequence[int]]
) -> dict[str, Floats]:
    """The largest magnitude in each channel of the named states, over all texts."""
    found: dict[str, Floats] = {}
    for of_text in states(model, names, texts):
        for name, one in zip(names, of_text, strict=True):
            largest = np.abs(one).reshape(-1, one.shape[-1]).max(0)
            found[name] = np.maximum(found.get(name, largest), largest)
    return found
