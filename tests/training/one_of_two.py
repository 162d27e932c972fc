"""What each of two processes does for ``test_processes.py``; ``torchrun`` starts them."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import model.train as training
from model.processes import processes
from model.train import Settings
from model.trainer import Average
from tests.training.conftest import texts
from tests.training.test_train import SETTINGS, Watch

EXAMPLES, DEV = texts()[:40], texts()[40:]

COMMAND = (
    *("--epochs", "6", "--batch-size", "4", "--no-bf16", "--dev-share", "0.2"),
    # Nothing is learned, so that it stops early.
    *("--learning-rate", "0", "--head-learning-rate", "0", "--patience", "1"),
)


class KeptAverage(Average):
    """Leaves the mean of each process in the run's folder."""

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.save(self.weights, Path(args.output_dir).parent / f"mean-{args.process_index}.pt")


def main(backbone: Path, file: Path, out: Path) -> None:
    number = processes().process_index

    def run(name: str, settings: Settings, watch: Watch, **options: Any) -> None:
        given = {"held_out": {"toy": DEV}, "out": out / name, "callbacks": [watch], **options}
        found = training.train(settings, backbone, EXAMPLES, DEV, **given)
        (out / name / f"metrics-{number}.json").write_text(json.dumps(found))
        (out / name / f"epochs-{number}.json").write_text(json.dumps(watch.epochs))

    training.Average = KeptAverage
    varied = replace(SETTINGS, augment=True)
    run("whole", varied, Watch())
    with suppress(KeyboardInterrupt):
        run("cut", varied, Watch(5))
    run("cut", varied, Watch(), resume=True, workers=1)
    run("adalora", replace(SETTINGS, method="adalora", lora_rank=4), Watch())
    given = ["--train", str(file), "--backbone", str(backbone), "--out", str(out / "command")]
    training.main([*given, *COMMAND])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
