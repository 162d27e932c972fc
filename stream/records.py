"""Documents as they come in, and as they go on with their scores.

Part of the public contract; times are RFC 3339 in UTC.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from alerts.records import ModelName, Record, Time
from model.labels import Sentiment

MAX_TEXT = 20_000
"""Characters of the longest text taken; a longer one is a dead letter."""

Kind = Literal["news", "comment", "press-release", "filing", "other"]

Weight = Annotated[float, Field(ge=0, le=10)]
"""How much a document counts; 1 is usual, and one of 0 makes no spike."""

NEGATIVE_FROM = 0.3
"""Probability of negative from which a text tells a negative story.

Below a half, and so of texts too that are called neutral: a spike of few texts is missed when half
of them are called neutral by a narrow margin, and what is usual is counted by the same measure
(python -m benchmarks.spikes).
"""


def _plausible(time: datetime) -> datetime:
    """Refuse times that no archive and no clock gives; the far future would stop the stream."""
    # First the year as it is written: at the ends of the calendar no other zone can be computed.
    if not (1969 <= time.year <= 2200 and 1970 <= time.astimezone(UTC).year < 2200):
        raise ValueError("published_at must lie between 1970 and 2199")
    return time.astimezone(UTC)


def _storable(text: object) -> object:
    """Drop null bytes, which PostgreSQL cannot store."""
    return text.replace("\x00", "") if isinstance(text, str) else text


PublishedAt = Annotated[AwareDatetime, AfterValidator(_plausible)]
Clean = BeforeValidator(_storable)
# Clean stands last and is done first; standing before them it would leave the length unchecked.
Short = Annotated[str, StringConstraints(min_length=1, max_length=200), Clean]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT), Clean
]


class Document(Record):
    """A text about markets, as a feed puts it on ``barograph.documents``."""

    text: Text
    source: Short
    id: Short = ""
    title: Annotated[str, StringConstraints(max_length=1000), Clean] | None = None
    published_at: PublishedAt | None = None
    kind: Kind = "other"
    url: Annotated[str, StringConstraints(max_length=2000), Clean] | None = None
    lang: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$")] | None = (
        None
    )
    author: Annotated[str, StringConstraints(max_length=200), Clean] | None = None
    tags: Annotated[tuple[Short, ...], Field(max_length=100)] = ()
    weight: Weight | None = None

    @model_validator(mode="before")
    @classmethod
    def _derive_id(cls, data: object) -> object:
        """Give a document without an id one that a repeat of it gets too."""
        if not isinstance(data, dict) or data.get("id"):
            return data
        parts = (
            (data.get("source"), data["url"])
            if data.get("url")
            else (data.get("source"), data.get("published_at"), data.get("text"))
        )
        digest = hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "replace"))
        return {**data, "id": digest.hexdigest()[:32]}

    @property
    def content(self) -> str:
        """What the classifier reads: the title, where there is one, then the text."""
        return f"{self.title}. {self.text}" if self.title else self.text


class SentimentScore(Record):
    """The label and the three probabilities, which sum to 1."""

    label: Sentiment
    negative: float
    neutral: float
    positive: float


class TopicScore(Record):
    """The most probable of the model's 20 topics."""

    label: str
    probability: float


class Monitored(Record):
    """A monitored topic the document counts for, and the sentiment towards it."""

    topic: str
    sentiment: SentimentScore


class ScoredDocument(Document):
    """A document with its scores, as on ``barograph.scored``.

    The author is a keyed hash, and the weight the one that it was counted with.
    """

    ingested_at: Time
    event_time: Time
    scored_at: Time
    sentiment: SentimentScore
    topic: TopicScore
    monitored: tuple[Monitored, ...]
    story: str
    model: ModelName
