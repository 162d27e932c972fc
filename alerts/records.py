"""The records that leave the aggregator: windows and alerts.

Both are JSON on Kafka, upserts in SQL, and part of the public contract. Times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

Severity = Literal["warning", "critical"]
State = Literal["firing", "resolved"]
MIXED = "mixed"
"""Stands for the version, or the name, where there are several."""
Time = Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]


class Record(BaseModel):
    """Base of all records: immutable, and lenient towards keys a newer version adds."""

    # What was given may be somebody's text: no error repeats it, as errors are logged.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def to_json(self) -> bytes:
        """The record as it stands on Kafka."""
        return self.model_dump_json().encode()


class ModelName(Record):
    """Which model scored the texts; ``mixed`` where several did."""

    name: str
    version: str


class Window(Record):
    """What one aligned window (5 min, 1 h, 24 h) of one topic holds so far.

    ``revision`` is the number of documents counted, so a later revision never has a smaller one;
    ``final`` says that the horizon has passed and nothing can change it any more.
    """

    topic: str
    start: Time
    end: Time
    documents: int
    stories: int
    sources: int
    negative: int
    neutral: int
    positive: int
    negative_stories: int
    mean_sentiment: float = Field(ge=-1, le=1, description="mean of positive minus negative")
    expected_negative_stories: float | None = None
    model: ModelName | None = Field(None, description="what scored its documents")
    revision: int
    final: bool = False

    @property
    def seconds(self) -> int:
        """Length of the window."""
        return int((self.end - self.start).total_seconds())


class Evidence(Record):
    """One story that speaks for an alert."""

    id: str
    text: str = Field(description="the title, or the beginning of the text")
    url: str | None = None
    source: str
    time: Time
    negative: float = Field(ge=0, le=1, description="probability of negative sentiment")
    documents: int = Field(1, ge=1, description="documents of the window that tell it")
    author: str | None = Field(
        None, description="keyed hash of the author's handle; by it an author can be forgotten"
    )


class AlertWindow(Record):
    """The trailing window that made a test pass."""

    start: Time
    end: Time
    documents: int
    stories: int
    negative_stories: int
    sources: int
    mean_sentiment: float


class Expectation(Record):
    """What the topic's own past led to expect in that window: mean and central 95 % interval."""

    negative_stories: float
    low: float
    high: float
    hours_learned: int


class Alert(Record):
    """One transition of an alert; the newest of an ``id`` is its present state.

    Or, with ``preliminary``, what was told before there was a transition.
    """

    id: str
    topic: str
    rule: str
    severity: Severity
    state: State
    starts_at: Time
    detected_at: Time
    ends_at: Time | None = None
    window: AlertWindow
    baseline: Expectation
    surprise: dict[str, float] = Field(description="-log10 of the tail probability, per test")
    evidence: tuple[Evidence, ...] = ()
    model: ModelName
    config_version: str
    preliminary: bool = Field(
        False,
        description="told before the last minute of its window had closed: `firing` may yet be "
        "borne out or withdrawn, `resolved` withdraws it; no transition, and not kept as one",
    )

    @property
    def summary(self) -> str:
        """What happened, in one sentence."""
        if not self.preliminary:
            return f"{self.topic}: {self._finding}"
        if self.state == "firing":
            return f"{self.topic}, preliminary, its last minute not yet complete: {self._finding}"
        if self.ends_at is not None and self.ends_at < self.detected_at:
            why = "another alert of the topic has fired for an earlier minute"
        else:
            why = "it is not borne out now that its last minute is complete"
        return f"{self.topic}: the preliminary alert is withdrawn, {why}: {self._finding}"

    @property
    def _finding(self) -> str:
        minutes = int((self.window.end - self.window.start).total_seconds() // 60)
        span = f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"
        mean = self.baseline.negative_stories
        expected = f"{mean:.1f}" if mean >= 0.1 else "under 0.1"
        return (
            f"{self.window.negative_stories} negative stories from "
            f"{self.window.sources} sources in {span}, where "
            f"{expected} were expected "
            f"({self.baseline.low:.0f} to {self.baseline.high:.0f})"
        )


def together(models: Collection[ModelName]) -> ModelName | None:
    """What to call several models at once; None of none."""
    if len(models) < 2:
        return next(iter(models), None)
    names = {model.name for model in models}
    return ModelName(name=names.pop() if len(names) == 1 else MIXED, version=MIXED)


def utc(seconds: float) -> datetime:
    """Seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
