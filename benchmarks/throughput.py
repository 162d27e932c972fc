"""How many texts a second the shipped int8 model scores, beside ``transformers.pipeline``.

``.venv-train/bin/python -m benchmarks.throughput`` scores the same 5,000 tweets with both, in
turns, on the same cores: the int8 export through ``Classifier``, and the same network in torch fp32
through the pipeline that most people would use, at its best batch size. Only the ratio means
anything, since machines differ and are noisy; the turns are of 500 texts, so that a minute in which
the machine is slow slows both. Figures go to ``results/throughput.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoTokenizer, TextClassificationPipeline
from transformers.modeling_outputs import SequenceClassifierOutput

from model import restore
from model.classifier import WEIGHTS, Classifier
from model.dataset import read_examples
from model.labels import SENTIMENTS
from model.network import TwoHeadClassifier

RESULTS = Path(__file__).parent / "results" / "throughput.json"
TWEETS = "twitter_financial_topic/train.jsonl.gz"
BATCHES = (1, 8, 32, 128)
TURN = 500
"""Texts scored by one before the other has its turn, some five seconds of the slower one."""


class ForPipeline(TwoHeadClassifier):
    """The same network with the output that the pipeline asks for."""

    def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
        return SequenceClassifierOutput(logits=super().forward(input_ids, attention_mask)[0])


def rate(action: Callable[[], object], texts: int) -> float:
    started = time.monotonic()
    action()
    return texts / (time.monotonic() - started)


def run(data: Path, count: int, rounds: int) -> dict[str, Any]:
    texts = [example.text for example in read_examples(data / TWEETS)][:count]
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    classifier = Classifier.load(threads=threads)
    with TemporaryDirectory() as scratch:
        restored = restore.write(WEIGHTS, Path(scratch))
        network = ForPipeline.from_pretrained(restored)
        tokenizer = AutoTokenizer.from_pretrained(str(restored), model_max_length=128)
    network.config.id2label = dict(enumerate(SENTIMENTS))
    pipeline = TextClassificationPipeline(model=network, tokenizer=tokenizer, device="cpu")

    def piped(size: int, some: Sequence[str]) -> list[Any]:
        return list(pipeline(list(some), batch_size=size, truncation=True))

    classifier.classify(texts[:200])
    turns = [texts[i : i + TURN] for i in range(0, len(texts), TURN)] * rounds
    sizes = {size: rate(lambda size=size: piped(size, turns[0]), len(turns[0])) for size in BATCHES}
    best = max(sizes, key=sizes.__getitem__)
    ours: list[float] = []
    theirs: list[float] = []
    for turn in turns:
        ours.append(rate(lambda turn=turn: classifier.classify(turn), len(turn)))
        theirs.append(rate(lambda turn=turn: piped(best, turn), len(turn)))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    labels = [answer["label"] for answer in piped(best, texts)]
    scores = classifier.classify(texts)
    same = sum(score.sentiment == label for score, label in zip(scores, labels, strict=True))
    return {
        "texts": len(texts),
        "cores": threads,
        "model": f"{classifier.name} {classifier.version}",
        "pipeline_batch_size": best,
        "pipeline_texts_per_second_by_batch_size": {k: round(v, 1) for k, v in sizes.items()},
        "turns": len(turns),
        "texts_per_second": round(statistics.median(ours), 1),
        "pipeline_texts_per_second": round(statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_quartiles": [round(q, 2) for q in statistics.quantiles(ratios, n=4)[::2]],
        "same_label": round(same / len(texts), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    figures = run(given.data, given.count, given.rounds)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
