"""Alerts told before the last minute of their window has closed: borne out then, or withdrawn.

Pure, and beside the detector: what is told here changes no transition. What was told is part of the
stored state, so that a restart cannot forget it. See ``docs/decisions/0023-preliminary-alerts.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Literal, get_args

from alerts.erasure import without
from alerts.lifecycle import TopicDetector
from alerts.records import Alert, Evidence
from alerts.spikes import Counts, Sources

Outcome = Literal["confirmed", "withdrawn"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Preliminary:
    """What was told of one topic too early to be sure of it; one alert at a time."""

    def __init__(self, detector: TopicDetector) -> None:
        self._detector = detector
        self.told: Alert | None = None
        """the newest record: a firing one until its minute decides, a resolved one (which withdrew
        it) until the topic may be told of again"""

    @property
    def due(self) -> int | None:
        """End of the minute that decides, seconds; None where there is nothing to decide."""
        if self.told is None or self.told.state == "resolved":
            return None
        return int(self.told.detected_at.timestamp())

    def may(self, end: int) -> bool:
        """Whether ``foresee`` can find anything at all: asked first, as it costs nothing."""
        if self.told is not None and not self._is_over(end):
            return False
        return self._detector.may_foretell(end)

    def foresee(
        self,
        end: int,
        counts: Mapping[int, Counts],
        sources: Callable[[int], Sources],
        evidence: Callable[[int, int], Sequence[Evidence]],
    ) -> Alert | None:
        """Test windows that will end at ``end`` with what is in so far.

        Args are those of ``TopicDetector.evaluate``.

        Returns:
            What is to be told now: a firing record; None where there is nothing to tell.
        """
        if not self.may(end):
            return None
        found = self._detector.foretell(end, counts, sources, evidence)
        if found is not None:
            self.told = found
        return found

    def settle(
        self, end: int, counts: Mapping[int, Counts], sources: Callable[[int], Sources]
    ) -> Outcome | None:
        """See what became of it, after the detector has evaluated ``end`` with these counts.

        Returns:
            ``withdrawn`` when ``told`` is now the record that takes it back; ``confirmed`` when the
            alert has begun to fire; None when there is nothing to decide, or not yet.
        """
        due = self.due
        if self.told is None or due is None:
            return None
        begun = self._detector.alert
        if begun is not None and begun.id == self.told.id:
            self.told = None
            return "confirmed"
        if begun is None and end < due:
            return None
        self.told = self._detector.ended(self.told, end, counts, sources)
        return "withdrawn"

    def forget(self, time: int) -> None:
        """Drop a withdrawn one that no longer keeps anything back at ``time``."""
        if self.due is None and self._is_over(time):
            self.told = None

    def erase(self, digests: Container[str]) -> bool:
        """Take forgotten evidence out of what was told; whether that changed it."""
        if self.told is None or (left := without(self.told, digests)) is self.told:
            return False
        self.told = left
        return True

    def _is_over(self, end: int) -> bool:
        """Whether a withdrawn one lies back as far as alerts must: told anew it has another id."""
        if self.told is None:
            return True
        if self.told.state == "firing":
            return False
        quiet = 60 * self._detector.settings.cooldown_minutes
        return end > self.told.detected_at.timestamp() + quiet

    # State

    def to_json(self) -> dict[str, Any] | None:
        """State that survives a restart; None where there is none."""
        return None if self.told is None else self.told.model_dump(mode="json")

    def restore(self, data: Mapping[str, Any] | None) -> None:
        """Take up the state of ``to_json``; of a version that knew none it is missing."""
        self.told = None if data is None else Alert.model_validate(data)
