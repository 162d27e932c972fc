from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.feeds.base import SourceError
from stream.feeds.sse import Event, Parser
from tests.stream.feeds.reading import read
from tests.stream.feeds.web import Handler, Web

STREAM = (
    '\ufeff: hello\n\nid: 1\nevent: post\ndata: {"text":\ndata:  "茅台"}\n\r\n'
    "data: a\r\n\r\nid: 2\rdata: b\r\rid\ndata: c\n\nevent: lost\n\ndata: no end"
).encode()
EVENTS = [
    Event("post", '{"text":\n "茅台"}', "1"),
    Event("message", "a", "1"),
    Event("message", "b", "2"),
    Event("message", "c", ""),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_are_the_same_wherever_the_stream_is_cut(cuts):
    parser = Parser(1000)
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(places)]
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


def test_an_event_without_end_is_refused():
    parser = Parser(1000)
    assert list(parser.feed(b"data: xxxxxxxx\n" * 100)) == []
    with pytest.raises(SourceError, match="over 1000"):
        list(parser.feed(b"data: xxxxxxxx\n" * 100))


def entry(web: Web, **more: Any) -> dict[str, Any]:
    return {"id": "sse", "type": "sse", "url": f"{web.url}/s", "internal": True, **more}


def test_a_stream_is_resumed_after_the_last_event(web: Web):
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream; charset=utf-8")
        handler.send_header("connection", "close")
        handler.end_headers()
        last = int(handler.headers.get("Last-Event-ID", "0"))
        event = 'id: {0}\nevent: post\ndata: {{"text": "t{0}", "id": "d{0}"}}\n\n'
        for n in range(last + 1, last + 3):
            handler.wfile.write(event.format(n).encode())
        handler.wfile.write(b"event: other\ndata: x\n\nevent: post\ndata: x\n\n")

    web.routes["/s"] = answer
    batches = read(entry(web, events=["post"]))
    assert [item.key for batch in batches for item in batch.items] == ["d1", "d2"]
    assert [why for batch in batches for why in batch.bad] == ["event 2: not JSON"]
    batches = read(entry(web, events=["post"]), batches[-1].cursor)
    assert [item.key for batch in batches for item in batch.items] == ["d3", "d4"]


def test_another_answer_is_an_error(web: Web):
    web.answer("/s", b"{}", content_type="application/json")
    with pytest.raises(SourceError, match="is no event stream"):
        read(entry(web))


def test_silence_ends_a_stream(web: Web):
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        web.ended.wait(30)

    web.routes["/s"] = answer
    with pytest.raises(SourceError, match="within 0.2 s"):
        read(entry(web, timeout=0.2))
