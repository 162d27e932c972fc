"""How fast the torch backend scores on a GPU, and what share of the chip's peak that is.

``.venv-train/bin/python -m benchmarks.gpu`` runs encoders of two sizes with random weights in
bfloat16, on texts of two lengths and in batches of three sizes, each in three ways in turns: eager
(attention is torch's scaled dot product), by ``torch.compile``, and as CUDA graphs, one a shape.
With ``--model FOLDER`` it also counts how often a model (``model/weights`` is what ships) gives the
same label on the GPU as on the CPU in single precision; ``--labels-only`` does nothing else and
leaves the other figures as they were. Figures go to ``results/gpu.json``.
``--device cpu`` runs a tiny encoder, to try the benchmark out.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig

from model.batching import BUCKETS
from model.classifier import Classifier
from model.dataset import read_examples
from model.labels import SENTIMENTS, TOPICS
from model.network import TwoHeadClassifier, TwoHeadConfig
from model.torch_backend import Network, TorchBackend, choose_device

RESULTS = Path(__file__).parent / "results" / "gpu.json"
TEXTS = Path("../shared/data/twitter_financial_topic/valid_clean.jsonl.gz")
LENGTHS = (32, 128)
BUDGETS = {"cuda": (2_048, 32_768, 131_072), "cpu": (256,)}
"""Tokens a batch; the backend's own is the second of a GPU."""

BATCHES = 4
"""In one call of the backend, so that one can be made ready while another runs."""

SECONDS = {"cuda": 0.1, "cpu": 0.01}
"""What one measurement takes."""

# Dense bfloat16 TFLOPS by the device's name, from NVIDIA's data sheets of the H100 (SXM), the H200
# (SXM), the A100 and the L4. For all but the A100 they state twice as much, with sparsity. The PCIe
# and NVL cards of H100 and H200 are slower and not listed.
PEAKS = {r"H100 80GB HBM3": 989.0, r"H200": 989.0, r"A100\b.*": 312.0, r"L4": 121.0}


@dataclass(frozen=True)
class Size:
    """What an encoder's speed depends on."""

    layers: int
    width: int
    heads: int
    inner: int
    vocabulary: int = 30_522


SIZES = {
    "cuda": {"MiniLM": Size(6, 384, 12, 1_536), "BERT base": Size(12, 768, 12, 3_072)},
    "cpu": {"tiny": Size(2, 32, 2, 64, vocabulary=100)},
}


def flops(size: Size, tokens: int) -> int:
    """Of one text padded to so many tokens: two for each multiplication in a matrix product.

    Embeddings, norms and softmax are not counted.
    """
    projections, feed_forward = 4 * size.width**2, 2 * size.width * size.inner
    attention = 2 * tokens * size.width
    layers = size.layers * tokens * (projections + feed_forward + attention)
    return 2 * (layers + size.width * (len(SENTIMENTS) + len(TOPICS)))


def peak_of(device: str) -> float | None:
    """TFLOPS of the chip of this name, or None where they are not known."""
    return next(
        (peak for name, peak in PEAKS.items() if re.fullmatch(rf"NVIDIA {name}", device)), None
    )


class Graphs:
    """A network as CUDA graphs, one a shape, each made when its shape first comes."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._pool = torch.cuda.graph_pool_handle()
        self._made: dict[torch.Size, tuple[Any, tuple[torch.Tensor, ...], Any]] = {}

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if ids.shape not in self._made:
            self._made[ids.shape] = self._capture(ids.clone(), mask.clone())
        graph, inputs, (sentiment, topic) = self._made[ids.shape]
        for own, given in zip(inputs, (ids, mask), strict=True):
            own.copy_(given)
        graph.replay()
        return sentiment.clone(), topic.clone()

    def _capture(self, *inputs: torch.Tensor) -> tuple[Any, tuple[torch.Tensor, ...], Any]:
        # What is made at the first run, such as the workspace of the matrix products, is no part
        # of a graph.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self._network(*inputs)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            outputs = self._network(*inputs)
        return graph, inputs, outputs


def random_network(size: Size, device: torch.device) -> TwoHeadClassifier:
    torch.manual_seed(1)
    backbone = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.inner,
    )
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    network = TwoHeadClassifier(TwoHeadConfig(backbone=backbone.to_dict()))
    return network.eval().to(device, dtype)


def ways(network: TwoHeadClassifier, device: torch.device) -> dict[str, Network]:
    """The ways to run it that the device has."""
    if device.type != "cuda":
        return {"eager": network}
    return {
        "eager": network,
        # One program for all shapes: the backend has 11 lengths, and a last batch of any size.
        "compile": torch.compile(network, dynamic=True),
        "graphs": Graphs(network),
    }


def made_up(rows: int, tokens: int, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask of texts that the backend pads to so many tokens."""
    dice = np.random.default_rng(1)
    shorter = [bucket for bucket in BUCKETS if bucket < tokens][-1]
    lengths = dice.integers(shorter + 1, tokens, rows, endpoint=True)
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
    ids = dice.integers(1, vocabulary, (rows, tokens)) * mask
    return torch.from_numpy(ids), torch.from_numpy(mask)


class Timer:
    """Calls an action as often as takes about so many seconds, which the first calls tell."""

    def __init__(
        self, action: Callable[[], object], texts: int, device: torch.device, seconds: float
    ) -> None:
        self._action, self._texts, self._device, self._calls = action, texts, device, 1
        self.rate()
        self._calls = max(round(seconds * self.rate() / texts), 1)

    def rate(self) -> float:
        """Texts a second."""
        started = time.perf_counter()
        for _ in range(self._calls):
            self._action()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return self._calls * self._texts / (time.perf_counter() - started)


def timers(
    network: Network, size: Size, rows: int, tokens: int, device: torch.device
) -> tuple[Timer, Timer]:
    """Of the backend, from token ids in Python to logits in numpy, and of its network alone.

    Raises:
        RuntimeError: it cannot be run in this way.
    """
    ids, mask = made_up(rows * BATCHES, tokens, size.vocabulary)
    sequences = [row[kept.bool()].tolist() for row, kept in zip(ids, mask, strict=True)]
    backend = TorchBackend(network, device, pad=0, budget=rows * tokens)
    inputs = ids[:rows].to(device), mask[:rows].to(device)

    @torch.inference_mode()
    def alone() -> None:
        network(*inputs)

    seconds = SECONDS[device.type]
    return (
        Timer(lambda: backend.logits(sequences), len(sequences), device, seconds),
        Timer(alone, rows, device, seconds),
    )


def compare(
    networks: Mapping[str, Network],
    size: Size,
    rows: int,
    tokens: int,
    device: torch.device,
    peak: float | None,
    rounds: int,
) -> dict[str, Any]:
    """All ways in turns; what cannot be made says why, and takes no part."""
    found: dict[str, Any] = {}
    ready: dict[str, tuple[Timer, Timer]] = {}
    for way, network in networks.items():
        try:
            ready[way] = timers(network, size, rows, tokens, device)
        except RuntimeError as error:
            found[way] = {"failed": str(error).strip().partition("\n")[0]}
    rates: dict[str, list[tuple[float, float]]] = {way: [] for way in ready}
    for _ in range(rounds):
        for way, (whole, alone) in ready.items():
            rates[way].append((whole.rate(), alone.rate()))
    for way, pairs in rates.items():
        alone_rate = statistics.median(alone for _, alone in pairs)
        tflops = alone_rate * flops(size, tokens) / 1e12
        over = [a[0] / b[0] for a, b in zip(pairs, rates["eager"], strict=True)]
        found[way] = {
            "documents_per_second": round(statistics.median(whole for whole, _ in pairs), 1),
            "over_eager": round(statistics.median(over), 3),
            "network_documents_per_second": round(alone_rate, 1),
            "network_tflops": float(f"{tflops:.4g}"),
            "network_share_of_peak": None if peak is None else float(f"{tflops / peak:.3g}"),
        }
    return found


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def agreement(run: Path, texts: Sequence[str], device: torch.device) -> dict[str, Any]:
    """How often labels are the same as on the CPU in single precision."""
    here, there = (
        Classifier.load(run, backend="torch", device=name) for name in (str(device), "cpu")
    )
    pairs = list(zip(here.classify(texts), there.classify(texts), strict=True))
    apart = [np.subtract(a.probabilities, b.probabilities) for a, b in pairs]
    return {
        "device": name_of(device),
        "torch": torch.__version__,
        "model": f"{here.name} {here.version}",
        "texts": len(texts),
        "same_sentiment": round(sum(a.sentiment == b.sentiment for a, b in pairs) / len(pairs), 4),
        "same_topic": round(sum(a.topic == b.topic for a, b in pairs) / len(pairs), 4),
        "largest_difference_of_a_probability": round(float(np.abs(apart).max()), 4),
    }


def run(device: torch.device, peak: float | None, rounds: int) -> dict[str, Any]:
    """Every size, length and budget."""
    name = name_of(device)
    peak = peak if peak is not None else peak_of(name)
    runs = []
    for label, size in SIZES[device.type].items():
        network = random_network(size, device)
        networks = ways(network, device)
        for tokens in LENGTHS:
            for budget in BUDGETS[device.type]:
                rows = budget // tokens
                found = compare(networks, size, rows, tokens, device, peak, rounds)
                about = {"encoder": label, "tokens": tokens, "batch": rows}
                runs.append({**about, "flops_a_document": flops(size, tokens), "ways": found})
                print(json.dumps(runs[-1]), file=sys.stderr)
    return {
        "device": name,
        "torch": torch.__version__,
        "attention": network.encoder.config._attn_implementation,
        "dtype": str(network.dtype).removeprefix("torch."),
        "peak_tflops": peak,
        "rounds": rounds,
        "runs": runs,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--peak-tflops", type=float, help="of the chip, dense bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, help="folder, to compare labels")
    parser.add_argument("--texts", type=Path, default=TEXTS, help="rows with text, for the labels")
    parser.add_argument("--count", type=int, default=2_000, help="texts, for the labels")
    parser.add_argument("--labels-only", action="store_true", help="of --model, and no speeds")
    parser.add_argument("--out", type=Path, help="default: results/gpu.json, of a GPU only")
    given = parser.parse_args(arguments)
    if given.labels_only and not given.model:
        parser.error("--labels-only wants the --model whose labels are compared")
    if given.device == "cuda" and not torch.cuda.is_available():
        print("benchmarks.gpu: torch finds no CUDA device here", file=sys.stderr)
        raise SystemExit(1)
    device = choose_device(given.device)
    out = given.out or (RESULTS if device.type == "cuda" else None)
    if given.labels_only:
        figures = json.loads(out.read_text()) if out and out.exists() else {}
    else:
        started = time.monotonic()
        figures = run(device, given.peak_tflops, given.rounds)
        figures["seconds"] = round(time.monotonic() - started)
    if given.model:
        texts = [example.text for example in read_examples(given.texts)][: given.count]
        figures["agreement"] = agreement(given.model, texts, device)
    text = json.dumps(figures, indent=1)
    print(text)
    if out:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
