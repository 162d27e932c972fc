"""Tokens whose activations are far larger than those of the others, brought to one range.

In the middle of each feed-forward part the first and the last token, which stand for no word, are
up to tens of times as large as the words, and would leave those a few of the 255 levels of an 8-bit
range. Since ``x W = r ((x / r) W)`` for any ``r`` of each token, its largest magnitude is divided
out before the product and multiplied in after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from model.smoothing import Floats, products, states

UNEVEN = 3.0
"""How many times as large as the middle token the largest must be for the division to be worth its
time; below, the words keep 6 of their 8 bits or more."""

SMALLEST = 1e-5
"""Tokens below are taken to be as large as this."""


def even(model: onnx.ModelProto, texts: Sequence[Sequence[int]]) -> None:
    """Even the tokens of products that ``model.smoothing`` left alone, in place, where they differ.

    Args:
        model: a network with inputs ``input_ids`` and ``attention_mask``.
        texts: token ids of texts like those that it will be asked.
    """
    left = [
        n for n in products(model) if n.op_type == "MatMul" and not n.input[0].endswith("/smooth")
    ]
    names = sorted({node.input[0] for node in left})
    ratios = [[unevenness(one) for one in of_text] for of_text in states(model, names, texts)]
    uneven = dict(zip(names, np.mean(ratios, axis=0) >= UNEVEN, strict=True))
    least = numpy_helper.from_array(np.array(SMALLEST, np.float32), "rows/smallest")
    model.graph.initializer.append(least)
    for node in left:
        if uneven[node.input[0]]:
            _even(model, node, least.name)


def unevenness(states: Floats) -> float:
    """How many times as large as the middle token the largest is; states are (1, tokens, n)."""
    largest = np.maximum(np.abs(states[0]).max(1), SMALLEST)
    return float(largest.max() / np.median(largest))


def _even(model: onnx.ModelProto, node: onnx.NodeProto, least: str) -> None:
    stem, given, answer = node.name, node.input[0], node.output[0]
    high, low, minus, size = (f"{stem}/{name}" for name in ("high", "low", "minus", "size"))
    before = [
        # Without an array of magnitudes between: two reductions are faster.
        helper.make_node("ReduceMax", [given], [high], axes=[-1], keepdims=1),
        helper.make_node("ReduceMin", [given], [low], axes=[-1], keepdims=1),
        helper.make_node("Neg", [low], [minus]),
        helper.make_node("Max", [high, minus, least], [size]),
        helper.make_node("Div", [given, size], [f"{stem}/even"]),
    ]
    after = helper.make_node("Mul", [f"{stem}/product", size], [answer])
    at = list(model.graph.node).index(node)
    node.input[0], node.output[0] = f"{stem}/even", f"{stem}/product"
    model.graph.node.insert(at + 1, after)
    for added in reversed(before):
        model.graph.node.insert(at, added)
