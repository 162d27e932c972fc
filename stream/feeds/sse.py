"""Server-sent events, resumed after the last event (HTML standard, section 9.2)."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Annotated, cast

from pydantic import Field

from stream.feeds.base import Batch, Cursor, Duration, Item, Source, SourceError
from stream.feeds.http import options_limits
from stream.feeds.json_api import filled, missing
from stream.feeds.mapping import MappedOptions, mapped_json
from stream.feeds.rss import HttpOptions


class SseOptions(MappedOptions, HttpOptions):
    """A feed of ``type: sse``."""

    events: tuple[str, ...] = ()
    """names of the events to take; none are all"""
    headers: dict[str, str] = Field({})
    """``${NAME}`` in a value is that variable of the environment"""
    timeout: Annotated[Duration, Field(gt=0, le=3600)] = 120.0
    """seconds without anything, also without a comment, after which the stream is opened anew"""
    interval: Annotated[Duration, Field(gt=0, le=86400)] = 5.0

    def problems(self) -> list[str]:
        found = list(super().problems())
        for name in missing(self.headers):
            found.append(f"headers name ${{{name}}}, and the environment has no such variable")
        return found


@dataclass(frozen=True)
class Event:
    """One event; ``id`` is the last that the stream has named."""

    name: str
    data: str
    id: str


@dataclass
class Parser:
    """Turns pieces of a stream, cut anywhere, into events."""

    most: int
    """characters of the longest event"""
    id: str = ""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8-sig")("replace")
    )
    _rest: str = ""
    _name: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece.

        Raises:
            SourceError: an event is too long.
        """
        text = self._rest + self._decoder.decode(piece)
        # A carriage return at the end may be half of a line's end.
        text, held = (text[:-1], "\r") if text.endswith("\r") else (text, "")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + held
        for line in lines:
            if line:
                self._line(line)
                continue
            if self._data:
                yield Event(self._name or "message", "\n".join(self._data), self.id)
            self._name, self._data = "", []
        if len(self._rest) + sum(map(len, self._data)) > self.most:
            raise SourceError("too-large", f"an event of over {self.most} characters")

    def _line(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self.id = value


class SseSource(Source):
    """A stream of server-sent events."""

    Options = SseOptions

    async def read(self, cursor: Cursor) -> AsyncIterator[Batch]:
        options = cast(SseOptions, self.options)
        if cursor.get("of") != options.url:
            cursor = {"of": options.url, "id": ""}
        headers = {"Accept": "text/event-stream", **filled(options.headers)}
        if cursor["id"].isascii() and cursor["id"]:
            headers["Last-Event-ID"] = cursor["id"]
        parser = Parser(options.max_bytes, cursor["id"])
        limits = options_limits(options)
        async with self.context.http.stream(options.url, limits, headers) as answer:
            kind = answer.headers.get("content-type", "no type")
            if not kind.startswith("text/event-stream"):
                raise SourceError("parse", f"the answer ({kind[:60]}) is no event stream")
            async for piece in answer.aiter_raw():
                events = list(parser.feed(piece))
                items: list[Item] = []
                bad: list[str] = []
                for event in events:
                    if options.events and event.name not in options.events:
                        continue
                    try:
                        row = mapped_json(event.data, options)
                        # Ids of events may begin anew with the server; those of documents do not.
                        items.append(Item(row, key=str(row["id"]) if row.get("id") else None))
                    except ValueError as error:
                        bad.append(f"event {event.id or event.name}: {error}"[:200])
                if events:
                    yield Batch(items, {"of": options.url, "id": parser.id}, bad)
