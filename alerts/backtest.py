"""What alerts were worth against events that are known to have happened. Pure, but for reading.

An alert hits an event of its topic when it fires within a time before or after it. Several alerts
may hit one event, which counts once; the first of them gives its lead time.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from alerts.records import Alert, Window
from alerts.spikes import MONTH

T = TypeVar("T", Alert, Window)


class BacktestError(Exception):
    """A file cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Event:
    """Something that an alert should have told of."""

    topic: str
    time: datetime
    label: str = ""


@dataclass(frozen=True)
class Match:
    """An event, and the first alert that told of it, if any did."""

    event: Event
    alert: Alert | None

    @property
    def lead(self) -> float | None:
        """Seconds from the alert to the event; negative when it came after; None of a miss."""
        if self.alert is None:
            return None
        return (self.event.time - self.alert.detected_at).total_seconds()


@dataclass(frozen=True)
class Backtest:
    """Alerts against events."""

    matches: tuple[Match, ...]
    alerts: tuple[Alert, ...]
    """as they fired first, in time order"""
    useful: int
    """alerts that hit an event"""
    start: datetime
    end: datetime
    topics: int

    @property
    def hits(self) -> int:
        return sum(match.alert is not None for match in self.matches)

    @property
    def precision(self) -> float | None:
        """Share of the alerts that hit an event; None without alerts."""
        return self.useful / len(self.alerts) if self.alerts else None

    @property
    def topic_months(self) -> float:
        return self.topics * (self.end - self.start).total_seconds() / MONTH

    def summary(self) -> dict[str, Any]:
        """The figures, rounded, for people and JSON."""
        leads = [match.lead for match in self.matches if match.lead is not None]
        months = self.topic_months
        return {
            "events": len(self.matches),
            "hits": self.hits,
            "misses": len(self.matches) - self.hits,
            "median_lead_hours": round(statistics.median(leads) / 3600, 2) if leads else None,
            "alerts": len(self.alerts),
            "precision": None if self.precision is None else round(self.precision, 4),
            "topics": self.topics,
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "alerts_per_topic_month": round(len(self.alerts) / months, 4) if months else None,
            "other_alerts_per_topic_month": (
                round((len(self.alerts) - self.useful) / months, 4) if months else None
            ),
        }


def fired_first(transitions: Iterable[Alert]) -> tuple[Alert, ...]:
    """Each alert as it fired first, before it got worse or ended, in time order.

    What was told as preliminary, as the topic on Kafka has it, does not count.
    """
    fired: dict[str, Alert] = {}
    for alert in transitions:
        if alert.preliminary:
            continue
        known = fired.get(alert.id)
        if alert.state == "firing" and (known is None or alert.window.end < known.window.end):
            fired[alert.id] = alert
    return tuple(sorted(fired.values(), key=lambda a: (a.detected_at, a.topic)))


def backtest(
    transitions: Iterable[Alert],
    events: Sequence[Event],
    before: float,
    after: float,
    topics: Iterable[str] = (),
    span: tuple[datetime, datetime] | None = None,
) -> Backtest:
    """Match alerts with events.

    Args:
        transitions: of alerts, any order.
        events: what happened.
        before: seconds before an event within which an alert tells of it.
        after: seconds after it.
        topics: that were watched; those of alerts and events count among them anyhow.
        span: begin and end of the watch; by default from the first alert or event to the last.

    Raises:
        BacktestError: there is neither an alert nor an event.
    """
    ordered = fired_first(transitions)
    by_topic: dict[str, list[Alert]] = defaultdict(list)
    for alert in ordered:
        by_topic[alert.topic].append(alert)
    matches, useful = [], set()
    for event in sorted(events, key=lambda e: (e.time, e.topic)):
        telling = [
            alert
            for alert in by_topic[event.topic]
            if -before <= (alert.detected_at - event.time).total_seconds() <= after
        ]
        useful |= {alert.id for alert in telling}
        matches.append(Match(event, telling[0] if telling else None))
    times = [a.detected_at for a in ordered] + [e.time for e in events]
    if not times:
        raise BacktestError("there are neither alerts nor events")
    start, end = span or (min(times), max(times))
    watched = {*topics, *(a.topic for a in ordered), *(e.topic for e in events)}
    return Backtest(tuple(matches), ordered, len(useful), start, end, len(watched))


def read_alerts(path: Path) -> list[Alert]:
    """Alert transitions of a JSONL file, as ``replay --alerts`` writes them.

    Raises:
        BacktestError: a line is none.
    """
    return [_record(Alert, line, where) for where, line in _lines(path)]


def read_windows(path: Path) -> list[Window]:
    """Windows of a JSONL file, as ``replay --windows`` writes them; BacktestError as above."""
    return [_record(Window, line, where) for where, line in _lines(path)]


def read_events(path: Path) -> list[Event]:
    """Events of a JSONL or CSV file: ``topic``, ``time`` (RFC 3339, or a date), and ``label``.

    Raises:
        BacktestError: a row lacks one of them, or a time cannot be read.
    """
    return [_event(row, where) for where, row in _rows(path)]


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix != ".csv":
        for where, line in _lines(path):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BacktestError(f"{where}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise BacktestError(f"{where}: not a JSON object")
            yield where, row
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            for row in reader:
                yield f"{path}, line {reader.line_num}", dict(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BacktestError(f"cannot read {path}: {error}") from None


def _event(row: dict[str, Any], where: str) -> Event:
    topic, time = row.get("topic"), row.get("time")
    if not isinstance(topic, str) or not topic or not isinstance(time, str):
        raise BacktestError(f"{where}: an event needs a topic and a time")
    try:
        at = datetime.fromisoformat(time)
    except ValueError:
        raise BacktestError(f"{where}: {time!r} is no time (RFC 3339, or a date)") from None
    return Event(topic, at if at.tzinfo else at.replace(tzinfo=UTC), str(row.get("label") or ""))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}, line {number}", line
    except (OSError, UnicodeDecodeError) as error:
        raise BacktestError(f"cannot read {path}: {error}") from None


def _record(kind: type[T], line: str, where: str) -> T:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BacktestError(
            f"{where}: no {kind.__name__.lower()}: {place} {first['msg']}"
        ) from None
