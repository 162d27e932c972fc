"""Server-sent events: a page that is open hears when something has changed, and fetches itself.

One query a second tells all open pages; with none open nothing is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from alerts.desk.access import Access, SignInNeeded, Visitor
from alerts.history import mark

log = structlog.get_logger(__name__)

INTERVAL = 1.0
"""Seconds between two looks into the database."""

HEARTBEAT = 15.0
"""Seconds after which a page that heard nothing is told that the line still stands."""

MAX_LISTENERS = 200


class Pulse:
    """Watches the database for those who listen."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = asyncio.Condition()
        self._mark = ""
        self._task: asyncio.Task[None] | None = None
        self.listeners = 0

    def start(self) -> None:
        """Begin to watch, in the running event loop."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            if not self.listeners:
                self._mark = ""
                continue
            try:
                found = await run_in_threadpool(mark, self._engine)
            except SQLAlchemyError as error:
                log.warning("database-down", error=type(error).__name__)
                continue
            if found != self._mark:
                async with self._changed:
                    self._mark = found
                    self._changed.notify_all()

    async def _news(self, known: str) -> None:
        await self._changed.wait_for(lambda: self._mark not in ("", known))

    async def events(self, still_allowed: Callable[[], bool]) -> AsyncIterator[str]:
        """The text of the stream: the mark whenever it is another one, else a comment."""
        self.listeners += 1
        try:
            yield "retry: 2000\n\n"
            known = ""
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT), self._changed:
                        await self._news(known)
                if not await run_in_threadpool(still_allowed):
                    return
                if self._mark == known:
                    yield ": still here\n\n"
                    continue
                known = self._mark
                yield f"event: mark\ndata: {known}\n\n"
        finally:
            self.listeners -= 1


def router(pulse: Pulse, access: Access) -> APIRouter:
    """The route of the stream."""
    routes = APIRouter(include_in_schema=False)
    reader = access.page("read")

    @routes.get("/events")
    async def events(request: Request, visitor: Visitor = Depends(reader)) -> StreamingResponse:
        if pulse.listeners >= MAX_LISTENERS:
            raise HTTPException(503, "too many pages are open")

        def still_allowed() -> bool:
            try:
                return "read" in access.visitor(request).may
            except (SignInNeeded, SQLAlchemyError):
                return False

        return StreamingResponse(
            pulse.events(still_allowed),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return routes
