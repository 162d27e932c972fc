"""How far event time has come on one partition of the slices topic.

The watermark is the slowest live partition of the documents topic, less the allowed lateness:
with the fastest instead, one partition read ahead during a backfill would make all others late.
A partition that has said nothing for a while is left out, and when all have fallen silent the
watermark moves with the wall clock, so that quiet topics close too. The wall clock is only ever
read from messages, so a log read twice gives the same watermarks.

While no worker runs, nobody can be heard: a pause of the whole log is no silence of a partition.
Else the first partition that is read after an outage would leave the backlog of the others behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from stream.slices import Mark

NEVER = -(1 << 62)

BEAT = 5.0
"""Seconds after which a silent partition of the slices topic is given a tick."""

MAX_PAUSE = 2 * BEAT
"""Seconds between two messages of the log beyond which no worker was there to write."""


class Heard(NamedTuple):
    """What is known of one partition of the documents topic."""

    newest: int
    """newest event time, seconds"""
    arrived: float
    """wall clock when it was last heard, seconds"""
    lived: float
    """the same in seconds of a running worker"""


class Watermark:
    """Event time below which no more documents are expected, in seconds; it never falls."""

    def __init__(self, partitions: int, lateness: float, idle_after: float) -> None:
        """Partitions: of the documents topic; the two times in seconds."""
        self.partitions = partitions
        self.lateness = lateness
        self.idle_after = idle_after
        self.value = NEVER
        self._heard: dict[int, Heard] = {}
        self._now: float | None = None
        self._lived = 0.0

    def progress(self, marks: Mapping[int, Mark]) -> None:
        """Take in how far the partitions have come."""
        self._clock(max(mark.arrived for mark in marks.values()))
        for partition, mark in marks.items():
            known = self._heard.get(partition)
            if known is None:
                self._heard[partition] = Heard(mark.newest, mark.arrived, self._lived)
            elif mark.arrived > known.arrived:
                newest = max(known.newest, mark.newest)
                self._heard[partition] = Heard(newest, mark.arrived, self._lived)
            else:
                self._heard[partition] = known._replace(newest=max(known.newest, mark.newest))
        self._advance()

    def tick(self, now: float) -> None:
        """Take in the wall clock."""
        self._clock(now)
        self._advance()

    @property
    def now(self) -> float | None:
        """The wall clock by the newest message, seconds; None before the first."""
        return self._now

    def _clock(self, now: float) -> None:
        if self._now is None:
            self._now = now
        elif now > self._now:
            self._lived += min(now - self._now, MAX_PAUSE)
            self._now = now

    def _advance(self) -> None:
        if len(self._heard) < self.partitions and self._lived <= self.idle_after:
            return
        live = [h for h in self._heard.values() if self._lived - h.lived <= self.idle_after]
        if live:
            reached = min(h.newest for h in live) - self.lateness
        elif self._heard and self._now is not None:
            reached = max(h.newest + self._now - h.arrived for h in self._heard.values())
            reached -= self.lateness
        else:
            return
        self.value = max(self.value, int(reached))

    def to_json(self) -> dict[str, Any]:
        """State that survives a restart."""
        return {
            "value": self.value,
            "now": self._now,
            "lived": self._lived,
            "heard": {str(p): list(h) for p, h in self._heard.items()},
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take up the state of ``to_json``."""
        self.value = data["value"]
        self._now = data["now"]
        self._lived = data["lived"]
        self._heard = {int(p): Heard(*h[: len(Heard._fields)]) for p, h in data["heard"].items()}
