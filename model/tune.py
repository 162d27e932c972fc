"""Search the settings of a training run with optuna: ``barograph tune``.

The dev part's mean macro F1 decides, never a held-out set. TPE (Bergstra et al., NeurIPS 2011)
proposes settings from those that did well, and a trial below the median of the others after the
same epoch is stopped. Of each trial its settings and scores are kept, in ``trials.log`` under
``--out``, and no weights; ``--resume`` adds to them. ``best.json`` follows after each trial, with
the command that trains with what it found.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import torch
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import BaseTrial, FrozenTrial, TrialState
from transformers import TrainerCallback

from model.backend import ModelError
from model.dataset import DatasetError, Example
from model.train import Settings, add_settings, train

SEARCHED = (
    "learning_rate",
    "head_learning_rate",
    "weight_decay",
    "warmup",
    "dropout",
    "label_smoothing",
    "average",
    "batch_size",
)
LEFT_OUT = ("soft", "folds", "fold", "stop_after")
"""Of no use here: a trial has no teachers, takes all texts, and goes to its end."""

JOURNAL = "trials.log"
BEST = "best.json"


class OutOfTime(Exception):
    """The time was up before the trial had ended."""


def suggested(trial: BaseTrial, fixed: Settings) -> Settings:
    """What a trial is to train with; two digits are enough and can be read.

    Args:
        trial: one that is under way, or one of the past.
        fixed: the settings that are not searched.
    """

    def number(name: str, low: float, high: float, log: bool = False) -> float:
        return float(f"{trial.suggest_float(name, low, high, log=log):.2g}")

    return replace(
        fixed,
        learning_rate=number("learning_rate", 1e-5, 5e-4, log=True),
        head_learning_rate=number("head_learning_rate", 1e-4, 5e-3, log=True),
        weight_decay=number("weight_decay", 1e-4, 0.2, log=True),
        warmup=number("warmup", 0.0, 0.2),
        dropout=number("dropout", 0.0, 0.3),
        label_smoothing=number("label_smoothing", 0.0, 0.15),
        # How much of the mean each step replaces spans decades, its complement does not.
        average=round(1 - number("one_minus_average", 1e-4, 0.1, log=True), 6),
        batch_size=trial.suggest_categorical("batch_size", (16, 32, 64)),
    )


class Reporter(TrainerCallback):
    """Tells a trial how each epoch went, and ends it when it lags or the time is up.

    It asks the trainer to stop, rather than raise, so that the trainer closes its files.
    """

    def __init__(self, trial: optuna.Trial, deadline: float) -> None:
        self.trial, self.deadline = trial, deadline
        self.scores: list[float] = []
        self.ended_by: type[Exception] | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if time.monotonic() > self.deadline and state.global_step < state.max_steps:
            self.ended_by = OutOfTime
            control.should_training_stop = True

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any
    ) -> None:
        if self.ended_by is not None:
            return
        self.scores.append(metrics["eval_score"])
        self.trial.report(self.scores[-1], len(self.scores))
        # After the last epoch there is no time left to save.
        if state.global_step < state.max_steps and self.trial.should_prune():
            self.ended_by = optuna.TrialPruned
            control.should_training_stop = True


def tune(
    fixed: Settings,
    backbone: Path | str,
    examples: Sequence[Example],
    dev: Sequence[Example],
    out: Path,
    trials: int,
    minutes: float = math.inf,
    resume: bool = False,
    about: dict[str, Any] | None = None,
    options: Sequence[str] = (),
) -> optuna.Study:
    """Try settings until there are so many more trials, or the time is up.

    The first trial takes the defaults, so that what is found is no worse.

    Args:
        fixed: the settings that are not searched.
        backbone: see ``train``.
        examples: to train on.
        dev: to measure on.
        out: folder of the search.
        trials: how many to do now.
        minutes: how long it may take; a trial cut off by it has failed.
        resume: add to the trials in ``out``.
        about: what else the scores depend on, such as hashes of the data.
        options: options of the training command besides the settings.

    Raises:
        ValueError: there are trials and ``resume`` is not asked for, or the other way round, or
            they were made with other settings or data.
    """
    given = {k: v for k, v in asdict(fixed).items() if k not in SEARCHED}
    study = _study(out, {"settings": given, **(about or {})}, fixed.seed, resume)
    deadline = time.monotonic() + 60 * minutes

    def objective(trial: optuna.Trial) -> float:
        reporter = Reporter(trial, deadline)
        with TemporaryDirectory(prefix="trial-", dir=out) as folder:
            train(
                suggested(trial, fixed),
                backbone,
                examples,
                dev,
                {},
                Path(folder),
                callbacks=(reporter,),
            )
        if reporter.ended_by is not None:
            raise reporter.ended_by
        return reporter.scores[-1]

    def keep_best(study: optuna.Study, _trial: FrozenTrial) -> None:
        if study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            settings = suggested(study.best_trial, fixed)
            found = {
                "score": study.best_value,
                "trial": study.best_trial.number,
                "settings": asdict(settings),
                "command": command(settings, options),
            }
            (out / BEST).write_text(json.dumps(found, indent=1) + "\n")

    study.optimize(
        objective,
        n_trials=trials,
        timeout=None if math.isinf(minutes) else 60 * minutes,
        catch=(OutOfTime, torch.OutOfMemoryError),
        callbacks=[keep_best],
        gc_after_trial=True,
        show_progress_bar=True,
    )
    return study


def _study(out: Path, about: dict[str, Any], seed: int, resume: bool) -> optuna.Study:
    journal = out / JOURNAL
    if resume and not journal.exists():
        raise ValueError(f"nothing to resume: no {journal}")
    if journal.exists() and not resume:
        raise ValueError(f"{journal} holds trials: --resume adds to them")
    out.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="barograph",
        storage=JournalStorage(JournalFileBackend(str(journal))),
        direction="maximize",
        pruner=MedianPruner(n_startup_trials=4),
        load_if_exists=True,
    )
    if study.user_attrs.get("about", about) != about:
        raise ValueError(f"{journal} was begun with other settings or data; resume with the same")
    study.set_user_attr("about", about)
    # What died with its process.
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    for folder in out.glob("trial-*"):
        shutil.rmtree(folder)
    # The same seed again would begin with the same trials again.
    study.sampler = TPESampler(seed=seed + len(study.trials))
    if not study.trials:
        usual = {name: getattr(Settings, name) for name in SEARCHED}
        study.enqueue_trial({**usual, "one_minus_average": 1 - usual.pop("average")})
    return study


def command(settings: Settings, options: Sequence[str] = ()) -> str:
    """The command line that trains with these settings; other defaults are left out."""
    words = ["python", "-m", "model.train", *options]
    for field in fields(Settings):
        value, name = getattr(settings, field.name), field.name.replace("_", "-")
        if field.name not in SEARCHED and value == field.default:
            continue
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def table(study: optuna.Study, fixed: Settings) -> str:
    """The trials, best first; a score in brackets is of a trial that did not end."""
    done = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    done.sort(key=lambda trial: (trial.state, -_last_score(trial)))
    rows = [["trial", "state", "score", "epochs", "minutes", *SEARCHED]]
    for trial in done:
        score = f"{_last_score(trial):.4f}" if trial.intermediate_values else ""
        whole = len(trial.params) == len(SEARCHED)
        settings = suggested(trial, fixed) if whole else None
        rows.append(
            [
                str(trial.number),
                trial.state.name.lower(),
                score if trial.state == TrialState.COMPLETE else f"({score})" if score else "",
                str(len(trial.intermediate_values)),
                f"{trial.duration.total_seconds() / 60:.1f}" if trial.duration else "",
                *("" if settings is None else str(getattr(settings, name)) for name in SEARCHED),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def _last_score(trial: FrozenTrial) -> float:
    return -1.0 if trial.last_step is None else trial.intermediate_values[trial.last_step]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the options and search; wrong usage exits with status 2."""
    parser = argparse.ArgumentParser(
        prog="barograph tune",
        description="Search the settings of a training run.",
        epilog="example: python -m model.tune --data ../shared/data --epochs 2 --minutes 600",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--trials", type=int, default=30, help="how many to do now")
    parser.add_argument("--minutes", type=float, default=math.inf, help="how long it may take")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="public data")
    parser.add_argument("--train", type=Path, nargs="*", help="own files, instead of the default")
    parser.add_argument("--out", type=Path, default=Path("runs/tune"), help="folder of the search")
    parser.add_argument("--backbone", help="hub name or folder; default: the e5-small wheel")
    parser.add_argument("--resume", action="store_true", help="add to the trials in the folder")
    hidden = (*SEARCHED, *LEFT_OUT)
    add_settings(parser, without=hidden)
    given = parser.parse_args(arguments)
    if given.trials < 1 or not given.minutes > 0:
        parser.error("--trials and --minutes are more than 0")
    usual = {f.name: getattr(given, f.name) for f in fields(Settings) if f.name not in hidden}
    try:
        fixed = Settings(**usual)
        study = _tune_as_asked(given, fixed)
    except (DatasetError, ModelError, ValueError) as error:
        print(f"barograph tune: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("barograph tune: interrupted; --resume goes on", file=sys.stderr)
        raise SystemExit(130) from None
    print(table(study, fixed))
    if not (given.out / BEST).exists():
        print("barograph tune: no trial ended; give it more --minutes", file=sys.stderr)
        raise SystemExit(1)
    print(f"\n{json.loads((given.out / BEST).read_text())['command']}")


def _tune_as_asked(given: argparse.Namespace, fixed: Settings) -> optuna.Study:
    from model.recipe import backbone_of, default_data, own_data

    if given.train:
        examples, dev, hashes = own_data(given.train, fixed.dev_share)
        options = ["--train", *map(str, given.train)]
    else:
        examples, dev, _, hashes = default_data(given.data, fixed.dev_share)
        options = ["--data", str(given.data)]
    if given.backbone:
        options += ["--backbone", given.backbone]
    return tune(
        fixed,
        backbone_of(given.backbone, given.out, examples),
        examples,
        dev,
        given.out,
        given.trials,
        given.minutes,
        given.resume,
        {"backbone": given.backbone or "multilingual-e5-small", "data": hashes},
        options,
    )


if __name__ == "__main__":
    main()
