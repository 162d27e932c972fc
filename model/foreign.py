"""Other people's sequence classifiers, used as they are, for sentiment alone.

A folder or a hub name, such as ProsusAI/finbert. Only safetensors are read, and no code that comes
with a model is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from model.backend import About, Loaded, ModelError, sha256
from model.labels import SENTIMENTS, Sentiment
from model.torch_backend import LONGEST, backend, choose_device, positions, read, reading

KNOWN: Mapping[str, Sentiment] = {
    "negative": "negative",
    "neutral": "neutral",
    "positive": "positive",
    "neg": "negative",
    "neu": "neutral",
    "pos": "positive",
    "bearish": "negative",
    "bullish": "positive",
}
"""What the labels of others mean; upper and lower case are the same."""

LANGUAGES = ("en",)
"""Taken for what such a model knows, since its files do not say."""


def load(name_or_dir: str, device: str | None, label_map: Mapping[str, str] | None) -> Loaded:
    """A sequence classifier whose labels are sentiments.

    Raises:
        ModelError: it cannot be read, or its labels are not all known.
    """
    place = choose_device(device)
    with reading(name_or_dir):
        config = AutoConfig.from_pretrained(name_or_dir)
        tokenizer = AutoTokenizer.from_pretrained(name_or_dir)
    groups = columns(name_or_dir, config.id2label, label_map)
    if not tokenizer.is_fast:
        raise ModelError(f"the tokenizer of {name_or_dir} is none that the library tokenizers runs")
    network = read(AutoModelForSequenceClassification, name_or_dir, place)

    def sentiment_alone(ids: Any, mask: Any) -> tuple[Any, Any]:
        logits = network(input_ids=ids, attention_mask=mask).logits
        # Labels that mean the same add their probabilities.
        ours = torch.stack([logits[:, group].logsumexp(1) for group in groups], 1)
        return ours, logits[:, :0]

    about = About(
        name=Path(name_or_dir).resolve().name if Path(name_or_dir).is_dir() else name_or_dir,
        version=_version(name_or_dir, config),
        sentiments=SENTIMENTS,
        topics=(),
        languages=LANGUAGES,
        max_tokens=min(positions(config), int(min(tokenizer.model_max_length, LONGEST))),
    )
    return Loaded(
        about,
        tokenizer.backend_tokenizer,
        backend(sentiment_alone, config, place, about.max_tokens),
    )


def columns(
    model: str, id2label: Mapping[int, str], label_map: Mapping[str, str] | None = None
) -> list[list[int]]:
    """Which of a model's outputs are negative, neutral and positive.

    Args:
        model: for messages.
        id2label: of its configuration.
        label_map: what labels mean that say nothing, such as ``{"LABEL_0": "negative"}``; it goes
            before what is known.

    Raises:
        ModelError: a label is not known, or one of the three sentiments has none.
    """
    known: dict[str, str] = {**KNOWN, **{k.lower(): v for k, v in (label_map or {}).items()}}
    found: Sequence[str] = [str(id2label[i]) for i in sorted(id2label)]
    meant = [known.get(label.lower()) for label in found]
    if None in meant or set(meant) != set(SENTIMENTS):
        raise ModelError(
            f"{model} has the labels {', '.join(found)}; each must mean negative, neutral or "
            f"positive, and each of these must be there. Known: {', '.join(known)}; "
            "a label_map may name others"
        )
    return [[i for i, label in enumerate(meant) if label == ours] for ours in SENTIMENTS]


def _version(name_or_dir: str, config: Any) -> str:
    """A hash of the weights, or the hub's commit."""
    if Path(name_or_dir).is_dir():
        return sha256(*sorted(Path(name_or_dir).glob("*.safetensors")))[:12]
    return str(getattr(config, "_commit_hash", None) or "unknown")[:12]
