"""WebSockets against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from stream.feeds.base import Batch, Context, SourceError
from stream.feeds.http import Fetcher
from stream.feeds.websocket import WebSocketOptions, WebSocketSource
from tests.stream.feeds.web import Web


@asynccontextmanager
async def server(got: list[str], *messages: str, close: bool = True) -> AsyncIterator[str]:
    """Answers the first message with some of its own; its address."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        got.append(request.headers.get("X-Token", ""))
        got.append(await response.receive_str())
        for message in messages:
            await response.send_str(message)
        if not close:
            await response.receive()
        await response.close()
        return response

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def options(url: str, **more: Any) -> WebSocketOptions:
    return WebSocketOptions.model_validate(
        {"id": "w", "type": "websocket", "url": url, "internal": True, **more}
    )


async def read(given: WebSocketOptions, found: list[Batch], most: int = 1000) -> None:
    async with Fetcher() as http:
        source = WebSocketSource(given, Context(http, lambda _: False))
        reading: Any = source.read({})
        async with aclosing(reading):
            async for batch in reading:
                found.append(batch)
                if sum(len(b.items) for b in found) >= most:
                    return


def test_messages_become_documents_until_the_server_closes(monkeypatch):
    monkeypatch.setenv("TOKEN", "t0p")
    got: list[str] = []
    found: list[Batch] = []
    sent = [
        json.dumps({"type": "welcome"}),
        json.dumps({"data": [{"id": n, "body": f"t{n}"} for n in (1, 2)]}),
        "no JSON",
        json.dumps({"data": {"body": "t3"}}),
    ]

    async def run() -> None:
        async with server(got, *sent) as url:
            given = options(
                url,
                headers={"X-Token": "${TOKEN}"},
                subscribe=[{"channel": "news"}],
                items="data",
                fields={"text": "body", "id": "id"},
            )
            await read(given, found)

    with pytest.raises(SourceError, match="the server closed the stream"):
        asyncio.run(run())
    items = [item for batch in found for item in batch.items]
    assert [item.document["text"] for item in items] == ["t1", "t2", "t3"]
    assert [item.key for item in items] == ["1", "2", None]
    assert [why for batch in found for why in batch.bad] == ["a message that is not JSON"]
    assert got == ["t0p", '{"channel": "news"}']


def test_a_reader_that_stops_closes_it():
    found: list[Batch] = []

    async def run() -> None:
        async with server([], json.dumps({"text": "a"}), close=False) as url:
            await read(options(url, subscribe=["hello"]), found, most=1)

    asyncio.run(run())
    assert found[0].items[0].document == {"text": "a"}


def failure(given: WebSocketOptions) -> SourceError:
    with pytest.raises(SourceError) as raised:
        asyncio.run(read(given, []))
    return raised.value


def test_what_is_no_websocket_is_an_error(web: Web):
    web.answer("/", b"hello")
    url = web.url.replace("http", "ws")
    assert failure(options(url)).kind == "status"
    web.routes["/"] = lambda handler: web.ended.wait(30) and None
    assert failure(options(url, timeout=0.2)).kind == "timeout"


def test_private_addresses_are_refused_unless_internal(web: Web):
    for host in ("127.0.0.1", "localhost"):
        url = web.url.replace("http", "ws").replace("127.0.0.1", host)
        error = failure(options(url, internal=False))
        assert error.kind == "address"
        assert "internal: true for this feed" in str(error)
    assert web.requests == []


def test_problems():
    [problem] = options("http://w.example").problems()
    assert problem == "url must begin with ws:// or wss://"
