"""``barograph evaluate``: how good, how sure, how steady and how fast a model is.

Anything with ``classify`` can be measured. The result is a plain dictionary for JSON; its shares
are rounded to four places, and what is not defined is null.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, TypeVar

import numpy as np
from tqdm import tqdm

from model.calibrate import apply_temperature
from model.dataset import UNKNOWN, DatasetError, Example, read_examples
from model.labels import SENTIMENTS, TOPICS
from model.metrics import (
    LEAST_ROWS,
    Floats,
    Labels,
    brier_score,
    calibration_error,
    detailed,
    figure,
)
from model.robustness import name_dependence, steadiness

if TYPE_CHECKING:
    from model.classifier import Score

SAMPLE = 1_000
"""Texts, at most, that are changed to see whether labels stay, or scored to see how fast."""

ROUNDS = 3
CHUNK = 256
SEED = 7

_SENTIMENT = {name: i for i, name in enumerate(SENTIMENTS)}
_TOPIC = {name: i for i, name in enumerate(TOPICS)}
_T = TypeVar("_T")


class EvaluationError(Exception):
    """A model cannot be measured on these data; the message says why."""


class TextClassifier(Protocol):
    """What can be measured; without targets it is called with the texts alone.

    A topic of probability 0 means that the model tells none.
    """

    def classify(
        self, texts: Sequence[str], targets: Sequence[str | None] | None = None
    ) -> Sequence[Score]: ...


@dataclass(frozen=True)
class Answers:
    """What a model says of texts, a row each; ``UNKNOWN`` where it gives no topic."""

    sentiment: Labels
    probabilities: Floats
    topic: Labels
    topic_probability: Floats

    def labels(self, rows: slice | Sequence[int] = slice(None)) -> dict[str, Labels]:
        """The labels by head."""
        return {"sentiment": self.sentiment[rows], "topic": self.topic[rows]}


def ask(
    classifier: TextClassifier,
    texts: Sequence[str],
    targets: Sequence[str] | None = None,
    title: str = "",
) -> Answers:
    """A model's answers, with progress on a terminal.

    Raises:
        EvaluationError: an answer is none of our labels.
    """
    scores: list[Score] = []
    with tqdm(total=len(texts), desc=title, unit=" texts", disable=None, leave=False) as bar:
        for start in range(0, len(texts), CHUNK):
            rows = slice(start, start + CHUNK)
            towards = {} if targets is None else {"targets": targets[rows]}
            scores += classifier.classify(texts[rows], **towards)
            bar.update(len(texts[rows]))
    try:
        topics = [_TOPIC[s.topic] if s.topic_probability else UNKNOWN for s in scores]
        return Answers(
            np.array([_SENTIMENT[s.sentiment] for s in scores], dtype=np.int64),
            np.array([s.probabilities for s in scores], dtype=np.float64).reshape(-1, 3),
            np.array(topics, dtype=np.int64),
            np.array([s.topic_probability for s in scores], dtype=np.float64),
        )
    except KeyError as error:
        raise EvaluationError(f"the model answers {error}, which is no label of ours") from None


def truths(examples: Sequence[Example]) -> dict[str, Labels]:
    """The labels of examples by head."""
    return {
        head: np.array([getattr(e, head) for e in examples], dtype=np.int64)
        for head in ("sentiment", "topic")
    }


def evaluate(
    classifier: TextClassifier,
    sets: Mapping[str, Sequence[Example]],
    *,
    targets: bool = False,
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All figures of a model.

    Args:
        classifier: the model.
        sets: examples by the name of their set. Those with a target serve to see whether labels
            depend on the name, and as questions where ``targets``.
        targets: ask for the sentiment towards targets too.
        about: ``name`` and ``version``, and the ``temperature`` of the sentiment, if known: the
            calibration error is then also given as it was before.

    Raises:
        EvaluationError: a set has no labels, or the model answers with other ones.
    """
    about = about or {}
    warmth = (about.get("temperature") or {}).get("sentiment")
    texts = list({e.text: None for examples in sets.values() for e in examples})
    return {
        "model": {key: about[key] for key in ("name", "version") if key in about},
        "sets": {
            name: _measure(classifier, name, examples, targets, warmth)
            for name, examples in sets.items()
        },
        "throughput": throughput(classifier, _sample(texts)),
    }


def _measure(
    classifier: TextClassifier,
    name: str,
    examples: Sequence[Example],
    targets: bool,
    warmth: float | None,
) -> dict[str, Any]:
    texts = [e for e in examples if e.target is None]
    towards = [e for e in examples if e.target]
    answers = ask(classifier, [e.text for e in texts], title=name)
    sentiment = _sentiment(texts, answers, warmth)
    of_topic, sure = truths(texts)["topic"], answers.topic_probability
    topic = _figures(texts, of_topic, answers.topic, sure, TOPICS)
    target = _target(classifier, name, towards, warmth) if targets else None
    if sentiment is None and topic is None and target is None:
        raise EvaluationError(f"{name}: no labelled rows")

    def labels(texts: Sequence[str], names: Sequence[str] | None) -> dict[str, Labels]:
        return ask(classifier, texts, names, title=f"{name}, changed").labels()

    rows = _sample(range(len(texts)))
    sample, named = [texts[i] for i in rows], _sample(towards)
    return {
        "texts": len(texts),
        "sentiment": sentiment,
        "topic": topic,
        "target": target,
        "robustness": steadiness(
            [e.text for e in sample], truths(sample), answers.labels(rows), labels
        ),
        "names": name_dependence(
            [e.text for e in named], [e.target or "" for e in named], labels, targets
        ),
    }


def _sentiment(
    examples: Sequence[Example], answers: Answers, warmth: float | None
) -> dict[str, Any] | None:
    truth, sure = truths(examples)["sentiment"], answers.probabilities
    result = _figures(examples, truth, answers.sentiment, sure.max(1), SENTIMENTS)
    if result is None:
        return None
    known = truth != UNKNOWN
    result["brier"] = figure(brier_score(sure[known], truth[known]))
    if warmth is not None:
        before = apply_temperature(np.log(np.maximum(sure[known], 1e-12)), 1 / warmth).max(1)
        right = answers.sentiment[known] == truth[known]
        result["ece_before"] = figure(calibration_error(before, right))
    return result


def _figures(
    examples: Sequence[Example],
    truth: Labels,
    predicted: Labels,
    confidence: Floats,
    names: Sequence[str],
) -> dict[str, Any] | None:
    """Figures of what is labelled and answered; None where nothing is."""
    known = (truth != UNKNOWN) & (predicted != UNKNOWN)
    if not known.any():
        return None
    rows = [e for e, is_known in zip(examples, known, strict=True) if is_known]
    groups = {"kind": [e.kind for e in rows], "lang": [e.lang for e in rows]}
    return detailed(truth[known], predicted[known], confidence[known], names, groups)


def _target(
    classifier: TextClassifier, name: str, examples: Sequence[Example], warmth: float | None
) -> dict[str, Any] | None:
    """Figures towards targets, beside what the answer to the whole text would score for them.

    ``by_fate`` tells texts in which targets fare differently from those in which they do not.
    """
    texts, names = [e.text for e in examples], [e.target or "" for e in examples]
    answers = ask(classifier, texts, names, title=f"{name}, targets")
    result = _sentiment(examples, answers, warmth)
    if result is None:
        return None
    truth = truths(examples)["sentiment"]
    known = truth != UNKNOWN
    right = answers.sentiment == truth
    document = ask(classifier, texts, title=f"{name}, without targets").sentiment == truth
    fates = defaultdict(set)
    for text, label in zip(texts, truth.tolist(), strict=True):
        fates[text].add(label)
    differ = np.array([len(fates[text] - {UNKNOWN}) > 1 for text in texts])
    result["document_accuracy"] = figure(document[known].mean())
    result["by_fate"] = {
        fate: {
            "rows": int(rows.sum()),
            "accuracy": figure(right[rows].mean()),
            "document_accuracy": figure(document[rows].mean()),
        }
        for fate, rows in (("differ", known & differ), ("agree", known & ~differ))
        if rows.sum() >= LEAST_ROWS
    }
    return result


def throughput(
    classifier: TextClassifier,
    texts: Sequence[str],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Texts a second: the median of a few rounds after one to warm up."""
    seconds = []
    for _ in tqdm(range(ROUNDS + 1), desc="throughput", disable=None, leave=False):
        start = clock()
        classifier.classify(texts)
        seconds.append(clock() - start)
    return {
        "texts": len(texts),
        "characters": round(statistics.mean(map(len, texts)), 1),
        "rounds": ROUNDS,
        "processors": os.cpu_count(),
        "texts_per_second": round(len(texts) / max(statistics.median(seconds[1:]), 1e-9), 1),
    }


def _sample(items: Sequence[_T], most: int = SAMPLE) -> list[_T]:
    """At most so many, the same each time: files are often sorted by label."""
    return random.Random(SEED).sample(items, min(most, len(items)))


class Parser(argparse.ArgumentParser):
    """Wrong usage is one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def add_data_arguments(parser: Parser) -> None:
    """What ``read_sets`` reads."""
    several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []}
    add = parser.add_argument
    add("data", type=Path, nargs="+", metavar="DATA", help="labelled texts")
    add("--label-map", **several, type=_renaming, metavar="OLD=NEW", help="what labels mean")
    add("--drop-label", **several, metavar="LABEL", help="take this sentiment for no label")
    add("--targets", action="store_true", help="measure sentiment towards targets too")
    add("--backend", choices=("onnx", "torch"), default="onnx", help="torch: a run, or a hub name")
    add("--limit", type=_count, metavar="N", help="at most N texts of a set")
    add("--json", type=output, metavar="F", help="write the figures here")


def _renaming(argument: str) -> tuple[str, str]:
    old, _, new = argument.partition("=")
    if not old or (new not in _SENTIMENT and new not in _TOPIC):
        raise argparse.ArgumentTypeError(f"{argument!r} is not OLD=NEW with a label of ours as NEW")
    return old, new


def _count(argument: str) -> int:
    if not argument.isdecimal() or not int(argument):
        raise argparse.ArgumentTypeError(f"{argument!r} is not a number of texts")
    return int(argument)


def output(argument: str) -> Path:
    """A file to write: that it can be is seen before minutes of measuring."""
    path = Path(argument)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {path}: no such folder")
    return path


def read_sets(given: argparse.Namespace) -> dict[str, list[Example]]:
    """Examples by the names of their files.

    Raises:
        DatasetError: a file cannot be read, or is named twice.
    """
    sets: dict[str, list[Example]] = {}
    for path in given.data:
        name = f"{path.resolve().parent.name}/{path.name.split('.')[0]}".lstrip("/")
        if name in sets:
            raise DatasetError(f"two sets are named {name}")
        examples = read_examples(path, dict(given.label_map), targets=True, drop=given.drop_label)
        if not examples:
            raise DatasetError(f"{path} is empty")
        if given.limit:
            kept = set(_sample(list(dict.fromkeys(e.text for e in examples)), given.limit))
            examples = [e for e in examples if e.text in kept]
        sets[name] = examples
    return sets


def load(
    name: str, backend: Literal["onnx", "torch"], targets: bool
) -> tuple[TextClassifier, dict[str, Any]]:
    """A model and its description.

    Raises:
        ModelError: it cannot be loaded.
        EvaluationError: it shall tell the sentiment towards targets, and cannot.
    """
    from model.classifier import Classifier

    classifier = Classifier.load(name, backend=backend)
    if targets and not classifier.takes_targets:
        raise EvaluationError(f"the model {name} takes no targets; leave out --targets")
    known = classifier.about
    heads = dict(zip(("sentiment", "topic"), known.temperature, strict=True))
    return classifier, {"name": known.name, "version": known.version, "temperature": heads}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; wrong usage and unreadable data or models end it with status 2."""
    from model.classifier import ModelError
    from model.report import html_page, markdown

    parser = Parser(
        prog="barograph evaluate",
        description="Measure a model on labelled texts.",
        epilog="example: barograph evaluate model/weights news.jsonl --targets --html news.html",
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a model")
    add_data_arguments(parser)
    parser.add_argument("--markdown", type=output, metavar="F", help="write a report here")
    parser.add_argument("--html", type=output, metavar="F", help="write a report as a page here")
    given = parser.parse_args(arguments)
    outputs = (given.json, given.markdown, given.html)
    try:
        sets = read_sets(given)
        classifier, about = load(given.model, given.backend, given.targets)
        result = evaluate(classifier, sets, targets=given.targets, about=about)
    except (DatasetError, EvaluationError, ModelError) as error:
        parser.error(str(error))
    figures = json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False)
    texts = (f"{figures}\n", markdown(result), html_page(result))
    for path, text in zip(outputs, texts, strict=True):
        if path is not None:
            path.write_text(text, encoding="utf-8")
    if not any(outputs):
        print(markdown(result), end="")


if __name__ == "__main__":
    main()
