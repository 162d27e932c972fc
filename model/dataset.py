"""Labelled texts for training: read, cleaned, and merged so that a text occurs once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.labels import SENTIMENTS, TOPICS
from model.text import clean

UNKNOWN = -100
"""A missing label; the value torch's cross entropy ignores."""

_SENTIMENT = {name: i for i, name in enumerate(SENTIMENTS)} | {"bearish": 0, "bullish": 2}
_TOPIC = {name: i for i, name in enumerate(TOPICS)}

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Example:
    """A cleaned text and the labels known of it (``UNKNOWN`` where none is)."""

    text: str
    sentiment: int = UNKNOWN
    topic: int = UNKNOWN


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON lines file, gzip-compressed or not.

    Raises:
        ValueError: a line is not a JSON object; the message names file and line.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}: not JSON ({error.msg})") from None
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {number}: not a JSON object")
            yield row


def read_examples(path: Path) -> list[Example]:
    """Rows with ``text`` and any of ``sentiment``, ``topic``, ``label`` as examples.

    ``label`` is a sentiment (``bearish`` and ``bullish`` too) or one of the 20 topics.

    Raises:
        ValueError: a label is in neither set.
    """
    examples = []
    for row in read_jsonl(path):
        sentiment = row.get("sentiment")
        topic = row.get("topic")
        if (label := row.get("label")) is not None:
            if label in _TOPIC:
                topic = label
            else:
                sentiment = label
        for given, known in ((sentiment, _SENTIMENT), (topic, _TOPIC)):
            if given is not None and given not in known:
                raise ValueError(f"{path}: unknown label {given!r}; known: {', '.join(known)}")
        examples.append(
            Example(
                clean(row["text"]),
                UNKNOWN if sentiment is None else _SENTIMENT[sentiment],
                UNKNOWN if topic is None else _TOPIC[topic],
            )
        )
    return examples


def merge(examples: Iterable[Example]) -> list[Example]:
    """One example a text: labels of the same text are joined, the first of a kind wins."""
    merged: dict[str, Example] = {}
    for example in examples:
        key = example.text.casefold()
        if not key:
            continue
        known = merged.get(key)
        if known is None:
            merged[key] = example
            continue
        merged[key] = Example(
            known.text,
            example.sentiment if known.sentiment == UNKNOWN else known.sentiment,
            example.topic if known.topic == UNKNOWN else known.topic,
        )
    return list(merged.values())


def without(examples: Iterable[Example], held_out: Iterable[Example]) -> list[Example]:
    """The examples whose text is in no held-out set, so that no evaluation row is trained on."""
    seen = {example.text.casefold() for example in held_out}
    return [example for example in examples if example.text.casefold() not in seen]
