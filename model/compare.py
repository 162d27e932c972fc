"""``barograph compare``: shall a challenger replace the champion?

Only when it is better beyond doubt somewhere, and nowhere worse. Being better takes both the
interval and McNemar's test, for being worse the interval is enough: a wrong "keep" costs a while, a
wrong "promote" costs alerts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.dataset import UNKNOWN, DatasetError, Example
from model.evaluate import (
    SEED,
    EvaluationError,
    Parser,
    TextClassifier,
    add_data_arguments,
    ask,
    load,
    read_sets,
    truths,
)
from model.labels import SENTIMENTS, TOPICS
from model.metrics import (
    Interval,
    Labels,
    accuracy,
    bootstrap,
    confusion_matrix,
    figure,
    macro_f1,
    mcnemar,
    per_class,
)

DOUBT = 0.05
"""McNemar's p below which a difference is not chance."""

MOST_RECALL_LOST = 0.03
"""A class may lose so much before it counts, if the interval says that it lost at all."""


def compare(
    champion: TextClassifier,
    challenger: TextClassifier,
    sets: Mapping[str, Sequence[Example]],
    *,
    targets: bool = False,
) -> dict[str, Any]:
    """How two models differ on the same examples, and what to do.

    Args:
        champion: the model in use.
        challenger: what may replace it.
        sets: examples by the name of their set.
        targets: also compare the sentiment towards targets.

    Returns:
        ``sets`` (for each its heads, ``verdict`` and ``reason``), ``verdict`` (``promote`` or
        ``keep``) and ``reason``, in words.

    Raises:
        EvaluationError: a set has no labels that both models answer.
    """
    result: dict[str, Any] = {"sets": {}}
    for name, examples in sets.items():
        texts = [e for e in examples if e.target is None]
        heads = _heads(champion, challenger, name, texts)
        if targets and (towards := [e for e in examples if e.target]):
            asked = _heads(champion, challenger, name, towards, [e.target or "" for e in towards])
            heads["target"] = asked["sentiment"]
        if not any(heads.values()):
            raise EvaluationError(f"{name}: no labelled rows")
        verdict, reason = judge({name: heads})
        result["sets"][name] = {**heads, "verdict": verdict, "reason": reason}
    result["verdict"], result["reason"] = judge(result["sets"])
    return result


def _heads(
    champion: TextClassifier,
    challenger: TextClassifier,
    name: str,
    examples: Sequence[Example],
    targets: Sequence[str] | None = None,
) -> dict[str, Any]:
    texts, truth = [e.text for e in examples], truths(examples)
    one = ask(champion, texts, targets, f"{name}, champion").labels()
    other = ask(challenger, texts, targets, f"{name}, challenger").labels()
    return {
        head: differences(truth[head], one[head], other[head], names)
        for head, names in (("sentiment", SENTIMENTS), ("topic", TOPICS))
    }


def differences(
    truth: Labels, champion: Labels, challenger: Labels, names: Sequence[str]
) -> dict[str, Any] | None:
    """Accuracy, macro F1 and recalls of both with the interval between them; null without rows."""
    known = (truth != UNKNOWN) & (champion != UNKNOWN) & (challenger != UNKNOWN)
    if not known.any():
        return None
    truth, champion, challenger = truth[known], champion[known], challenger[known]
    found = bootstrap(truth, champion, challenger, len(names), seed=SEED)
    one, other = (confusion_matrix(truth, said, len(names)) for said in (champion, challenger))
    recalls = per_class(one).recall, per_class(other).recall
    return {
        "rows": len(truth),
        "mcnemar_p": float(f"{mcnemar(champion == truth, challenger == truth):.3g}"),
        "accuracy": _pair(accuracy(one), accuracy(other), found.accuracy),
        "macro_f1": _pair(macro_f1(one), macro_f1(other), found.macro_f1),
        "recall": {
            name: _pair(recalls[0][i], recalls[1][i], found.recall[i])
            for i, name in enumerate(names)
            if one[i].any()
        },
    }


def _pair(champion: float, challenger: float, interval: Interval) -> dict[str, Any]:
    return {
        "champion": figure(champion),
        "challenger": figure(challenger),
        "difference": figure(interval.difference),
        "low": figure(interval.low),
        "high": figure(interval.high),
    }


def judge(sets: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """``promote`` or ``keep``, and why, from the figures as they are written down."""
    better, worse = [], []
    for name, found in sets.items():
        for head in ("sentiment", "topic", "target"):
            figures = found.get(head)
            if figures is None:
                continue
            for key, words in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
                pair = figures[key]
                if pair["low"] > 0 and figures["mcnemar_p"] < DOUBT:
                    better.append(f"{name}: {head} {words} {_points(pair)}")
                if pair["high"] < 0:
                    worse.append(f"{name}: {head} {words} {_points(pair)}")
            for label, pair in figures["recall"].items():
                if pair["difference"] < -MOST_RECALL_LOST and pair["high"] < 0:
                    worse.append(f"{name}: {head} recall of {label} {_points(pair)}")
    if worse:
        return "keep", f"worse beyond doubt: {'; '.join(worse)}"
    if better:
        return "promote", f"better beyond doubt: {'; '.join(better)}; nowhere worse"
    return "keep", "no figure is better beyond doubt"


def _points(pair: Mapping[str, float]) -> str:
    """A difference in points, with its interval."""
    change, low, high = (f"{100 * pair[key]:+.1f}" for key in ("difference", "low", "high"))
    return f"{change} points ({low} to {high})"


def as_text(result: Mapping[str, Any]) -> str:
    """A line a figure, a line a verdict."""
    lines = []
    for name, found in result["sets"].items():
        lines.append(name)
        for head in ("sentiment", "topic", "target"):
            if (figures := found.get(head)) is None:
                continue
            for key, words in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
                pair = figures[key]
                lines.append(
                    f"  {head + ' ' + words:20} {pair['champion']:.4f} -> {pair['challenger']:.4f}"
                    f"  {_points(pair)}, p {figures['mcnemar_p']}, {figures['rows']} rows"
                )
        lines.append(f"  {found['verdict']}: {found['reason']}")
    lines.append(f"{result['verdict']}: {result['reason']}")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. Status 0 whatever the verdict; 2 for wrong usage and unreadable inputs."""
    from model.classifier import ModelError

    parser = Parser(
        prog="barograph compare",
        description="Compare two models on the same labelled texts, and say which to use.",
        epilog="example: barograph compare model/weights runs/new headlines.jsonl "
        "--drop-label mixed",
    )
    parser.add_argument("champion", type=Path, metavar="CHAMPION", help="the model in use")
    parser.add_argument("challenger", type=Path, metavar="CHALLENGER", help="may replace it")
    add_data_arguments(parser)
    given = parser.parse_args(arguments)
    try:
        sets = read_sets(given)
        models = [
            load(name, given.backend, given.targets) for name in (given.champion, given.challenger)
        ]
        (champion, of_champion), (challenger, of_challenger) = models
        result = compare(champion, challenger, sets, targets=given.targets)
    except (DatasetError, EvaluationError, ModelError) as error:
        parser.error(str(error))
    print(as_text(result), end="")
    if given.json is not None:
        about = {
            role: {key: described.get(key) for key in ("name", "version")}
            for role, described in (("champion", of_champion), ("challenger", of_challenger))
        }
        figures = json.dumps({**about, **result}, ensure_ascii=False, indent=1, allow_nan=False)
        given.json.write_text(figures + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
