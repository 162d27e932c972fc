"""Keeps the outbox empty: a thread a target, so that a slow one holds up no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from alerts.outbox import bury_strangers, deliver_next, open_client
from alerts.settings import WebhookTarget

log = structlog.get_logger(__name__)

INTERVAL = 1.0
"""Seconds between two looks into the outbox that nobody asked for."""

CHORE = timedelta(minutes=1)
"""Between two rounds of the chore."""


class Courier:
    """Delivers in the background from ``start`` to ``stop``; ``wake`` makes it look at once.

    Args:
        engine: the database.
        targets: whom to deliver to.
        chore: what is to be done every minute besides, with the time given.
    """

    def __init__(
        self,
        engine: Engine,
        targets: Sequence[WebhookTarget],
        chore: Callable[[datetime], object] = lambda now: None,
    ) -> None:
        self._engine = engine
        self._chore = chore
        self._targets = tuple(targets)
        self._stop = threading.Event()
        self._wakes = [threading.Event() for _ in self._targets]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to deliver; without targets there is nothing to do."""
        for target, wake in zip(self._targets, self._wakes, strict=True):
            thread = threading.Thread(
                target=self._run, args=(target, wake), name=f"courier-{target.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Something was put in the outbox."""
        for wake in self._wakes:
            wake.set()

    def stop(self) -> None:
        """End after the attempts under way, each of which has a time-out."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join()

    def _run(self, target: WebhookTarget, wake: threading.Event) -> None:
        first = target is self._targets[0]
        due: datetime | None = None
        with open_client() as client:
            while not self._stop.is_set():
                wake.clear()
                taken = None
                try:
                    now = datetime.now(UTC)
                    if first and due is None:
                        bury_strangers(self._engine, self._targets, now)
                    if first and (due is None or now >= due):
                        due = now + CHORE
                        self._chore(now)
                    # Each with its own time: receivers refuse what was signed minutes ago.
                    taken = deliver_next(self._engine, target, client, now)
                except SQLAlchemyError as error:
                    log.warning("outbox-unreachable", target=target.name, error=str(error))
                except Exception:
                    # Whatever it was, the messages that come after it are still to be sent.
                    log.exception("delivery-failed", target=target.name)
                if not taken:
                    wake.wait(INTERVAL)
