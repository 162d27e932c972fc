"""How the topics stand, worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt
from typing import Literal

from alerts.history import Sums
from alerts.records import Alert, Window

State = Literal["critical", "warning", "elevated", "calm", "quiet"]
STATES: tuple[State, ...] = ("critical", "warning", "elevated", "calm", "quiet")

HOUR = timedelta(hours=1)
QUIET = timedelta(hours=2)
"""A topic whose newest hour ended longer ago is quiet: nothing is known of it, good or bad."""

ELEVATED = 2.0
"""Excess from which a topic is shown as elevated; a mark for the eye, no test."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One topic in the hour up to ``as_of``.

    ``share`` and ``usual`` are negative stories over stories (0 to 1), now and in the week before;
    ``excess`` is by how many roots of what was expected the negative stories exceed it.
    """

    topic: str
    state: State
    newest: datetime
    negative: int
    stories: int
    documents: int
    sources: int
    mood: float
    expected: float | None
    share: float | None
    usual: float | None
    excess: float
    alert: Alert | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """What the outlook is made of, by topic.

    ``newest`` are each topic's newest hours; ``sums`` are of the hour up to now, ``hours`` those of
    the clock that it lies in, ``usual`` the negative shares of the week before.
    """

    newest: Sequence[Window]
    sums: Mapping[str, Sums] = field(default_factory=dict)
    hours: Mapping[str, Sequence[Window]] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)
    firing: Mapping[str, Alert] = field(default_factory=dict)


def outlook(readings: Readings, as_of: datetime) -> list[Outlook]:
    """The topics, those with an alert first, then by how far they exceed what was expected.

    An hour of the clock has just begun at its first minute, so what is shown is the hour up to
    ``as_of``, from windows of five minutes.
    """
    topics = [_outlook(window, readings, as_of) for window in readings.newest]
    return sorted(topics, key=_rank)


def _rank(topic: Outlook) -> tuple[int, float, str]:
    alerting = ("critical", "warning").index(topic.state) if topic.alert else 2
    return (3 if topic.state == "quiet" else alerting, -topic.excess, topic.topic)


def _outlook(window: Window, readings: Readings, as_of: datetime) -> Outlook:
    name = window.topic
    sums = readings.sums.get(name, Sums(0, 0, 0, 0.0))
    hours = readings.hours.get(name, ())
    expected = _expected(hours, as_of)
    excess = (sums.negative - (expected or 0.0)) / sqrt((expected or 0.0) + 1)
    alert = readings.firing.get(name)
    return Outlook(
        topic=name,
        state=_state(alert, window, excess, as_of),
        newest=window.end,
        negative=sums.negative,
        stories=sums.stories,
        documents=sums.documents,
        # Sources of two windows may be the same ones, so they are not added up.
        sources=max((w.sources for w in hours if w.end > as_of - HOUR), default=0),
        mood=sums.mood,
        expected=expected,
        share=sums.negative / sums.stories if sums.stories else None,
        usual=readings.usual.get(name),
        excess=excess,
        alert=alert,
    )


def _state(alert: Alert | None, window: Window, excess: float, as_of: datetime) -> State:
    if alert is not None:
        return alert.severity
    if window.end < as_of - QUIET:
        return "quiet"
    return "elevated" if excess >= ELEVATED else "calm"


def _expected(hours: Iterable[Window], as_of: datetime) -> float | None:
    """What the hour up to ``as_of`` was expected to hold: of each hour the part it covers."""
    found = None
    for hour in hours:
        if hour.expected_negative_stories is None:
            continue
        covered = (min(hour.end, as_of) - max(hour.start, as_of - HOUR)) / HOUR
        if covered > 0:
            found = (found or 0.0) + covered * hour.expected_negative_stories
    return found


def matching(topics: Iterable[Outlook], state: str, kind: str) -> list[Outlook]:
    """Those that a filter leaves.

    Args:
        topics: all of them.
        state: one of ``STATES``, ``alert`` for the first two, or anything else for any.
        kind: ``class`` or ``watch``, or anything else for any.
    """
    states = {"alert": STATES[:2]}.get(state, (state,) if state in STATES else STATES)
    return [
        topic
        for topic in topics
        if topic.state in states
        and (kind not in ("class", "watch") or topic.topic.startswith(f"{kind}:"))
    ]
