"""An export turned back into a network that training goes on from.

What ships is an export alone; whoever has labels of their own begins from it:
``barograph train --train mine.jsonl --backbone model/weights``. The weights are those that serve,
as near as 8 bits have kept them.

The exporter names each node by the path of its module, ``/encoder/layer.0/output/dense/MatMul``,
and ``model.fusion`` by those of several; biases, norms and embeddings keep the names of their
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from model.backend import ModelError, read_export
from model.fusion import module
from model.network import TwoHeadClassifier, TwoHeadConfig

Floats = npt.NDArray[np.float32]
Constants = Mapping[str, npt.NDArray[np.generic]]


class Restored(NamedTuple):
    """What an export holds."""

    described: dict[str, Any]
    """its ``model.json``"""
    network: TwoHeadClassifier
    """in fp32"""
    tokenizer: Tokenizer


def restore(folder: Path) -> Restored:
    """The network of an export, and what belongs to it.

    Raises:
        ModelError: a file is missing or is not the one that ``model.json`` names, or the export
            does not say what network it is of, or lacks weights of it.
    """
    described = read_export(folder)
    try:
        network = TwoHeadClassifier(TwoHeadConfig(**described["network"]))
    except (KeyError, TypeError, ValueError):
        raise ModelError(
            f"{folder / 'model.json'} does not say what network it is: export it anew"
        ) from None
    found = weights(onnx.load(folder / "model.onnx"))
    if missing := network.state_dict().keys() - found.keys():
        raise ModelError(
            f"{folder / 'model.onnx'} lacks {len(missing)} weights of its network, "
            f"{min(missing)} among them: begin from a folder that training wrote"
        )
    network.load_state_dict({n: torch.tensor(found[n]) for n in network.state_dict()})
    return Restored(described, network, Tokenizer.from_file(str(folder / "tokenizer.json")))


def write(export: Path, folder: Path) -> Path:
    """Write the network of an export as training writes one; see ``restore``."""
    _, network, served = restore(export)
    pad = served.id_to_token(network.encoder.config.pad_token_id or 0)
    network.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=served, pad_token=pad).save_pretrained(folder)
    return folder


def weights(model: onnx.ModelProto) -> dict[str, Floats]:
    """The parameters of an export by their names, as torch has them: matrices as (out, in).

    Constants that are no parameters stand among them, by the names they have in the graph.
    """
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    found: dict[str, Floats] = {n: w for n, w in constants.items() if w.dtype == np.float32}
    for node in model.graph.node:
        match node.op_type:
            case "MatMulInteger":
                matrix = _by_column(constants, node.input[1])
                found[f"{module(node.name)}.weight"] = _unsmoothed(matrix, constants, node.input[0])
            case "QAttention":
                matrix = _by_column(constants, node.input[1])
                matrix = _unsmoothed(matrix, constants, node.input[0])
                parts = zip(np.split(matrix, 3), np.split(found[node.input[2]], 3), strict=True)
                names = node.name.removesuffix("_quant").split()
                for name, (weight, bias) in zip(names, parts, strict=True):
                    found |= {f"{name}.weight": weight, f"{name}.bias": bias}
            case "MatMul" if node.input[1] in found:
                found[f"{module(node.name)}.weight"] = found[node.input[1]].T
            case "Gather" if node.input[0].endswith("_quantized"):
                name = node.input[0].removesuffix("_quantized")
                found[name] = _by_column(constants, node.input[0]).T
    return found


def _by_column(constants: Constants, name: str) -> Floats:
    """A matrix that is kept as (in, out), with a scale for all or for each column."""
    stem = name.removesuffix("_quantized")
    whole = constants[name].astype(np.float32) - constants[f"{stem}_zero_point"].astype(np.float32)
    scaled: Floats = (whole * constants[f"{stem}_scale"].astype(np.float32)).T
    return scaled


def _unsmoothed(matrix: Floats, constants: Constants, states: str) -> Floats:
    """A matrix for states as they were before ``model.smoothing`` divided them."""
    smoothed = states.removesuffix("_quantized")
    if not smoothed.endswith("/smooth"):
        return matrix
    inverse = constants[smoothed.removesuffix("smooth") + "scale"].astype(np.float32)
    whole: Floats = matrix * inverse
    return whole
