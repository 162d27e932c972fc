"""Attention as one operation of onnxruntime: faster than the twenty that an export writes.

What is fused, and how, is onnxruntime's own (``onnxruntime.transformers``, after BERT's graph); an
encoder whose attention it does not know stays as it was.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model

from model.smoothing import products

MICROSOFT = "com.microsoft"
"""Where onnxruntime keeps operations that are not in the standard."""


def fuse(model: onnx.ModelProto, heads: int, width: int) -> onnx.ModelProto:
    """The same network with fused attention, each named after the modules that are in it.

    The name is the paths of the modules of query, key and value, with spaces between: their
    matrices stand side by side in one, and ``model.restore`` takes them apart.

    Args:
        model: what the exporter made of a network.
        heads: of its attention, 0 if not known: then nothing is fused.
        width: of its states.
    """
    modules = {_matrix(model, node).tobytes(): module(node.name) for node in products(model)}
    options = FusionOptions("bert")
    # The rest of it is done by onnxruntime when it loads a graph, where it is of use.
    options.enable_gelu = False
    options.enable_skip_layer_norm = False
    options.enable_bias_skip_layer_norm = False
    options.enable_embed_layer_norm = False
    options.enable_bias_gelu = False
    optimized = optimize_model(model, "bert", heads, width, options, opt_level=0)
    optimized.topological_sort()
    fused = optimized.model
    if not any(opset.domain == MICROSOFT for opset in fused.opset_import):
        fused.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    for node in fused.graph.node:
        if node.op_type == "Attention":
            parts = np.split(_matrix(fused, node), 3, axis=1)
            node.name = " ".join(modules[part.tobytes()] for part in parts)
    return fused


def module(node: str) -> str:
    """The module that a node named by the exporter is of: ``/a/b/MatMul`` is of ``a.b``."""
    return node.strip("/").rpartition("/")[0].replace("/", ".")


def _matrix(model: onnx.ModelProto, node: onnx.NodeProto) -> np.ndarray:
    """The constant by which the node multiplies, (in, out)."""
    return next(
        numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.name == node.input[1]
    )
