"""RSS and Atom: polled with conditional requests, each item once for ever."""

from __future__ import annotations

import asyncio
import calendar
import hashlib
import io
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import feedparser
from pydantic import Field

from stream.feeds.base import Batch, Cursor, Duration, FeedOptions, Item, Source, SourceError
from stream.feeds.html import text_of, untracked
from stream.feeds.http import Fetched, options_limits
from stream.records import Kind

ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, */*;q=0.1"

_CHARSET = re.compile(r"(?:charset|encoding)\s*=\s*[\"']?([\w.-]+)", re.IGNORECASE)
_GB = frozenset(("gb2312", "gbk", "cp936", "x-gbk", "gb_2312-80", "windows-936"))


class HttpOptions(FeedOptions):
    """What feeds over HTTP have in common."""

    url: str
    timeout: Annotated[Duration, Field(gt=0, le=600)] = 30.0
    """seconds that one request may take"""
    max_bytes: Annotated[int, Field(ge=1000, le=100_000_000)] = 10_000_000
    """of one answer, unpacked"""

    def problems(self) -> Sequence[str]:
        if not self.url.startswith(("http://", "https://")):
            return ["url must begin with http:// or https://"]
        return ()


class RssOptions(HttpOptions):
    """A feed of ``type: rss``."""

    kind: Kind = "news"


class RssSource(Source):
    """A feed of RSS (any version) or Atom."""

    Options = RssOptions

    async def read(self, cursor: Cursor) -> AsyncIterator[Batch]:
        options = cast(RssOptions, self.options)
        if cursor.get("of") != options.url:
            cursor = {"of": options.url, "url": options.url}
        headers = {"Accept": ACCEPT}
        if cursor.get("etag"):
            headers["If-None-Match"] = cursor["etag"]
        if cursor.get("modified"):
            headers["If-Modified-Since"] = cursor["modified"]
        fetched = await self.context.http.get(cursor["url"], options_limits(options), headers)
        cursor = dict(cursor)
        if fetched.moved:
            cursor["url"] = fetched.moved
        if fetched.status == 304:
            yield Batch((), cursor)
            return
        cursor["etag"] = fetched.headers.get("etag")
        cursor["modified"] = fetched.headers.get("last-modified")
        items, bad = await asyncio.to_thread(parsed, fetched, options.url)
        yield Batch(items, cursor, bad)


def parsed(fetched: Fetched, base: str) -> tuple[list[Item], list[str]]:
    """The items of an answer, oldest first, and what is wrong with others.

    Args:
        fetched: the answer.
        base: what relative addresses and ids are relative to; the same for ever, or items would
            get other ids when the feed moves.

    Raises:
        SourceError: it is no feed.
    """
    found = feedparser.parse(
        # As a stream: bytes that are a file's name, feedparser would take for that file.
        io.BytesIO(fetched.body),
        response_headers={
            "content-type": _content_type(fetched),
            "content-location": base,
        },
        sanitize_html=False,  # text_of() keeps no HTML at all
        resolve_relative_uris=True,
    )
    if not found.entries and not found.get("version"):
        kind = fetched.headers.get("content-type", "no type")[:60]
        raise SourceError("parse", f"the answer ({kind}) is neither RSS nor Atom")
    items: list[Item] = []
    bad: list[str] = []
    for number, entry in enumerate(found.entries, start=1):
        item = _item(entry)
        if item is None:
            bad.append(f"item {number} has neither text nor title")
        else:
            items.append(item)
    return items[::-1], bad


def _content_type(fetched: Fetched) -> str:
    """The type of the answer; older names of Chinese encodings are read as what contains them."""
    given = str(fetched.headers.get("content-type", "application/xml"))
    found = _CHARSET.search(given) or _CHARSET.search(
        fetched.body[:200].partition(b"?>")[0].decode("latin-1")
    )
    if found and found[1].lower() in _GB:
        return "application/xml; charset=gb18030"
    return given


def _item(entry: Any) -> Item | None:
    title = text_of(str(entry.get("title") or ""))
    bodies = [str(part.get("value") or "") for part in entry.get("content") or ()]
    bodies.append(str(entry.get("summary") or ""))
    text = max(map(text_of, bodies), key=len)
    if not (title or text):
        return None
    link = str(entry.get("link") or "")
    url = untracked(link) if link.startswith(("http://", "https://")) else ""
    time = _time(entry)
    identity = str(entry.get("id") or url)
    if not identity:
        identity = hashlib.sha256(f"{title}\x1f{text}".encode("utf-8", "replace")).hexdigest()
    document: dict[str, Any] = {
        "title": title if text and text != title else None,
        "text": text or title,
        "url": url,
        "author": text_of(str(entry.get("author") or ""))[:200],
        "published_at": None if time is None else time.isoformat(),
    }
    return Item(document, key=identity)


def _time(entry: Any) -> datetime | None:
    """When it was published; None where that is missing or no time Barograph takes."""
    # Past the dict of feedparser, which warns where it gives one for the other.
    found = dict.get(entry, "published_parsed") or dict.get(entry, "updated_parsed")
    if not found:
        return None
    try:
        time = datetime.fromtimestamp(calendar.timegm(found), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return time if 1970 <= time.year < 2200 else None
