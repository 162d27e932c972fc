"""Reads sources without a runner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

from stream.feeds.base import Batch, Context, Cursor
from stream.feeds.http import Fetcher
from stream.feeds.registry import source_class


def read(
    entry: dict[str, Any],
    cursor: Cursor | None = None,
    known: Callable[[str], bool] = lambda _: False,
    most: int = 1000,
) -> list[Batch]:
    """The batches of one reading of a feed, ``most`` at most."""

    async def collect() -> list[Batch]:
        kind = source_class(entry["type"])
        found: list[Batch] = []
        async with Fetcher() as http:
            source = kind(kind.Options.model_validate(entry), Context(http, known))
            reading: Any = source.read(cursor or {})
            async with aclosing(reading):
                async for batch in reading:
                    found.append(batch)
                    if len(found) == most:
                        break
        return found

    async def collect_and_close() -> list[Batch]:
        try:
            return await collect()
        finally:
            await _connections_closed()

    return asyncio.run(collect_and_close())


async def _connections_closed() -> None:
    """Wait for TLS to be shut down by both sides, which closing does not.

    A loop that ends before leaves the connection to the garbage collector, which complains in
    whatever test it runs.
    """
    loop: Any = asyncio.get_running_loop()
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while len(loop._selector.get_map()) > 1:  # The loop wakes itself by one.
                await asyncio.sleep(0.01)
