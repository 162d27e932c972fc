"""What a badly behaved server can do to a feed, and what it cannot."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from stream.feeds.base import Gone, SourceError
from stream.feeds.http import Fetched, Fetcher, Limits, retry_after
from tests.stream.feeds.web import Handler, Web, send

LIMITS = Limits(seconds=5.0, size=100_000, internal=True)


def get(url: str, limits: Limits = LIMITS, **headers: str) -> Fetched:
    async def ask() -> Fetched:
        async with Fetcher() as http:
            return await http.get(url, limits, headers)

    return asyncio.run(ask())


def failure(url: str, limits: Limits = LIMITS) -> SourceError:
    with pytest.raises(SourceError) as raised:
        get(url, limits)
    return raised.value


def test_the_agent_is_honest_and_the_body_arrives(web: Web):
    web.answer("/feed", b"hello", etag='"1"')
    got = get(f"{web.url}/feed")
    assert (got.status, got.body, got.moved) == (200, b"hello", None)
    [headers] = web.asked("/feed")
    assert headers["user-agent"].startswith("Barograph/")
    assert headers["host"] == web.url.removeprefix("http://")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_answers_are_unpacked(web: Web, pack):
    encoding = "gzip" if pack is gzip.compress else "deflate"
    web.answer("/feed", pack(b"x" * 50_000), content_encoding=encoding)
    assert get(f"{web.url}/feed").body == b"x" * 50_000


def test_a_gzip_bomb_is_refused(web: Web):
    web.answer("/feed", gzip.compress(b"\0" * 50_000_000), content_encoding="gzip")
    assert failure(f"{web.url}/feed").kind == "too-large"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [({"content_encoding": "gzip"}, "parse"), ({"content_encoding": "br"}, "parse")],
)
def test_a_body_not_packed_as_it_says_is_an_error(web: Web, headers, kind):
    web.answer("/feed", b"plain", **headers)
    assert failure(f"{web.url}/feed").kind == kind


def test_a_body_without_end_is_cut_off(web: Web):
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not web.ended.is_set():
            handler.wfile.write(b"x" * 1000)

    web.routes["/feed"] = endless
    assert failure(f"{web.url}/feed").kind == "too-large"


def test_a_server_that_never_answers_is_left(web: Web):
    web.routes["/feed"] = lambda handler: web.ended.wait(30) and None
    assert failure(f"{web.url}/feed", Limits(0.2, 1000, True)).kind == "timeout"


def test_a_server_that_drips_is_left(web: Web):
    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not web.ended.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    web.routes["/feed"] = drip
    assert failure(f"{web.url}/feed", Limits(0.3, 1000, True)).kind == "timeout"


def test_a_body_that_breaks_off_is_an_error(web: Web):
    def cut(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    web.routes["/feed"] = cut
    assert failure(f"{web.url}/feed").kind == "connection"


def test_nobody_listening_and_no_http_are_errors():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert failure(f"http://127.0.0.1:{port}/").kind == "connection"
    assert failure("ftp://127.0.0.1/").kind == "address"


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_a_status_is_an_error_that_says_when_to_come_again(web: Web, status):
    web.answer("/feed", b"", status, retry_after="120")
    error = failure(f"{web.url}/feed")
    assert (error.kind, error.retry_after) == ("status", 120.0)
    assert str(status) in str(error)


def test_gone_is_gone(web: Web):
    web.answer("/feed", b"", 410)
    assert isinstance(failure(f"{web.url}/feed"), Gone)


@pytest.mark.parametrize(
    ("statuses", "moved"),
    [((301,), "/1"), ((308, 301), "/2"), ((302,), None), ((301, 302), "/1"), ((302, 301), None)],
)
def test_only_lasting_redirects_change_the_address(web: Web, statuses, moved):
    for number, status in enumerate(statuses):
        web.answer(f"/{number}", b"", status, location=f"/{number + 1}")
    web.answer(f"/{len(statuses)}", b"there")
    got = get(f"{web.url}/0")
    assert got.body == b"there"
    assert got.moved == (moved and web.url + moved)


def test_redirects_in_a_circle_end(web: Web):
    web.answer("/a", b"", 302, location="/b")
    web.answer("/b", b"", 302, location="/a")
    assert "redirects" in str(failure(f"{web.url}/a"))


def test_headers_go_to_no_other_host(web: Web):
    other = web.url.replace("127.0.0.1", "localhost")
    web.answer("/a", b"", 302, location=f"{other}/b")
    web.answer("/b", b"there")
    get(f"{web.url}/a", authorization="secret")
    assert web.asked("/a")[0]["authorization"] == "secret"
    assert "authorization" not in web.asked("/b")[0]


def test_private_addresses_are_refused_unless_internal(web: Web):
    web.answer("/feed", b"secret")
    for url in (web.url, web.url.replace("127.0.0.1", "localhost"), "http://169.254.169.254"):
        error = failure(f"{url}/feed", Limits(5.0, 1000, internal=False))
        assert error.kind == "address"
        assert "internal: true for this feed" in str(error)
    assert web.requests == []


def test_a_redirect_to_a_private_address_is_refused(web: Web, monkeypatch):
    from stream.feeds import http

    real = http.resolve

    def public_at_first(host: str, port: int, *, internal: bool, what: str) -> str:
        # A public server that redirects into the network; here both are this machine's.
        return "127.0.0.1" if host == "news.example" else real(host, port, internal=internal)

    monkeypatch.setattr(http, "resolve", public_at_first)
    web.answer("/feed", b"", 302, location=f"{web.url}/secret")
    web.answer("/secret", b"secret")
    port = web.url.rpartition(":")[2]
    error = failure(f"http://news.example:{port}/feed", Limits(5.0, 1000, internal=False))
    assert error.kind == "address"
    assert web.asked("/secret") == []


def test_a_host_gets_one_request_at_a_time(web: Web):
    def slow(handler: Handler) -> None:
        web.ended.wait(0.05)
        send(handler, b"x")

    web.routes["/feed"] = slow

    async def ask() -> None:
        async with Fetcher() as http:
            await asyncio.gather(*(http.get(f"{web.url}/feed", LIMITS) for _ in range(5)))

    asyncio.run(ask())
    assert (len(web.requests), web.most_at_once) == (5, 1)


def test_retry_after_is_a_number_or_a_date():
    now = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
    seconds = now.timestamp()
    assert retry_after("30", seconds) == 30.0
    assert retry_after(format_datetime(now + timedelta(minutes=2), usegmt=True), seconds) == 120.0
    assert retry_after(format_datetime(now - timedelta(minutes=2), usegmt=True), seconds) == 0.0
    for nothing in (None, "", "soon", "-5", "²"):
        assert retry_after(nothing, seconds) == 0.0
    assert retry_after("999999999", seconds) == 86_400.0
