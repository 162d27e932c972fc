"""One temperature that makes a model's confidence mean what it says. Pure.

Guo et al., On calibration of modern neural networks (2017): logits divided by a temperature fitted
on held-out rows. The order of the classes stays, and so does every label.
"""

from __future__ import annotations

import math

import numpy as np

from model.dataset import UNKNOWN
from model.metrics import Floats, Labels

LOWEST, HIGHEST = 0.05, 20.0
"""Where a temperature is looked for. Rows that are all answered rightly would have it at 0."""

STEPS = 60
"""Halvings of the range: more than a float can tell apart."""


def apply_temperature(logits: Floats, temperature: float) -> Floats:
    """Probabilities, (rows, classes), of logits at a temperature."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    result: Floats = powers / powers.sum(1, keepdims=True)
    return result


def log_loss(logits: Floats, labels: Labels, temperature: float = 1.0) -> float:
    """Mean negative log probability of the labels, in nats."""
    scaled = logits.astype(np.float64) / temperature
    highest = scaled.max(1)
    normaliser = highest + np.log(np.exp(scaled - highest[:, None]).sum(1))
    return float((normaliser - scaled[np.arange(len(labels)), labels]).mean())


def fit_temperature(logits: Floats, labels: Labels) -> float:
    """The temperature of the least log loss, within ``LOWEST`` and ``HIGHEST``.

    The loss is convex in the inverse of the temperature, so its slope changes sign once at most,
    and halving the range of the log temperature finds where.

    Args:
        logits: (rows, classes).
        labels: indices; rows labelled ``UNKNOWN`` are left out.

    Raises:
        ValueError: no row is labelled.
    """
    labelled = labels != UNKNOWN
    logits, labels = logits[labelled].astype(np.float64), labels[labelled]
    if not len(labels):
        raise ValueError("no labelled rows to fit a temperature on")
    low, high = math.log(LOWEST), math.log(HIGHEST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        slope = _slope(logits, labels, math.exp(middle))
        if slope == 0:
            break
        if slope > 0:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _slope(logits: Floats, labels: Labels, temperature: float) -> float:
    """Of the log loss, by the inverse of the temperature: above 0 where it should be warmer."""
    expected = (apply_temperature(logits, temperature) * logits).sum(1)
    return float((expected - logits[np.arange(len(labels)), labels]).mean())
