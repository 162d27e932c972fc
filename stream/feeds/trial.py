"""One reading of each feed, to see whether it works; nothing is published and nothing kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from stream.feeds.base import Batch, Context, Item, SourceError
from stream.feeds.documents import outgoing, summary
from stream.feeds.http import Fetcher
from stream.feeds.listing import Feed
from stream.scorer import BadDocument

PATIENCE = 10.0
"""Seconds to wait for something from a feed that need not have anything."""


@dataclass(frozen=True)
class Trial:
    """What a reading brought: documents and the newest one, or an error."""

    feed: str
    documents: int
    newest: str
    error: str | None
    bad: Sequence[str] = ()


async def try_feeds(feeds: Sequence[Feed], author_key: bytes) -> list[Trial]:
    """Read each feed once from its beginning."""
    async with Fetcher() as http:
        return list(await asyncio.gather(*(_try(feed, http, author_key) for feed in feeds)))


async def _try(feed: Feed, http: Fetcher, author_key: bytes) -> Trial:
    source = feed.source(feed.options, Context(http, lambda _: False))
    bad: list[str] = []
    good: list[Item] = []
    patience = max(PATIENCE, float(getattr(feed.options, "timeout", 0.0)) + 1)
    try:
        async with asyncio.timeout(patience):
            async with aclosing(cast(Any, source.read({}))) as reading:
                batch: Batch
                async for batch in reading:
                    bad += batch.bad
                    for item in batch.items:
                        try:
                            outgoing(item, feed.options, source.default_source(), "", author_key)
                            good.append(item)
                        except BadDocument as error:
                            bad.append(str(error))
                    if good or bad:
                        break
    except TimeoutError:
        # A stream or a file may have nothing new for long.
        return Trial(feed.id, 0, f"nothing within {patience:g} s", None)
    except SourceError as error:
        return Trial(feed.id, 0, "", f"{error.kind}: {error}")
    newest = summary(good[-1].document) if good else ""
    return Trial(feed.id, len(good), newest, None, bad)
