"""Messages of a WebSocket; what is sent while it is closed, a WebSocket does not tell."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, cast

import aiohttp
from pydantic import Field

from alerts.addresses import RefusedAddress, is_public
from stream.feeds.base import Batch, Cursor, Duration, Item, Source, SourceError
from stream.feeds.http import USER_AGENT
from stream.feeds.json_api import filled, missing
from stream.feeds.mapping import MappedOptions, mapped
from stream.feeds.paths import JsonPath, look

HEARTBEAT = 30.0
"""Seconds after which a silent server is asked whether it is there."""

QUEUE = 1000
"""Messages that wait for Kafka at most; then the server's wait."""


class WebSocketOptions(MappedOptions):
    """A feed of ``type: websocket``."""

    url: str
    headers: dict[str, str] = Field({})
    """``${NAME}`` in a value is that variable of the environment"""
    subscribe: tuple[dict[str, Any] | str, ...] = ()
    """messages to send when it is open; a mapping goes out as JSON"""
    items: JsonPath = ""
    """where an item or a list of items stands in a message; messages without it are passed over"""
    timeout: Annotated[Duration, Field(gt=0, le=600)] = 30.0
    """seconds that opening may take"""
    max_bytes: Annotated[int, Field(ge=1000, le=100_000_000)] = 1_000_000
    """of one message"""
    interval: Annotated[Duration, Field(gt=0, le=86400)] = 5.0

    def problems(self) -> Sequence[str]:
        found = list(super().problems())
        if not self.url.startswith(("ws://", "wss://")):
            found.append("url must begin with ws:// or wss://")
        for name in missing(self.headers):
            found.append(f"headers name ${{{name}}}, and the environment has no such variable")
        return found


class WebSocketSource(Source):
    """A stream of messages, each JSON."""

    Options = WebSocketOptions

    async def read(self, cursor: Cursor) -> AsyncIterator[Batch]:
        options = cast(WebSocketOptions, self.options)
        connector = aiohttp.TCPConnector(socket_factory=_checked(options.internal))
        agent = {"User-Agent": USER_AGENT}
        async with aiohttp.ClientSession(connector=connector, headers=agent) as session:
            socket = await self._opened(session, options)
            queue: asyncio.Queue[str | bytes | None] = asyncio.Queue(QUEUE)
            reading = asyncio.create_task(_read(socket, queue))
            try:
                for message in options.subscribe:
                    sent = message if isinstance(message, str) else json.dumps(message)
                    await socket.send_str(sent)
                going_on = True
                while going_on:
                    messages = [await queue.get()]
                    while not queue.empty():
                        messages.append(queue.get_nowait())
                    going_on = messages[-1] is not None
                    items, bad = _items([m for m in messages if m is not None], options)
                    if items or bad:
                        yield Batch(items, {"of": options.url}, bad)
                await reading
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                await socket.close()
        raise SourceError("connection", f"the server closed the stream ({socket.close_code})")

    async def _opened(
        self, session: aiohttp.ClientSession, options: WebSocketOptions
    ) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(options.timeout):
                return await session.ws_connect(
                    options.url,
                    headers=filled(options.headers),
                    heartbeat=HEARTBEAT,
                    max_msg_size=options.max_bytes,
                )
        except TimeoutError:
            raise SourceError("timeout", f"not open within {options.timeout:g} s") from None
        except aiohttp.WSServerHandshakeError as error:
            raise SourceError("status", f"the server answers {error.status}") from None
        except RefusedAddress as error:
            raise SourceError("address", str(error)) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise SourceError("connection", str(error) or type(error).__name__) from None


def _checked(internal: bool) -> Any:
    """Makes sockets, to the very addresses that it has checked."""

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not internal and not is_public(str(address[0])):
            raise RefusedAddress(
                f"leads to {address[0]}, which is not a public address; "
                "set internal: true for this feed if that is meant"
            )
        return socket.socket(family, kind, protocol)

    return make


async def _read(
    socket: aiohttp.ClientWebSocketResponse, queue: asyncio.Queue[str | bytes | None]
) -> None:
    """All messages, then None."""
    try:
        async for message in socket:
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                await queue.put(message.data)
    except Exception:
        await queue.put(None)
        raise
    await queue.put(None)


def _items(
    messages: Sequence[str | bytes], options: WebSocketOptions
) -> tuple[list[Item], list[str]]:
    items: list[Item] = []
    bad: list[str] = []
    for message in messages:
        try:
            found = look(json.loads(message), options.items)
        except (ValueError, RecursionError):
            bad.append("a message that is not JSON")
            continue
        if found is None:
            continue
        for value in found if isinstance(found, list) else [found]:
            try:
                row = mapped(value, options)
            except ValueError as error:
                bad.append(str(error))
                continue
            items.append(Item(row, key=str(row["id"]) if row.get("id") else None))
    return items, bad
