"""Entries, documents and a tiny classifier for the tests of this package."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.records import ModelName
from alerts.settings import DetectorSettings
from model.labels import Sentiment
from stream.aggregator import AggregatorConfig
from stream.evidence import evidence_of
from stream.scorer import Raw
from stream.slices import Entry, Mark, Progress, Read

DAY0 = 20_000 * 86_400
"""A midnight; windows of all lengths begin there."""

CITIES = "Oslo Lima Cairo Perth Quito Minsk Dakar Sofia Accra Delhi Turin Hanoi".split()

SENTIMENT_OF = (-9_000, 100, 8_000)
MODEL = ModelName(name="tiny", version="1")


def story(name: str) -> str:
    """A signature like no other."""
    digest = hashlib.blake2b(name.encode(), digest_size=15).digest()
    return base64.urlsafe_b64encode(digest).decode()


def entry(
    partition: int = 0,
    offset: int = 0,
    time: int = DAY0,
    label: int = 1,
    named: str = "story",
    source: str = "source",
    **changes: Any,
) -> Entry:
    """An entry; one that tells a negative story carries evidence."""
    made = Entry(partition, offset, time, label, SENTIMENT_OF[label], story(named), source, None)
    made = made._replace(**changes)
    if not made.tells_negative or "evidence" in changes:
        return made
    identity = f"{partition}-{offset}"
    evidence = evidence_of(identity, f"text of {named}", None, made.source, time, 0.95)
    return made._replace(evidence=evidence)


def progress(
    entries: Iterable[Entry] = (), marks: Mapping[int, Mark] | None = None, arrived: float = 0.0
) -> Progress:
    """The end of a batch with these entries, each once; ``marks`` where they do not follow."""
    once = {(made.partition, made.offset): made for made in entries}
    newest: dict[int, int] = {}
    for made in once.values():
        newest[made.partition] = max(newest.get(made.partition, made.time), made.time)
    sources = tuple(dict.fromkeys(made.source for made in once.values()))
    read = tuple(
        Read(m.partition, m.offset, m.time, sources.index(m.source), 1, int(m.tells_negative))
        for m in once.values()
    )
    if marks is None:
        marks = {partition: Mark(time, arrived) for partition, time in newest.items()}
    return Progress(marks, read, sources)


def config(topics: Sequence[str] = ("class:macro",), **changes: Any) -> AggregatorConfig:
    """Of an aggregator that alerts easily."""
    detector = DetectorSettings(
        false_alarms_per_topic_month=100,
        min_stories=2,
        min_sources=1,
        warm_up_hours=2,
        min_duration_minutes=5,
        cooldown_minutes=5,
    )
    values: dict[str, Any] = {
        "topics": tuple(topics),
        "detector": detector,
        "model": MODEL,
        "config_version": "test",
        "document_partitions": 2,
    }
    return AggregatorConfig(**{**values, **changes})


def body(**fields: Any) -> bytes:
    """A document's message, with a text and a source."""
    return json.dumps({"text": "Some text", "source": "wire", **fields}).encode()


def quiet_days() -> list[tuple[int, str]]:
    """Times and texts of two days: one text in twelve is bad."""
    return [
        (
            DAY0 + 60 * minute,
            f"{'bad' if minute % 240 == 0 else 'calm'} day x{minute} {CITIES[minute % 12]}",
        )
        for minute in range(0, 48 * 60, 20)
    ]


def bad_news(number: int) -> str:
    """A bad text, for each number another story."""
    city, other = CITIES[number % 12], CITIES[(number * 7 + 3) % 12]
    return f"bad {city} {number} {other} x{number * 31} y{number * 17}"


def raw(value: bytes | None, offset: int = 0, arrived: float | None = DAY0) -> Raw:
    return Raw(0, offset, value, arrived)


@dataclass(frozen=True)
class TinyScore:
    sentiment: Sentiment
    probabilities: tuple[float, float, float]
    topic: str = "Macro"
    topic_probability: float = 0.9
    lang: str = "en"


class TinyClassifier:
    """Negative where a text says "bad", positive where it says "good"; keeps what it was given.

    "perhaps" makes it unsure: bad is neutral, by a narrow margin.

    Towards a target what stands before its name counts, back to the name before.
    """

    name = "tiny"
    version = "1"

    def __init__(self, takes_targets: bool = True) -> None:
        self.takes_targets = takes_targets
        self.texts: list[str] = []
        self.targets: list[str] = []

    def classify(
        self, texts: Sequence[str], targets: Sequence[str | None] | None = None
    ) -> list[TinyScore]:
        scores = []
        for text, target in zip(texts, targets or [None] * len(texts), strict=True):
            if target is None:
                self.texts.append(text)
                scores.append(_score(text))
            else:
                self.targets.append(target)
                scores.append(_score(text[: text.index(target)].rpartition(",")[2]))
        return scores


def _score(text: str) -> TinyScore:
    if "perhaps bad" in text.lower():
        return TinyScore("neutral", (0.4, 0.5, 0.1))
    if "bad" in text.lower():
        return TinyScore("negative", (0.9, 0.08, 0.02))
    if "good" in text.lower():
        return TinyScore("positive", (0.02, 0.08, 0.9))
    return TinyScore("neutral", (0.1, 0.8, 0.1))
