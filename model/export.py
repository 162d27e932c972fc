"""Turn a trained network into the files that serve it: int8 ONNX, tokenizer, description.

``python -m model.export runs/default`` checks the export against torch on the run's own dev part,
fits the temperatures there, and only then replaces what ships. The folder holds ``model.onnx``,
``tokenizer.json`` and ``model.json`` (name, version, labels, what network it is, temperatures,
parity, how it was trained, and the sha256 of the other two).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from model.calibrate import fit_temperature
from model.classifier import WEIGHTS, Classifier
from model.dataset import UNKNOWN, DatasetError, Example, read_examples
from model.encoding import Tokenized
from model.fusion import fuse
from model.labels import SENTIMENTS, TOPICS
from model.loss import predict
from model.network import TwoHeadClassifier
from model.rows import even
from model.smoothing import smooth

MIN_AGREEMENT = 0.99
"""Share of texts on which int8 and torch must give the same sentiment."""


class ExportFault(Exception):
    """The network cannot be exported, or the export is not the network; says why."""


def as_onnx(network: TwoHeadClassifier) -> onnx.ModelProto:
    """The network as fp32 ONNX with inputs ``input_ids`` and ``attention_mask``.

    Attention is one operation where ``model.fusion`` knows how.
    """
    network.eval()
    network.encoder.set_attn_implementation("eager")
    ids = torch.ones((2, 9), dtype=torch.int64)
    axes = {0: "batch", 1: "length"}
    written = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter by tracing, whose graphs onnxruntime quantizes, warns of its age and of every
        # shape it meets.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (ids, torch.ones_like(ids)),
            written,
            input_names=["input_ids", "attention_mask"],
            output_names=["sentiment", "topic"],
            dynamic_axes={
                "input_ids": axes,
                "attention_mask": axes,
                "sentiment": {0: "batch"},
                "topic": {0: "batch"},
            },
            opset_version=17,
            dynamo=False,
        )
    of = network.encoder.config
    plain = onnx.load_from_string(written.getvalue())
    return fuse(plain, getattr(of, "num_attention_heads", 0), of.hidden_size)


def quantize(model: onnx.ModelProto, int8: Path, texts: Sequence[Sequence[int]]) -> None:
    """All weights to 8 bits, and the products in 8-bit integers, heads aside.

    Activations take one range a tensor at run time; what would set it alone, a few channels after
    norms (``model/smoothing.py``) and a few tokens elsewhere (``model/rows.py``), is evened before,
    by what the texts bring about (docs/decisions/0006-int8.md).

    Args:
        model: what ``as_onnx`` made; it is changed on the way.
        int8: file to write.
        texts: token ids of texts like those that it will be asked.
    """
    smooth(model, texts)
    even(model, texts)
    # Of the heads the quantizer makes other nodes before it looks for their names.
    heads = [f"{node.name}_MatMul" for node in model.graph.node if node.op_type == "Gemm"]
    quantize_dynamic(
        model,
        int8,
        op_types_to_quantize=["Attention", "Gather", "MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        # Seven bits: with eight the sums of two products overflow on processors that lack VNNI.
        reduce_range=True,
        nodes_to_exclude=heads,
        # Of what comes out of fused nodes the quantizer cannot infer it.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def architecture(network: TwoHeadClassifier) -> dict[str, Any]:
    """What the network is made of, less what says where and by what it was made."""
    settings = network.encoder.config.to_diff_dict()
    for name in ("transformers_version", "_name_or_path", "dtype"):
        settings.pop(name, None)
    return {"backbone": settings}


def describe(folder: Path, name: str, about: dict[str, Any]) -> None:
    """Write ``model.json`` for the files in the folder; the version is a hash of them."""
    files = {
        file: hashlib.sha256((folder / file).read_bytes()).hexdigest()
        for file in ("model.onnx", "tokenizer.json")
    }
    version = hashlib.sha256("".join(files.values()).encode()).hexdigest()[:12]
    described = {
        "name": name,
        "version": version,
        "sentiments": SENTIMENTS,
        "topics": TOPICS,
        "sha256": files,
        **about,
    }
    (folder / "model.json").write_text(json.dumps(described, indent=1) + "\n")


def parity(
    classifier: Classifier, examples: Sequence[Example], expected: np.ndarray
) -> dict[str, float | int]:
    """How far the export's sentiments are from torch's probabilities, (examples, 3)."""
    scores = classifier.classify([e.text for e in examples], [e.target for e in examples])
    got = np.array([score.probabilities for score in scores])
    return {
        "texts": len(examples),
        "sentiment_agreement": round(float((got.argmax(1) == expected.argmax(1)).mean()), 4),
        "largest_difference": round(float(np.abs(got - expected).max()), 4),
    }


def temperatures(logits: tuple[np.ndarray, np.ndarray], dev: Sequence[Example]) -> dict[str, float]:
    """Of both heads, fitted on the examples whose label is known."""
    found = {}
    for head, scores in zip(("sentiment", "topic"), logits, strict=True):
        labels = np.array([getattr(example, head) for example in dev])
        known = labels != UNKNOWN
        found[head] = round(fit_temperature(scores[known], labels[known]), 4)
    return found


def export(run: Path, out: Path, name: str, languages: Sequence[str]) -> dict[str, Any]:
    """Write a run's network to a folder that ``Classifier.load`` takes.

    Raises:
        ExportFault: the run lacks a file, or int8 and torch give too many different sentiments.
    """
    try:
        described = json.loads((run / "run.json").read_text())
        metrics = json.loads((run / "metrics.json").read_text())
        dev = read_examples(run / "dev.jsonl", targets=False)
        network = TwoHeadClassifier.from_pretrained(run)
        tokenizer = AutoTokenizer.from_pretrained(str(run))
    except (OSError, DatasetError) as error:
        raise ExportFault(f"{run} is no finished run: {error}") from None
    max_tokens = described["settings"]["max_tokens"]
    # What is longer is read in several parts when served, and cut in training.
    data = Tokenized(dev, tokenizer, max_tokens)
    dev = [e for e, ids in zip(dev, data.ids, strict=True) if len(ids) < max_tokens]
    data = Tokenized(dev, tokenizer, max_tokens)
    logits = predict(network, data, tokenizer.pad_token_id or 0)
    about = {
        "languages": list(languages),
        "max_tokens": max_tokens,
        "pairs": any(example.target is not None for example in dev),
        "network": architecture(network),
    }
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        quantize(as_onnx(network), made / "model.onnx", data.ids)
        # Training leaves in it how it cut the last text.
        served = Tokenizer.from_file(str(run / "tokenizer.json"))
        served.no_truncation()
        served.save(str(made / "tokenizer.json"))
        describe(made, name, about)
        expected = torch.from_numpy(logits[0]).softmax(1).numpy()
        found = parity(Classifier.load(made), dev, expected)
        if found["sentiment_agreement"] < MIN_AGREEMENT:
            raise ExportFault(
                f"int8 agrees with torch on {found['sentiment_agreement']:.2%} of {len(dev)} "
                f"texts, at least {MIN_AGREEMENT:.0%} are needed; nothing was written"
            )
        about |= {
            "temperature": temperatures(logits, dev),
            "parity": found,
            "training": {**described, "minutes": metrics["minutes"], "dev": metrics["dev"][-1]},
        }
        describe(made, name, about)
        out.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            shutil.copy(file, out / file.name)
    return about


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="barograph export",
        description="Write a run's network as int8 ONNX, checked against torch and calibrated.",
        epilog="example: barograph export runs/default --out model/weights",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder that training wrote")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder to write")
    parser.add_argument("--name", default="barograph-e5-small", help="name of the model")
    parser.add_argument("--languages", nargs="+", default=["en", "zh"], help="what it was made for")
    given = parser.parse_args(arguments)
    try:
        about = export(given.run, given.out, given.name, given.languages)
    except ExportFault as fault:
        print(f"barograph export: {fault}", file=sys.stderr)
        raise SystemExit(1) from None
    print(json.dumps({key: about[key] for key in ("parity", "temperature")}))
    print(f"written to {given.out}")


if __name__ == "__main__":
    main()
