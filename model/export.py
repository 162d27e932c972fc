"""Turn a trained network into the files that serve it: int8 ONNX, tokenizer, description.

``python -m model.export runs/minilm`` checks the export against torch on real texts before it
replaces what ships. The folder holds ``model.onnx``, ``tokenizer.json`` and ``model.json`` (name,
version, labels, temperatures, figures, and the sha256 of the other two).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm
from transformers import AutoTokenizer

from model.classifier import WEIGHTS, Classifier
from model.dataset import UNKNOWN, Example, read_examples
from model.labels import SENTIMENTS, TOPICS
from model.network import TwoHeadClassifier
from model.train import HELD_OUT

BLOCK = 128
"""Weights that share a scale."""

INT8_PRODUCTS = 4
"""onnxruntime's accuracy level of products in 8-bit integers."""

MIN_AGREEMENT = 0.99
"""Share of texts on which int8 and torch must give the same sentiment."""


def export_onnx(network: TwoHeadClassifier, path: Path) -> None:
    """Write the network as fp32 ONNX with inputs ``input_ids`` and ``attention_mask``."""
    network.eval()
    network.encoder.set_attn_implementation("eager")
    ids = torch.ones((2, 9), dtype=torch.int64)
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        network,
        (ids, torch.ones_like(ids)),
        str(path),
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


def quantize(fp32: Path, int8: Path) -> None:
    """All weights to 8 bits: embeddings by tensor, matrices in blocks with a scale each.

    The products then run on activations quantized block by block too, which keeps within half a
    percent of the labels of fp32; one range for the whole tensor is faster, but moved two percent
    of them (docs/decisions/0006-int8.md).
    """
    quantize_dynamic(fp32, int8, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
    blocks = MatMulNBitsQuantizer(
        onnx.load(str(int8)),
        algo_config=DefaultWeightOnlyQuantConfig(
            block_size=BLOCK,
            is_symmetric=True,
            accuracy_level=INT8_PRODUCTS,
            bits=8,
            op_types_to_quantize=("MatMul",),
        ),
    )
    blocks.process()
    blocks.model.save_model_to_file(str(int8), False)


@torch.inference_mode()
def torch_probabilities(
    network: TwoHeadClassifier, folder: Path, texts: Sequence[str], max_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both heads' probabilities by torch fp32, (texts, 3) and (texts, 20)."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    network.eval()
    sentiment, topic = [], []
    for text in tqdm(texts, desc="torch"):
        batch = tokenizer([text], truncation=True, max_length=max_tokens, return_tensors="pt")
        logits = network(batch["input_ids"], batch["attention_mask"])
        sentiment.append(logits[0].softmax(1)[0].numpy())
        topic.append(logits[1].softmax(1)[0].numpy())
    return np.array(sentiment), np.array(topic)


def figures(classifier: Classifier, held_out: dict[str, list[Example]]) -> dict[str, float]:
    """Accuracy and macro F1 of the exported model on the held-out sets."""
    found = {}
    for name, examples in held_out.items():
        scores = classifier.classify([e.text for e in examples])
        for head, labels in (("sentiment", SENTIMENTS), ("topic", TOPICS)):
            truth = np.array([getattr(e, head) for e in examples])
            guess = np.array([labels.index(getattr(s, head)) for s in scores])
            known = truth != UNKNOWN
            if known.any():
                found[f"{name}_{head}_accuracy"] = accuracy_score(truth[known], guess[known])
                found[f"{name}_{head}_macro_f1"] = f1_score(
                    truth[known], guess[known], average="macro"
                )
    return {key: round(float(value), 4) for key, value in found.items()}


def describe(folder: Path, name: str, extra: dict[str, Any]) -> None:
    """Write ``model.json`` for the files in the folder; the version is a hash of them."""
    files = {
        file: hashlib.sha256((folder / file).read_bytes()).hexdigest()
        for file in ("model.onnx", "tokenizer.json")
    }
    version = hashlib.sha256("".join(files.values()).encode()).hexdigest()[:12]
    about = {
        "name": name,
        "version": version,
        "sentiments": SENTIMENTS,
        "topics": TOPICS,
        "languages": ["en"],
        "sha256": files,
        **extra,
    }
    (folder / "model.json").write_text(json.dumps(about, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="barograph export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder that training wrote")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--name", default="barograph-minilm-l6")
    given = parser.parse_args()

    settings = json.loads((given.run / "settings.json").read_text())
    network = TwoHeadClassifier.from_pretrained(given.run)
    held_out = {n: read_examples(given.data / f"{f}.jsonl.gz") for n, f in HELD_OUT.items()}
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        export_onnx(network, made / "fp32.onnx")
        quantize(made / "fp32.onnx", made / "model.onnx")
        (made / "fp32.onnx").unlink()
        shutil.copy(given.run / "tokenizer.json", made / "tokenizer.json")
        describe(made, given.name, {"max_tokens": settings["max_tokens"]})
        classifier = Classifier.load(made)

        texts = [e.text for part in held_out.values() for e in part][::4]
        expected, _ = torch_probabilities(network, given.run, texts, settings["max_tokens"])
        scores = classifier.classify(texts)
        got = np.array([s.probabilities for s in scores])
        agreement = float((got.argmax(1) == expected.argmax(1)).mean())
        parity = {
            "texts": len(texts),
            "sentiment_agreement": round(agreement, 4),
            "largest_difference": round(float(np.abs(got - expected).max()), 4),
        }
        print(json.dumps(parity))
        if agreement < MIN_AGREEMENT:
            raise SystemExit(f"int8 agrees with torch on {agreement:.2%} only; nothing written")
        measured = figures(classifier, held_out)
        print(json.dumps(measured, indent=1))
        describe(
            made,
            given.name,
            {
                "max_tokens": settings["max_tokens"],
                "parity": parity,
                "figures": measured,
                "training": settings,
            },
        )
        given.out.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            shutil.copy(file, given.out / file.name)
    print(f"written to {given.out}")


if __name__ == "__main__":
    main()
