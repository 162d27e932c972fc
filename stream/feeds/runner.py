"""One task a feed: read, publish, and keep the cursor once Kafka has what was read."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, cast

import structlog

from stream.feeds.base import Batch, Context, Gone, Source, SourceError
from stream.feeds.documents import outgoing
from stream.feeds.http import Fetcher
from stream.feeds.listing import Feed
from stream.feeds.metrics import FeedMetrics
from stream.feeds.pace import back_off, interval
from stream.feeds.state import State, StateError
from stream.publisher import Outgoing, Publisher
from stream.scorer import BadDocument

GRACE = 10.0
"""Seconds that what was read may take to reach Kafka when the process is told to stop."""

SLOW = 30.0
"""Seconds without an acknowledgement after which the process says that it is not ready."""

log = structlog.get_logger()


class Runner:
    """Runs feeds until it is told to stop."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        state: State,
        publisher: Publisher,
        topic: str,
        author_key: bytes,
        metrics: FeedMetrics,
    ) -> None:
        """Topic: of the documents. Author_key: of the hash that replaces handles."""
        self._feeds = feeds
        self._state = state
        self._publisher = publisher
        self._topic = topic
        self._author_key = author_key
        self._metrics = metrics
        self._waiting: dict[str, float] = {}
        self._live: set[str] = {feed.id for feed in feeds}
        self._started = False

    def checks(self) -> dict[str, bool]:
        """Conditions of readiness; asked from another thread."""
        now = time.monotonic()
        return {
            "feeds": self._started and bool(self._live),
            "kafka": all(now - since < SLOW for since in list(self._waiting.values())),
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Read all feeds until ``stop`` is set; then finish what was read.

        Raises:
            StateError: the state can no longer be written.
        """
        async with Fetcher() as http:
            tasks = [asyncio.create_task(self._follow(feed, http)) for feed in self._feeds]
            ending = asyncio.create_task(stop.wait())
            self._started = True
            try:
                pending: set[asyncio.Task[Any]] = {*tasks, ending}
                while ending in pending:
                    # Feeds end where they are gone; the process stays, to say so.
                    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
            finally:
                for task in (*tasks, ending):
                    task.cancel()
                await asyncio.gather(*tasks, ending, return_exceptions=True)
                await self._publisher.stop()

    async def _follow(self, feed: Feed, http: Fetcher) -> None:
        address = _address(feed)
        if (why := self._state.stopped(feed.id, address)) is not None:
            self._end(feed, why)
            return
        context = Context(http, lambda key: self._state.known(feed.id, key))
        source: Source | None = None
        failures = 0
        while True:
            try:
                # A package's class may fail here, which must not end the other feeds.
                source = source or feed.source(feed.options, context)
                await self._read(feed, source)
            except Gone as error:
                self._metrics.errors.labels(feed.id, "gone").inc()
                self._state.stop(feed.id, address, str(error))
                self._end(feed, str(error))
                return
            except _ReadThenFailed as error:
                failures, wait = 1, back_off(1, random.random(), self._failed(feed, error.cause))
            except (StateError, asyncio.CancelledError):
                raise
            except Exception as error:
                failures += 1
                wait = back_off(failures, random.random(), self._failed(feed, error))
            else:
                failures, wait = 0, interval(feed.options.interval, random.random())
            await asyncio.sleep(wait)

    async def _read(self, feed: Feed, source: Source) -> None:
        """Read once, from the cursor that is kept, to where the source ends or fails."""
        got = False
        reading = cast(Any, source.read(self._state.cursor(feed.id)))
        async with aclosing(reading):
            try:
                async for batch in reading:
                    await self._take(feed, source, batch)
                    got = got or bool(batch.items)
                    self._metrics.success.labels(feed.id).set_to_current_time()
            except (Gone, StateError):
                raise
            except Exception as error:
                if got:
                    raise _ReadThenFailed(error) from error
                raise
        self._metrics.success.labels(feed.id).set_to_current_time()

    async def _take(self, feed: Feed, source: Source, batch: Batch) -> None:
        """Publish a batch and keep its cursor; a stop waits a while for this."""
        task = asyncio.create_task(self._publish(feed, source, batch))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait({task}, timeout=GRACE)
            if not done:
                log.warning("feed_not_acknowledged", feed=feed.id, items=len(batch.items))
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _publish(self, feed: Feed, source: Source, batch: Batch) -> None:
        messages: list[Outgoing] = []
        keys: list[str] = []
        within: set[str] = set()
        for why in batch.bad:
            self._bad(feed, why)
        for item in batch.items:
            if item.key is not None:
                if item.key in within or self._state.known(feed.id, item.key):
                    self._metrics.repeated.labels(feed.id).inc()
                    continue
                within.add(item.key)
                keys.append(item.key)
            try:
                messages.append(
                    outgoing(
                        item, feed.options, source.default_source(), self._topic, self._author_key
                    )
                )
            except BadDocument as error:
                self._bad(feed, str(error))
        self._waiting[feed.id] = time.monotonic()
        try:
            await self._publisher.publish(messages)
        finally:
            del self._waiting[feed.id]
        self._state.keep(feed.id, batch.cursor, keys)
        self._metrics.documents.labels(feed.id).inc(len(messages))

    def _bad(self, feed: Feed, why: str) -> None:
        self._metrics.errors.labels(feed.id, "document").inc()
        log.warning("feed_no_document", feed=feed.id, reason=why)

    def _failed(self, feed: Feed, error: BaseException) -> float:
        """Tell of a failure; returns the seconds the source asked to be left alone for."""
        if isinstance(error, SourceError):
            self._metrics.errors.labels(feed.id, error.kind).inc()
            log.warning("feed_failed", feed=feed.id, kind=error.kind, reason=str(error))
            return error.retry_after
        self._metrics.errors.labels(feed.id, "fault").inc()
        log.error("feed_fault", feed=feed.id, error=f"{type(error).__name__}: {error}")
        return 0.0

    def _end(self, feed: Feed, why: str) -> None:
        self._live.discard(feed.id)
        self._metrics.stopped.labels(feed.id).set(1)
        log.warning("feed_stopped", feed=feed.id, reason=why)


class _ReadThenFailed(Exception):
    """A reading brought something and failed then: the waits start anew."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _address(feed: Feed) -> str:
    """Where the file says that a feed is: with another one it is another feed."""
    options = feed.options.model_dump()
    return str(options.get("url") or options.get("path") or options.get("topic") or "")
