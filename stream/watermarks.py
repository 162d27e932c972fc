"""How far event time has come on one partition of the slices topic.

The watermark is the slowest live partition of the documents topic, less the allowed lateness:
with the fastest instead, one partition read ahead during a backfill would make all others late.
A partition that has said nothing for a while is left out, and when all have fallen silent the
watermark moves with the wall clock, so that quiet topics close too. The wall clock is only ever
read from messages, so a log read twice gives the same watermarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.slices import Mark

NEVER = -(1 << 62)


class Watermark:
    """Event time below which no more documents are expected, in seconds; it never falls."""

    def __init__(self, partitions: int, lateness: float, idle_after: float) -> None:
        """Partitions: of the documents topic; the two times in seconds."""
        self.partitions = partitions
        self.lateness = lateness
        self.idle_after = idle_after
        self.value = NEVER
        self._marks: dict[int, Mark] = {}
        self._since: float | None = None
        self._now = 0.0

    def progress(self, marks: Mapping[int, Mark]) -> None:
        """Take in how far the partitions have come."""
        for partition, mark in marks.items():
            known = self._marks.get(partition)
            newest = mark.newest if known is None else max(known.newest, mark.newest)
            arrived = mark.arrived if known is None else max(known.arrived, mark.arrived)
            self._marks[partition] = Mark(newest, arrived)
            self._now = max(self._now, arrived)
        self._advance()

    def tick(self, now: float) -> None:
        """Take in the wall clock."""
        self._now = max(self._now, now)
        self._advance()

    def _advance(self) -> None:
        if self._since is None:
            self._since = self._now
        live = [m for m in self._marks.values() if self._now - m.arrived <= self.idle_after]
        unheard = self.partitions - len(self._marks)
        if unheard > 0 and self._now - self._since <= self.idle_after:
            return
        if live:
            reached = min(m.newest for m in live) - self.lateness
        elif self._marks:
            reached = max(m.newest + self._now - m.arrived for m in self._marks.values())
            reached -= self.lateness
        else:
            return
        self.value = max(self.value, int(reached))

    def to_json(self) -> dict[str, Any]:
        """State that survives a restart."""
        return {
            "value": self.value,
            "since": self._since,
            "marks": {str(p): list(m) for p, m in self._marks.items()},
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take up the state of ``to_json``."""
        self.value = data["value"]
        self._since = data["since"]
        self._marks = {int(p): Mark(*m) for p, m in data["marks"].items()}
        self._now = max((m.arrived for m in self._marks.values()), default=0.0)
