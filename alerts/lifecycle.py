"""The life of a topic's alert: warm-up, firing, escalated, resolved, cooling down.

Pure: time is the end of the window under test, in seconds of event time. The same counts give the
same transitions, live and in replay.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alerts.baseline import Baseline
from alerts.records import (
    Alert,
    AlertWindow,
    Evidence,
    Expectation,
    ModelName,
    Severity,
    State,
    utc,
)
from alerts.settings import DetectorSettings
from alerts.spikes import EXIT, Counts, Result, count_test, threshold

RULE = "negative-spike"

CRITICAL = 2.0
"""Surprise, in thresholds, from which an alert is critical."""

HISTORY_HOURS = 80
"""Hours for which past rates are kept: the longest window, and all windows that may be revised."""

FREEZE_HOURS = 72
"""Hours after which a firing alert no longer stops learning: a lasting change is a new normal."""

MAX_EVIDENCE = 5

WINDOW_NAMES = {300: "5m", 900: "15m", 3600: "1h", 86400: "24h"}
"""Names of the tested windows in metrics and in an alert's ``surprise``."""


class TopicDetector:
    """Baseline, test and alert of one topic."""

    def __init__(
        self, topic: str, settings: DetectorSettings, model: ModelName, config_version: str
    ) -> None:
        self.topic = topic
        self.settings = settings
        self.model = model
        self.config_version = config_version
        self.baseline = Baseline(settings.memory_hours)
        self.alert: Alert | None = None
        """the firing alert"""
        self.resolved_at: int | None = None
        self.results: dict[int, Result] = {}
        """the newest tests by window length"""
        self._hours: list[int] = []
        self._rates: list[tuple[float, float]] = []

    # Learning

    def learn(self, hour: int, negative_stories: int) -> None:
        """Take in a closed hour (its number since 1970) in which the feed was alive."""
        if self._hours and hour < self._hours[-1]:
            return
        if self.alert is None or self._fired_for(hour * 3600) > FREEZE_HOURS * 3600:
            self.baseline.learn(negative_stories)
        self._hours.append(hour + 1)
        self._rates.append((self.baseline.rate, self.baseline.size))
        del self._hours[:-HISTORY_HOURS], self._rates[:-HISTORY_HOURS]

    def _fired_for(self, time: int) -> float:
        return time - self.alert.detected_at.timestamp() if self.alert else 0.0

    def before(self, time: int) -> tuple[float, float] | None:
        """Rate an hour and size, from the hours closed by ``time``; None before the first."""
        at = bisect_right(self._hours, time // 3600)
        if at == 0:
            return None
        return self._rates[at - 1]

    @property
    def learned_to(self) -> int:
        """Hour (since 1970) up to which the baseline has learned."""
        return self._hours[-1] if self._hours else -(1 << 62)

    # Testing

    def evaluate(
        self,
        end: int,
        counts: Mapping[int, Counts],
        sources: Callable[[int], int],
        evidence: Callable[[int, int], Sequence[Evidence]],
        *,
        alive: bool,
    ) -> Alert | None:
        """Test the windows that end at ``end``; returns the transition, where there is one.

        Args:
            end: seconds since 1970, a pane's border.
            counts: by window length.
            sources: distinct sources of negative documents in a window, asked only when needed.
            evidence: the strongest stories of a window, at most so many.
            alive: whether the feed has been heard of lately: silence resolves nothing.
        """
        self.results = self.test(end, counts)
        passing = [
            result
            for result in self.results.values()
            if result.excess >= 1.0
            and counts[result.seconds].negative_stories >= self.settings.min_stories
            and sources(result.seconds) >= self.settings.min_sources
        ]
        strongest = max(passing, key=lambda result: (result.excess, -result.seconds), default=None)
        if self.alert is None:
            if strongest is None or not self._may_fire(end):
                return None
            return self._fire(end, strongest, counts, sources, evidence)
        if strongest is not None:
            if strongest.excess >= CRITICAL and self.alert.severity == "warning":
                return self._fire(end, strongest, counts, sources, evidence)
            return None
        calm = all(result.excess < EXIT for result in self.results.values())
        if calm and alive and self._fired_for(end) >= 60 * self.settings.min_duration_minutes:
            return self._resolve(end, counts, sources)
        return None

    def test(self, end: int, counts: Mapping[int, Counts]) -> dict[int, Result]:
        """Test each window that ends at ``end``; without a past there is no test."""
        results = {}
        for seconds, held in counts.items():
            # The expectation is from before the window, so a window never explains itself away.
            past = self.before(end - seconds)
            if past is None:
                continue
            passes_at = threshold(seconds, self.settings.false_alarms_per_topic_month, len(counts))
            results[seconds] = count_test(seconds, held.negative_stories, *past, passes_at)
        return results

    def _may_fire(self, end: int) -> bool:
        if self.baseline.hours < self.settings.warm_up_hours:
            return False
        cooldown = 60 * self.settings.cooldown_minutes
        return self.resolved_at is None or end - self.resolved_at >= cooldown

    # Transitions

    def _fire(
        self,
        end: int,
        result: Result,
        counts: Mapping[int, Counts],
        sources: Callable[[int], int],
        evidence: Callable[[int, int], Sequence[Evidence]],
    ) -> Alert:
        severity: Severity = "critical" if result.excess >= CRITICAL else "warning"
        start = end - result.seconds
        known = self.alert
        identity = hashlib.sha256(f"{self.topic}|{RULE}|{end}".encode()).hexdigest()[:20]
        self.alert = Alert(
            id=identity if known is None else known.id,
            topic=self.topic,
            rule=RULE,
            severity=severity,
            state="firing",
            starts_at=utc(start) if known is None else known.starts_at,
            detected_at=utc(end) if known is None else known.detected_at,
            window=self._window(end, result.seconds, counts, sources),
            baseline=self._expectation(result),
            surprise=self._surprises(),
            evidence=tuple(evidence(result.seconds, MAX_EVIDENCE)),
            model=self.model,
            config_version=self.config_version,
        )
        return self.alert

    def _resolve(
        self, end: int, counts: Mapping[int, Counts], sources: Callable[[int], int]
    ) -> Alert:
        assert self.alert is not None
        seconds = int((self.alert.window.end - self.alert.window.start).total_seconds())
        state: State = "resolved"
        resolved = self.alert.model_copy(
            update={
                "state": state,
                "ends_at": utc(end),
                "window": self._window(end, seconds, counts, sources),
                "baseline": self._expectation(self.results[seconds]),
                "surprise": self._surprises(),
            }
        )
        self.alert, self.resolved_at = None, end
        return resolved

    def _window(
        self,
        end: int,
        seconds: int,
        counts: Mapping[int, Counts],
        sources: Callable[[int], int],
    ) -> AlertWindow:
        held = counts[seconds]
        return AlertWindow(
            start=utc(end - seconds),
            end=utc(end),
            documents=held.documents,
            stories=held.stories,
            negative_stories=held.negative_stories,
            sources=sources(seconds),
            mean_sentiment=held.mean_sentiment,
        )

    def _expectation(self, result: Result) -> Expectation:
        return Expectation(
            negative_stories=round(result.expected, 4),
            low=result.low,
            high=result.high,
            hours_learned=self.baseline.hours,
        )

    def _surprises(self) -> dict[str, float]:
        return {
            f"count_{WINDOW_NAMES[seconds]}": round(result.surprise, 4)
            for seconds, result in self.results.items()
        }

    # State

    def to_json(self) -> dict[str, Any]:
        """State that survives a restart."""
        return {
            "baseline": self.baseline.to_json(),
            "alert": None if self.alert is None else self.alert.model_dump(mode="json"),
            "resolved_at": self.resolved_at,
            "hours": self._hours,
            "rates": self._rates,
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take up the state of ``to_json``."""
        self.baseline = Baseline.from_json(data["baseline"], self.settings.memory_hours)
        self.alert = None if data["alert"] is None else Alert.model_validate(data["alert"])
        self.resolved_at = data["resolved_at"]
        self._hours = list(data["hours"])
        self._rates = [(rate, size) for rate, size in data["rates"]]
