"""JSON APIs over HTTP: items by their paths, pages, and a cursor that is kept.

Two kinds of API are read. With ``paging`` an answer begins with the newest, and older pages follow
until one has nothing new; with ``since`` alone it begins after the cursor, and newer pages follow.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, cast

import httpx
from pydantic import BaseModel, ConfigDict, Field

from stream.feeds.base import Batch, Cursor, Item, Source, SourceError
from stream.feeds.http import options_limits
from stream.feeds.mapping import MappedOptions, mapped
from stream.feeds.paths import JsonPath, look
from stream.feeds.rss import HttpOptions

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Follow(BaseModel):
    """A value of the answer that the next request carries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: JsonPath
    param: str | None = None
    """of the query; None: the value is the address of the next page itself"""


class JsonOptions(MappedOptions, HttpOptions):
    """A feed of ``type: http-json``."""

    items: JsonPath = ""
    """where the list of items stands in the answer"""
    params: dict[str, str | int | float] = Field({})
    headers: dict[str, str] = Field({})
    """``${NAME}`` in a value is that variable of the environment"""
    paging: Follow | None = None
    since: Follow | None = None
    pages: Annotated[int, Field(ge=1, le=1000)] = 10
    """that one reading takes at most"""

    def problems(self) -> Sequence[str]:
        found = list(super().problems())
        if self.since is not None and self.since.param is None:
            found.append("since needs a param, which carries the value")
        for name in missing(self.headers):
            found.append(f"headers name ${{{name}}}, and the environment has no such variable")
        return found


def missing(headers: Mapping[str, str]) -> list[str]:
    """The variables in headers that the environment does not have."""
    names = (name for value in headers.values() for name in _VARIABLE.findall(value))
    return sorted({name for name in names if name not in os.environ})


def filled(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with their variables filled in."""
    return {
        name: _VARIABLE.sub(lambda found: os.environ.get(found[1], ""), value)
        for name, value in headers.items()
    }


class JsonSource(Source):
    """A JSON API that is polled."""

    Options = JsonOptions

    async def read(self, cursor: Cursor) -> AsyncIterator[Batch]:
        options = cast(JsonOptions, self.options)
        if cursor.get("of") != options.url:
            cursor = {"of": options.url, "since": None}
        if options.paging is not None:
            yield await self._backwards(options, options.paging, cursor)
            return
        for _ in range(options.pages):
            answer = await self._ask(options.url, options, cursor)
            items, bad = _items(answer, options)
            since = options.since and look(answer, options.since.path)
            more = bool(items) and since is not None and since != cursor["since"]
            cursor = {**cursor, "since": cursor["since"] if since is None else since}
            yield Batch(items, cursor, bad)
            if not more:
                return

    async def _backwards(self, options: JsonOptions, paging: Follow, cursor: Cursor) -> Batch:
        """All pages from the newest to the first without anything new, as one batch.

        Only together: were the newest kept before the older ones, those would never be read.
        """
        pages: list[list[Item]] = []
        bad: list[str] = []
        url = options.url
        params: dict[str, Any] = {}
        since = None
        for number in range(options.pages):
            answer = await self._ask(url, options, cursor, params)
            items, wrong = _items(answer, options)
            bad += wrong
            pages.append(items[::-1])
            if number == 0 and options.since is not None:
                since = look(answer, options.since.path)
            then = look(answer, paging.path)
            new = any(item.key is None or not self.context.known(item.key) for item in items)
            if not new or then in (None, "", False):
                break
            if paging.param is None:
                url = str(httpx.URL(url).join(str(then)))
            else:
                params = {paging.param: then}
        kept = {**cursor, "since": cursor["since"] if since is None else since}
        return Batch([item for page in pages[::-1] for item in page], kept, bad)

    async def _ask(
        self,
        url: str,
        options: JsonOptions,
        cursor: Cursor,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        asked = httpx.URL(url)
        headers = {"Accept": "application/json"}
        same = (asked.scheme, asked.netloc) == _origin(options.url)
        if same:
            headers |= filled(options.headers)
        if url == options.url:
            # The address of a next page has its own parameters.
            query = {**options.params, **(params or {})}
            if options.since is not None and cursor["since"] is not None:
                query[str(options.since.param)] = cursor["since"]
            asked = asked.copy_merge_params(query)
        fetched = await self.context.http.get(str(asked), options_limits(options), headers)
        try:
            return json.loads(fetched.body)
        except (ValueError, RecursionError):
            kind = fetched.headers.get("content-type", "no type")[:60]
            raise SourceError("parse", f"the answer ({kind}) is not JSON") from None


def _origin(url: str) -> tuple[str, bytes]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.netloc


def _items(answer: Any, options: JsonOptions) -> tuple[list[Item], list[str]]:
    found = look(answer, options.items)
    if not isinstance(found, list):
        where = options.items or "the whole answer"
        raise SourceError("parse", f"items: {where} is no list in what the server sent")
    items: list[Item] = []
    bad: list[str] = []
    for number, value in enumerate(found, start=1):
        try:
            row = mapped(value, options)
        except ValueError as error:
            bad.append(f"item {number}: {error}")
            continue
        items.append(Item(row, key=str(row.get("id") or row.get("url") or _digest(row))))
    return items, bad


def _digest(row: Mapping[str, Any]) -> str:
    text = json.dumps(row, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
