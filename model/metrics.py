"""Figures of a classifier, and whether two of them differ by more than chance. Pure.

Labels are indices into a tuple of names; rows without a label are the caller's to leave out. A
figure that is not defined (the recall of a class without rows) is NaN, and null in ``figure``, but
never 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BINS = 15
"""As in Guo et al., so that figures compare with published ones."""

RESAMPLES = 2_000

LEAST_ROWS = 30
"""Rows that a group needs for figures of its own."""


@dataclass(frozen=True)
class PerClass:
    """A figure a class, in the order of the names."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Labels


@dataclass(frozen=True)
class Bin:
    """Rows whose confidence lies above ``low`` and up to ``high``."""

    low: float
    high: float
    count: int
    confidence: float
    """their mean confidence"""
    accuracy: float


@dataclass(frozen=True)
class Interval:
    """A difference, second less first, and its 95 % interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Differences:
    """How a second classifier differs from a first on the same rows."""

    accuracy: Interval
    macro_f1: Interval
    recall: tuple[Interval, ...]
    """a class each"""


def confusion_matrix(truth: Labels, predicted: Labels, classes: int) -> Labels:
    """Counts, (classes, classes): a row a true class, a column a predicted one."""
    counts = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return counts.astype(np.int64).reshape(classes, classes)


def accuracy(matrix: Labels) -> float:
    """Share of rows on the diagonal."""
    return float(_ratio(np.trace(matrix), matrix.sum()))


def per_class(matrix: Labels) -> PerClass:
    """Precision, recall, F1 and number of rows of each class."""
    hits, support, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    return PerClass(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + predicted),
        support=support,
    )


def macro_f1(matrix: Labels) -> float:
    """Mean F1 of the classes that occur, as truth or as answer (as in scikit-learn)."""
    return float(_mean(per_class(matrix).f1))


def brier_score(probabilities: Floats, truth: Labels) -> float:
    """Mean squared distance of the probabilities, (rows, classes), from the truth: 0 to 2.

    Brier, Verification of forecasts expressed in terms of probability (1950).
    """
    hot = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - hot) ** 2).sum(1).mean())


def reliability(confidence: Floats, correct: Flags, bins: int = BINS) -> list[Bin]:
    """Accuracy by confidence, in bins of equal width; those without rows are left out.

    Args:
        confidence: probability of the predicted class, a row each.
        correct: whether it was the true one.
        bins: how many.
    """
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    confidences = np.bincount(index, confidence, bins)
    hits = np.bincount(index, correct, bins)
    return [
        Bin(
            low=i / bins,
            high=(i + 1) / bins,
            count=int(counts[i]),
            confidence=float(confidences[i] / counts[i]),
            accuracy=float(hits[i] / counts[i]),
        )
        for i in np.flatnonzero(counts).tolist()
    ]


def calibration_error(confidence: Floats, correct: Flags, bins: int = BINS) -> float:
    """Expected calibration error: mean distance of accuracy from confidence over the bins.

    Guo et al., On calibration of modern neural networks (2017), equation 5.
    """
    parts = reliability(confidence, correct, bins)
    gaps = sum(part.count * abs(part.accuracy - part.confidence) for part in parts)
    return float(_ratio(gaps, len(confidence)))


def figure(value: float) -> float | None:
    """A figure as it is written down: four places, null where it is not defined."""
    return None if math.isnan(value) else round(float(value), 4)


def overall(truth: Labels, predicted: Labels, confidence: Floats, classes: int) -> dict[str, Any]:
    """Number of rows, accuracy, macro F1 and calibration error, to be written down."""
    matrix = confusion_matrix(truth, predicted, classes)
    return {
        "rows": len(truth),
        "accuracy": figure(accuracy(matrix)),
        "macro_f1": figure(macro_f1(matrix)),
        "ece": figure(calibration_error(confidence, truth == predicted)),
    }


def detailed(
    truth: Labels,
    predicted: Labels,
    confidence: Floats,
    names: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """``overall`` with each class, the confusion matrix and the bins of ``reliability``.

    Args:
        truth: labels, a row each.
        predicted: the answers.
        confidence: their probabilities.
        names: of the labels.
        groups: by a name such as ``kind``, the group of each row. Each group of ``LEAST_ROWS`` or
            more gets its ``overall`` under ``by_kind``; the empty name is none.
    """
    matrix = confusion_matrix(truth, predicted, len(names))
    classes = per_class(matrix)
    result = {
        **overall(truth, predicted, confidence, len(names)),
        "classes": {
            name: {
                "precision": figure(classes.precision[i]),
                "recall": figure(classes.recall[i]),
                "f1": figure(classes.f1[i]),
                "support": int(classes.support[i]),
            }
            for i, name in enumerate(names)
        },
        "confusion": {"labels": list(names), "counts": matrix.tolist()},
        "reliability": [
            {key: value if key == "count" else figure(value) for key, value in asdict(part).items()}
            for part in reliability(confidence, truth == predicted)
        ],
    }
    for name, values in (groups or {}).items():
        sizes = Counter(value for value in values if value)
        rows = {value: np.array(values) == value for value in sorted(sizes)}
        result[f"by_{name}"] = {
            value: overall(truth[at], predicted[at], confidence[at], len(names))
            for value, at in rows.items()
            if sizes[value] >= LEAST_ROWS
        }
    return result


def bootstrap(
    truth: Labels,
    first: Labels,
    second: Labels,
    classes: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Differences:
    """Percentile intervals of what changes from the first answers to the second.

    Rows are drawn with replacement, and both answers to a row with it. Rows alike in truth and both
    answers are interchangeable, so a draw of rows is a multinomial draw of how many of each kind.
    """
    kinds, counts = np.unique(np.stack([truth, first, second]), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(truth), counts / len(truth), resamples)
    hot = np.eye(classes)[kinds]

    def differences(weights: npt.NDArray[np.float64]) -> tuple[Floats, Floats, Floats]:
        one = _weighted(weights, hot[0], hot[1])
        other = _weighted(weights, hot[0], hot[2])
        return other[0] - one[0], other[1] - one[1], other[2] - one[2]

    seen = differences(counts.astype(np.float64)[None])
    drawn = differences(draws.astype(np.float64))
    return Differences(
        accuracy=_interval(seen[0][0], drawn[0]),
        macro_f1=_interval(seen[1][0], drawn[1]),
        recall=tuple(_interval(seen[2][0, i], drawn[2][:, i]) for i in range(classes)),
    )


def mcnemar(first: Flags, second: Flags) -> float:
    """Exact two-sided p of rows right in one only falling on either side by chance.

    McNemar, Note on the sampling error of the difference between correlated proportions (1947),
    with the binomial in place of its chi-squared approximation.

    Args:
        first: where the first classifier is right, a row each.
        second: where the second one is.
    """
    lost, won = int((first & ~second).sum()), int((second & ~first).sum())
    n = lost + won
    ways = sum(math.comb(n, k) for k in range(min(lost, won) + 1))
    # Whole numbers up to the last step: with thousands of rows both overflow a float.
    p: float = 2 * ways / 2**n
    return min(1.0, p)


def _weighted(weights: Floats, truth: Floats, answers: Floats) -> tuple[Floats, Floats, Floats]:
    """Accuracy, macro F1, recalls a draw; of (draws, kinds) and twice one-hot (kinds, classes)."""
    hits = weights @ (truth * answers)
    support, predicted = weights @ truth, weights @ answers
    f1 = _ratio(2 * hits, support + predicted)
    return _ratio(hits.sum(1), weights.sum(1)), _mean(f1), _ratio(hits, support)


def _interval(seen: float, drawn: Floats) -> Interval:
    # A draw without the class says nothing of its recall.
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return Interval(math.nan, math.nan, math.nan)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Interval(float(seen), float(low), float(high))


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """Part by whole, NaN where the whole is 0."""
    above, below = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    nothing: Floats = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.divide(above, below, out=nothing, where=below != 0)


def _mean(values: Floats) -> Floats:
    """Mean over the last axis of what is defined."""
    return _ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(-1))
