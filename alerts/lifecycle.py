"""The life of a topic's alert: warm-up, pending, firing, escalated, resolved, cooling down.

Pure: time is the end of the window under test, in seconds of event time. The same counts give the
same transitions, live and in replay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from alerts.baseline import NOTHING_KNOWN, Baseline, Forecast, Prior, Seen
from alerts.erasure import without
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
from alerts.spikes import EXIT, Counts, Result, Sources, judge, thresholds
from alerts.versions import require

RULE = "negative-spike"

CRITICAL = 2.0
"""Surprise, in thresholds, from which an alert is critical."""

HISTORY_HOURS = 52
"""Hours of which forecasts are kept: the longest window, and all windows that may be revised."""

NEVER = -(1 << 62)

FREEZE_HOURS = 72
"""Hours after which a firing alert no longer stops learning: a lasting change is a new normal."""

MAX_EVIDENCE = 5

STATE_VERSION = 2
"""Of all that workers store. To be raised when another version would misread its form. What is
added needs no other: it is read with a default, and passed over by those who do not know it."""

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
        """what scores now, for want of what did"""
        self.scored_by: Callable[[int], ModelName | None] = lambda seconds: None
        """what scored the documents of the window of that length"""
        self.config_version = config_version
        self.baseline = Baseline(settings.memory_hours)
        self.prior = NOTHING_KNOWN
        """what all topics together teach of this one"""
        self.alert: Alert | None = None
        """the firing alert"""
        self.pending_since: int | None = None
        """when a test first passed, while an alert still lacks stories, sources or time"""
        self.resolved_at: int | None = None
        self.results: dict[int, Result] = {}
        """the newest tests by window length"""
        self.learned_to = NEVER
        """hour (since 1970) up to which the baseline has learned"""
        self._forecasts: list[Forecast] = []
        self._first = 0
        """hour of the first forecast; the others follow without a gap"""
        self._ahead: dict[int, Forecast] = {}

    @property
    def is_open(self) -> bool:
        """Whether it must be asked each minute, also when nothing has come."""
        return self.alert is not None or self.pending_since is not None

    def configure(self, settings: DetectorSettings, config_version: str) -> None:
        """Take up other settings; what has been learned, and a firing alert, stay."""
        self.settings, self.config_version = settings, config_version
        self.baseline.memory_hours = settings.memory_hours

    def forget(self, digests: Container[str]) -> Alert | None:
        """Take forgotten evidence out of the firing alert; returns it, where that changed it."""
        if self.alert is None or (left := without(self.alert, digests)) is self.alert:
            return None
        self.alert = left
        return left

    # Learning

    def learn(self, hour: int, seen: Seen, prior: Prior = NOTHING_KNOWN) -> None:
        """Take in a closed hour (its number since 1970) in which the feed was alive.

        Prior: what all topics together teach, that hour included.
        """
        if hour < self.learned_to:
            self.prior = prior
            self._ahead.clear()
            return
        # Before this is learned, since hours that were passed over are expected without it.
        forecast = self.before(hour * 3600) or self.baseline.forecast(hour, self.prior)
        if self._forecasts:
            del self._forecasts[max(hour - self._first, 0) :]
            newest = self._first + len(self._forecasts)
            missing = range(max(newest, hour + 2 - HISTORY_HOURS), hour)
            self._forecasts += (self.baseline.forecast(h, self.prior) for h in missing)
            self._forecasts.append(forecast)
        if self.alert is None or self._fired_for(hour * 3600) > FREEZE_HOURS * 3600:
            self.baseline.learn(hour, seen, forecast)
        self.prior = prior
        self._forecasts.append(self.baseline.forecast(hour + 1, prior))
        del self._forecasts[:-HISTORY_HOURS]
        self._first = hour + 2 - len(self._forecasts)
        self._ahead.clear()
        self.learned_to = hour + 1

    def _fired_for(self, time: int) -> float:
        return time - self.alert.detected_at.timestamp() if self.alert else 0.0

    def before(self, time: int) -> Forecast | None:
        """What is expected of windows that begin at ``time``, from the hours closed by then.

        None before the first closed hour, and of what lies too far back.
        """
        hour = time // 3600
        if not self._forecasts or hour < self._first:
            return None
        if hour - self._first < len(self._forecasts):
            return self._forecasts[hour - self._first]
        # Of an hour that has not come, or has not been learned, from all that is known.
        if hour not in self._ahead:
            self._ahead[hour] = self.baseline.forecast(hour, self.prior)
        return self._ahead[hour]

    # Testing

    def evaluate(
        self,
        end: int,
        counts: Mapping[int, Counts],
        sources: Callable[[int], Sources],
        evidence: Callable[[int, int], Sequence[Evidence]],
        *,
        alive: bool,
    ) -> Alert | None:
        """Test the windows that end at ``end``; returns the transition, where there is one.

        Args:
            end: seconds since 1970, a pane's border.
            counts: by window length.
            sources: who a window's negative stories are from, asked only when needed.
            evidence: the strongest stories of a window, at most so many.
            alive: whether the feed has been heard of lately: silence resolves nothing.
        """
        self.results = self.test(end, counts)
        self._note_pending(end)
        strongest = self._strongest(self.results, sources)
        if self.alert is None:
            if strongest is None or not self._is_confirmed(end):
                return None
            self.pending_since = None
            return self._fire(end, strongest, counts, sources, evidence)
        if strongest is not None:
            if self._severity(strongest) == "critical" and self.alert.severity == "warning":
                return self._fire(end, strongest, counts, sources, evidence)
            return None
        calm = all(result.excess < EXIT for result in self.results.values())
        if calm and alive and self._fired_for(end) >= 60 * self.settings.min_duration_minutes:
            return self._resolve(end, counts, sources)
        return None

    def may_foretell(self, end: int) -> bool:
        """Whether ``foretell`` can find anything at all at that time."""
        # What has to last before it fires cannot be told in its first minute.
        return self.alert is None and not self.settings.confirm_minutes and self._may_fire(end)

    def foretell(
        self,
        end: int,
        counts: Mapping[int, Counts],
        sources: Callable[[int], Sources],
        evidence: Callable[[int, int], Sequence[Evidence]],
    ) -> Alert | None:
        """The alert that ``evaluate`` would begin if nothing more came; changes nothing.

        Args are those of ``evaluate``, with what is in so far. The alert has the id it would have.
        It is a warning, unless the settings know one severity only: how bad it is may change yet.
        """
        least = self.settings.min_stories
        if not self.may_foretell(end) or all(
            held.negative_stories < least for held in counts.values()
        ):
            return None
        results = self.test(end, counts)
        strongest = self._strongest(results, sources)
        if strongest is None:
            return None
        found = self._begun(end, strongest, results, counts, sources, evidence)
        severity = self.settings.severity or "warning"
        return found.model_copy(update={"preliminary": True, "severity": severity})

    def _strongest(
        self, results: Mapping[int, Result], sources: Callable[[int], Sources]
    ) -> Result | None:
        """Of the tests that pass the one that passes by most, of the shortest window."""
        passing = [result for result in results.values() if self._passes(result, sources)]
        return max(passing, key=lambda result: (result.excess, -result.seconds), default=None)

    def _passes(self, result: Result, sources: Callable[[int], Sources]) -> bool:
        least = self.settings.min_stories
        if result.negative_stories < least or result.excess < 1.0:
            return False
        who = sources(result.seconds)
        if who.distinct < self.settings.min_sources:
            return False
        # Nobody makes a spike alone, however much he writes.
        held = result.of_independent(who.independent)
        return held.negative_stories >= least and held.excess >= 1.0

    def test(self, end: int, counts: Mapping[int, Counts]) -> dict[int, Result]:
        """Test each window that ends at ``end``; without a past there is no test."""
        results = {}
        for seconds, held in counts.items():
            # The expectation is from before the window, so a window never explains itself away.
            forecast = self.before(end - seconds)
            if forecast is not None:
                budget = self.settings.false_alarms_per_topic_month
                passes_at = thresholds(seconds, budget, len(counts))
                results[seconds] = judge(seconds, end, held, forecast, passes_at)
        return results

    def _note_pending(self, end: int) -> None:
        exceeded = any(result.excess >= 1.0 for result in self.results.values())
        if self.alert is not None or not exceeded or not self._may_fire(end):
            self.pending_since = None
        elif self.pending_since is None:
            self.pending_since = end

    def _is_confirmed(self, end: int) -> bool:
        since = self.pending_since
        return since is not None and end - since >= 60 * self.settings.confirm_minutes

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
        sources: Callable[[int], Sources],
        evidence: Callable[[int, int], Sequence[Evidence]],
    ) -> Alert:
        found = self._begun(end, result, self.results, counts, sources, evidence)
        if (known := self.alert) is not None:
            kept = {
                "id": known.id,
                "starts_at": known.starts_at,
                "detected_at": known.detected_at,
            }
            found = found.model_copy(update=kept)
        self.alert = found
        return found

    def _begun(
        self,
        end: int,
        result: Result,
        results: Mapping[int, Result],
        counts: Mapping[int, Counts],
        sources: Callable[[int], Sources],
        evidence: Callable[[int, int], Sequence[Evidence]],
    ) -> Alert:
        """An alert that begins at ``end`` because of that result."""
        return Alert(
            id=hashlib.sha256(f"{self.topic}|{RULE}|{end}".encode()).hexdigest()[:20],
            topic=self.topic,
            rule=RULE,
            severity=self._severity(result),
            state="firing",
            starts_at=utc(end - result.seconds),
            detected_at=utc(end),
            window=self._window(end, result.seconds, counts, sources),
            baseline=self._expectation(result),
            surprise=_surprises(results),
            evidence=tuple(evidence(result.seconds, MAX_EVIDENCE)),
            model=self.scored_by(result.seconds) or self.model,
            config_version=self.config_version,
        )

    def _severity(self, result: Result) -> Severity:
        if self.settings.severity is not None:
            return self.settings.severity
        return "critical" if result.excess >= CRITICAL else "warning"

    def _resolve(
        self, end: int, counts: Mapping[int, Counts], sources: Callable[[int], Sources]
    ) -> Alert:
        assert self.alert is not None
        resolved = self.ended(self.alert, end, counts, sources)
        self.alert, self.resolved_at = None, end
        return resolved

    def ended(
        self,
        alert: Alert,
        end: int,
        counts: Mapping[int, Counts],
        sources: Callable[[int], Sources],
    ) -> Alert:
        """The alert as it ends, with what its window held at ``end``, which was just evaluated."""
        seconds = int((alert.window.end - alert.window.start).total_seconds())
        result = self.results.get(seconds)
        state: State = "resolved"
        return alert.model_copy(
            update={
                "state": state,
                "ends_at": utc(end),
                "window": self._window(end, seconds, counts, sources),
                "baseline": alert.baseline if result is None else self._expectation(result),
                "surprise": _surprises(self.results),
                "model": self.scored_by(seconds) or alert.model,
            }
        )

    def _window(
        self,
        end: int,
        seconds: int,
        counts: Mapping[int, Counts],
        sources: Callable[[int], Sources],
    ) -> AlertWindow:
        held = counts[seconds]
        return AlertWindow(
            start=utc(end - seconds),
            end=utc(end),
            documents=held.documents,
            stories=held.stories,
            negative_stories=held.negative_stories,
            sources=sources(seconds).distinct,
            mean_sentiment=held.mean_sentiment,
        )

    def _expectation(self, result: Result) -> Expectation:
        low, high = result.interval
        return Expectation(
            negative_stories=round(result.expected, 4),
            low=low,
            high=high,
            hours_learned=self.baseline.hours,
        )

    # State

    def to_json(self) -> dict[str, Any]:
        """State that survives a restart."""
        return {
            "version": STATE_VERSION,
            "baseline": self.baseline.to_json(),
            "alert": None if self.alert is None else self.alert.model_dump(mode="json"),
            "pending_since": self.pending_since,
            "resolved_at": self.resolved_at,
            "learned_to": self.learned_to,
            "first": self._first,
            "forecasts": self._forecasts,
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take up the state of ``to_json``.

        Raises:
            StateRefused: it is of another version.
        """
        require(self.topic, data.get("version"), STATE_VERSION)
        self.baseline = Baseline.from_json(data["baseline"], self.settings.memory_hours)
        self.alert = None if data["alert"] is None else Alert.model_validate(data["alert"])
        self.pending_since = data["pending_since"]
        self.resolved_at = data["resolved_at"]
        self.learned_to = data["learned_to"]
        self._first = data["first"]
        self._forecasts = [Forecast.from_json(values) for values in data["forecasts"]]


def _surprises(results: Mapping[int, Result]) -> dict[str, float]:
    found = {}
    for seconds, result in results.items():
        found[f"count_{WINDOW_NAMES[seconds]}"] = round(result.surprise, 4)
        found[f"share_{WINDOW_NAMES[seconds]}"] = round(result.share_surprise, 4)
    return found
