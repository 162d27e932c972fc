"""What runs a network, as the classifier sees it: ids in, logits out, and what is known of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from model.labels import Sentiment

Logits = npt.NDArray[np.float32]

LEAST_TOKENS = 16
"""What a model must be able to read at once, for a text and its target to have room."""


class ModelError(Exception):
    """A model cannot be used; the message says why."""


class Backend(Protocol):
    """A network, wherever it runs."""

    def logits(self, sequences: Sequence[Sequence[int]]) -> tuple[Logits, Logits]:
        """Sentiment (texts, 3) and topic (texts, topics) of token ids, in their order."""
        ...


@dataclass(frozen=True)
class About:
    """What a model says of itself."""

    name: str
    version: str
    sentiments: tuple[Sentiment, ...]
    topics: tuple[str, ...]
    """none: the model tells sentiment alone"""
    languages: tuple[str, ...]
    max_tokens: int
    temperature: tuple[float, float] = (1.0, 1.0)
    """by which the logits of sentiment and topic are divided (Guo et al., arXiv 1706.04599)"""
    pairs: bool = False
    """trained to tell the sentiment towards a target"""


@dataclass(frozen=True)
class Loaded:
    """All it takes to score texts."""

    about: About
    tokenizer: Tokenizer
    backend: Backend


def is_export(folder: Path) -> bool:
    """Whether ``model.export`` wrote it, and not training or a hub."""
    return (folder / "model.onnx").is_file() and not (folder / "config.json").exists()


def read_description(folder: Path) -> dict[str, Any]:
    """What stands in ``model.json``, once the files are found to be those that it names.

    Raises:
        ModelError: a file is missing, or is not the one that ``model.json`` names.
    """
    try:
        described: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        for file, digest in described.get("sha256", {}).items():
            if sha256(folder / file) != digest:
                raise ModelError(f"{folder / file} is not the file that model.json names")
    except OSError as error:
        raise ModelError(f"no model in {folder}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError):
        raise ModelError(f"{folder / 'model.json'} does not describe a model") from None
    return described


def read_export(folder: Path) -> dict[str, Any]:
    """The same of an export, whose files must be among those that it names.

    Raises:
        ModelError: as above, or a file is not named, so that nobody knows whether it is the one.
    """
    described = read_description(folder)
    if not {"model.onnx", "tokenizer.json"} <= described.get("sha256", {}).keys():
        raise ModelError(f"{folder / 'model.json'} does not describe a model")
    return described


def about(folder: Path, described: Mapping[str, Any]) -> About:
    """A description with its types checked.

    Raises:
        ModelError: something is missing or of another type.
    """
    try:
        heat = described.get("temperature", {})
        found = About(
            name=str(described["name"]),
            version=str(described["version"]),
            sentiments=tuple(described["sentiments"]),
            topics=tuple(described["topics"]),
            languages=tuple(described["languages"]),
            max_tokens=int(described["max_tokens"]),
            temperature=(float(heat.get("sentiment", 1.0)), float(heat.get("topic", 1.0))),
            pairs=bool(described.get("pairs", False)),
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise ModelError(f"{folder / 'model.json'} does not describe a model") from None
    if not all(t > 0 for t in found.temperature) or found.max_tokens < LEAST_TOKENS:
        raise ModelError(
            f"{folder / 'model.json'}: temperatures must be above 0, "
            f"and max_tokens {LEAST_TOKENS} or more"
        )
    return found


def sha256(*files: Path) -> str:
    """One digest of the files, in their order, read piece by piece."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()
