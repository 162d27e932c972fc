"""Soft labels from trained runs: what they say, on average, of each text that ships' model learns.

``python -m model.teach RUN … --out FILE``. Larger encoders, of one language even, can teach the
small one that ships: they say how likely each label is, and they have a sentiment for the texts
that only have a topic, and the reverse.

Each run is best trained without one fold (``python -m model.train --folds 4 --fold 0``, and so on):
of a label that a text has, only those speak that did not see it, since the others would repeat it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm
from transformers import AutoTokenizer

from model.dataset import UNKNOWN, DatasetError, Example, is_left_out
from model.encoding import Tokenized
from model.labels import SENTIMENTS
from model.loss import predict, right
from model.network import TwoHeadClassifier
from model.recipe import default_data, own_data
from model.soft import CLASSES, SoftLabels
from model.targets import CHINESE

Answers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Teacher:
    """A trained run, and which texts it has not seen."""

    network: TwoHeadClassifier
    tokenizer: Any
    max_tokens: int
    folds: int
    fold: int

    @classmethod
    def load(cls, run: Path) -> Teacher:
        """Raises ``OSError`` where there is no such run."""
        settings = json.loads((run / "run.json").read_text())["settings"]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        network = TwoHeadClassifier.from_pretrained(run).to(device).eval()
        return cls(
            network,
            AutoTokenizer.from_pretrained(run),
            settings["max_tokens"],
            settings.get("folds", 0),
            settings.get("fold", 0),
        )

    def answers(self, examples: Sequence[Example]) -> Answers:
        """Probabilities (examples, 23), sentiments and then topics."""
        data = Tokenized(examples, self.tokenizer, self.max_tokens)
        logits = predict(self.network, data, self.tokenizer.pad_token_id or 0, batch_size=256)
        said = [torch.from_numpy(head).double().softmax(1) for head in logits]
        found: Answers = torch.cat(said, 1).numpy()
        return found

    def saw(self, example: Example) -> bool:
        """Whether it was trained on it."""
        return not is_left_out(example, self.folds, self.fold)


def joined(
    examples: Sequence[Example], said: Sequence[Answers], saw: npt.NDArray[np.bool_]
) -> Answers:
    """The mean of what teachers say of each text.

    Args:
        examples: the texts.
        said: by teacher, (examples, 23).
        saw: (teachers, examples), which were trained on which. Of a label that a text has, those
            are not asked who saw it, unless all did.
    """
    everyone = np.ones_like(saw, np.float64)
    fresh = np.where(saw.all(0), True, ~saw).astype(np.float64)
    found = np.empty((len(examples), CLASSES))
    heads = (
        (slice(0, len(SENTIMENTS)), [e.sentiment for e in examples]),
        (slice(len(SENTIMENTS), CLASSES), [e.topic for e in examples]),
    )
    for part, labels in heads:
        asked = np.where(np.array(labels) != UNKNOWN, fresh, everyone)
        parts = np.stack([each[:, part] for each in said])
        found[:, part] = (parts * asked[..., None]).sum(0) / asked.sum(0)[:, None]
    # Nobody has learned the topic of a pair.
    found[[e.target is not None for e in examples], len(SENTIMENTS) :] = np.nan
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file; status 2 where a run cannot be read."""
    parser = argparse.ArgumentParser(
        prog="model.teach",
        description="What trained runs say of the training texts, for model.train --soft-labels.",
        epilog="example: python -m model.teach runs/teacher-* --english --out soft.safetensors",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of runs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="public data")
    parser.add_argument("--train", type=Path, nargs="*", help="own files, instead of the default")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--english", action="store_true", help="the teachers read no Chinese")
    parser.add_argument("--dev-share", type=float, default=0.04, help="as in training")
    given = parser.parse_args(arguments)
    held_out: dict[str, list[Example]] = {}
    said, saw = [], []
    try:
        if given.train:
            examples, dev, _ = own_data(given.train, given.dev_share)
        else:
            examples, dev, held_out, _ = default_data(given.data, given.dev_share)
        if given.english:
            examples = [example for example in examples if not CHINESE.search(example.text)]
        checks = {"dev": dev, **held_out}
        measured: dict[str, list[Answers]] = {name: [] for name in checks}
        for run in tqdm(given.runs, unit="run", file=sys.stderr):
            teacher = Teacher.load(run)
            said.append(teacher.answers(examples))
            saw.append([teacher.saw(example) for example in examples])
            for name, check in checks.items():
                measured[name].append(teacher.answers(check))
    except (DatasetError, OSError) as error:
        print(f"model.teach: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    SoftLabels.made(examples, joined(examples, said, np.array(saw))).write(given.out)
    figures = {}
    for name, answers in measured.items():
        both = np.split(np.mean(answers, axis=0), [len(SENTIMENTS)], axis=1)
        figures[name] = {k: round(v, 4) for k, v in right(both, checks[name]).items()}
    print(json.dumps({"texts": len(examples), "mean of the teachers": figures}, indent=1))


if __name__ == "__main__":
    main()
