"""A recovery of the tables that stands still ends the process, so that it is started anew."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import structlog

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0

STALLED_LOOKS = 60
"""So many looks in a row at a recovery that did not move: it will not. An empty read of the topics
comes back after 1.5 s, and Kafka names another leader for a partition well within this time. Looks
are counted, not seconds: a process that was itself held up does not take that for a stall."""

EXIT_STALLED = 75
"""Exit status of a worker whose recovery stood still (EX_TEMPFAIL of sysexits.h)."""


@dataclass
class Looks:
    """How often in a row one and the same thing was seen."""

    _seen: Hashable = None
    alike: int = 0

    def look(self, state: Hashable) -> int:
        """Note what is seen, None where there is nothing to wait for.

        Returns:
            how often it was seen again, without a change.
        """
        self.alike = self.alike + 1 if state is not None and state == self._seen else 0
        self._seen = state
        return self.alike


class RecoveryWatch:
    """Looks every second whether the recovery of an app's tables moves."""

    def __init__(self, app: Any, answers: Callable[[], bool]) -> None:
        """Watch nothing yet.

        Args:
            app: the Faust application.
            answers: whether Kafka can be reached; asked in a thread, before a stall is believed.
        """
        self._app = app
        self._answers = answers
        self._looks = Looks()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Watch from now on, in the running event loop."""
        self.end()
        self._looks = Looks()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def end(self) -> None:
        """Watch no more: partitions are shared out anew, or the process ends."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self.stalled():
                log.error("recovery-stalled", **self._known())
                os._exit(EXIT_STALLED)

    async def stalled(self) -> bool:
        """Look once; whether the recovery has stood still for too long though Kafka answers."""
        if self._looks.look(self._state()) < STALLED_LOOKS:
            return False
        if await asyncio.get_running_loop().run_in_executor(None, self._answers):
            return True
        # Once Kafka is back the recovery gets its time anew.
        self._looks = Looks()
        return False

    def _state(self) -> Hashable:
        if not self._app.in_recovery:
            return None
        recovery = self._app.tables.recovery
        return (
            self._app.consumer_generation_id,
            frozenset(recovery.active_highwaters.items()),
            frozenset(recovery.active_offsets.items()),
        )

    def _known(self) -> dict[str, Any]:
        """What may tell why."""
        consumer = self._app.consumer
        remaining = self._app.tables.recovery.active_remaining()
        return {
            "missing": {f"{p.topic}/{p.partition}": n for p, n in remaining.items() if n > 0},
            "partitions": len(consumer.assignment()),
            "paused": len(consumer._paused_partitions),
            "flow": consumer.flow_active,
            "reason": "tables were not read to their end: the process ends to begin anew",
        }
