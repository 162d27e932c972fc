"""The loss of both heads, and what they get right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import torch
from sklearn.metrics import accuracy_score, classification_report, f1_score
from torch.nn.functional import cross_entropy, kl_div

from model.dataset import UNKNOWN, Example
from model.encoding import Tokenized, collate
from model.labels import SENTIMENTS, TOPICS


def sentiment_weights(examples: Sequence[Example]) -> torch.Tensor:
    """Inverse square root of each class's share, mean 1: rare negatives count for more."""
    counts = np.bincount([e.sentiment for e in examples if e.sentiment != UNKNOWN], minlength=3)
    weights = 1.0 / np.sqrt(np.maximum(counts, 1))
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


def loss_of(
    logits: tuple[torch.Tensor, torch.Tensor],
    sentiment: torch.Tensor,
    topic: torch.Tensor,
    weights: torch.Tensor,
    smoothing: float,
    taught: torch.Tensor | None = None,
    share: float = 0.0,
) -> torch.Tensor:
    """Sum of both heads' cross entropies, each over the texts of which something is known.

    Args:
        logits: (texts, 3) and (texts, 20).
        sentiment: labels, ``UNKNOWN`` where there is none.
        topic: likewise.
        weights: one a sentiment.
        smoothing: of the labels.
        taught: probabilities of both heads beside each other (texts, 23), see ``model.soft``; NaN
            where there is none.
        share: how much of a text's loss they make where its label is known too; where it is not,
            they make all of it. Source: Hinton et al. (arXiv 1503.02531), at temperature 1.
    """
    # Zero, but part of the graph, so that a batch without labels can be stepped over.
    total = logits[0].float().sum() * 0.0
    lessons = taught.split([scores.shape[1] for scores in logits], 1) if taught is not None else ()
    for scores, labels, weight, lesson in zip_longest(
        logits, (sentiment, topic), (weights.to(logits[0].device), None), lessons
    ):
        hard = cross_entropy(
            scores.float(), labels, weight=weight, label_smoothing=smoothing, reduction="none"
        )
        known = labels != UNKNOWN
        worth = known.float() if weight is None else weight[labels.clamp(min=0)] * known
        if lesson is not None:
            heard = ~lesson[:, 0].isnan()
            soft = -(lesson.nan_to_num() * scores.float().log_softmax(1)).sum(1)
            part = torch.where(known, share, 1.0) * heard
            hard, worth = (1 - part) * hard + part * soft, (1 - part) * worth + part
        total = total + hard.sum() / worth.sum().clamp(min=1e-9)
    return total


def disagreement(logits: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """How differently both heads see the two halves of a batch, which hold the same texts.

    Mean over both directions of the Kullback-Leibler divergence, in nats a text, summed over the
    heads; no label is needed. The halves differ in what was varied and in what was dropped out.
    Source: R-Drop, Wu et al. (arXiv 2106.14448).
    """
    total = torch.zeros((), device=logits[0].device)
    for scores in logits:
        one, other = scores.float().log_softmax(1).chunk(2)
        for seen, said in ((one, other), (other, one)):
            total = total + kl_div(seen, said, reduction="batchmean", log_target=True) / 2
    return total


@torch.inference_mode()
def predict(
    network: torch.nn.Module, data: Tokenized, pad: int, batch_size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of both heads in the order of the data, (texts, 3) and (texts, 20)."""
    network.eval()
    device = next(network.parameters()).device
    sentiment = np.zeros((len(data), len(SENTIMENTS)), np.float32)
    topic = np.zeros((len(data), len(TOPICS)), np.float32)
    order = sorted(range(len(data)), key=lambda i: len(data.ids[i]))
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = collate([data[i] for i in indices], pad)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            found = network(batch["input_ids"].to(device), batch["attention_mask"].to(device))
        sentiment[indices] = found[0].float().cpu().numpy()
        topic[indices] = found[1].float().cpu().numpy()
    return sentiment, topic


def measure(network: torch.nn.Module, data: Tokenized, pad: int) -> dict[str, float]:
    """Accuracy and macro F1 of whichever labels the data has; towards targets apart."""
    return right(predict(network, data, pad), data.examples)


def right(scores: Sequence[np.ndarray], examples: Sequence[Example]) -> dict[str, float]:
    """The same of answers that are there: (texts, 3) and (texts, 20), the largest is meant."""
    guesses = [each.argmax(1) for each in scores]
    targeted = np.array([example.target is not None for example in examples], bool)
    figures = {}
    for name, guess, part in (
        ("sentiment", guesses[0], ~targeted),
        ("target", guesses[0], targeted),
        ("topic", guesses[1], ~targeted),
    ):
        head = "topic" if name == "topic" else "sentiment"
        truth = np.array([getattr(example, head) for example in examples])
        known = (truth != UNKNOWN) & part
        if known.any():
            figures[f"{name}_accuracy"] = float(accuracy_score(truth[known], guess[known]))
            figures[f"{name}_macro_f1"] = float(
                f1_score(truth[known], guess[known], average="macro")
            )
    return figures


def report(network: torch.nn.Module, data: Tokenized, pad: int) -> str:
    """scikit-learn's table, of each head whose labels are known."""
    tables = []
    for head, names, logits in zip(
        ("sentiment", "topic"), (SENTIMENTS, TOPICS), predict(network, data, pad), strict=True
    ):
        truth = np.array([getattr(example, head) for example in data.examples])
        known = truth != UNKNOWN
        if known.any():
            tables.append(
                classification_report(
                    truth[known],
                    logits.argmax(1)[known],
                    labels=range(len(names)),
                    target_names=names,
                    digits=3,
                    zero_division=0,
                )
            )
    return "\n".join(tables)
