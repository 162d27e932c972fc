"""HTTP for feeds: to checked addresses only, one request a host at a time, within limits.

A host's name is resolved here and the request goes to the very address that was checked; so does
each redirect. What is compressed is unpacked piece by piece up to the limit, so that a small answer
cannot fill the memory.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

import httpx

from alerts.addresses import RefusedAddress, resolve

if TYPE_CHECKING:
    from stream.feeds.base import ErrorKind, SourceError

USER_AGENT = "Barograph/0.1 (feed reader; one connection a host)"
REDIRECTS = 5
LONGEST_RETRY_AFTER = 86_400.0
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What one reading may take."""

    seconds: float = 30.0
    """of one request, from the connection to the last byte"""
    size: int = 10_000_000
    """bytes of the body, unpacked"""
    internal: bool = False
    """also private, loopback and link-local addresses"""


@dataclass(frozen=True)
class Fetched:
    """An answer: 200 with a body, or 304 without one."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str
    """where it came from, after redirects"""
    moved: str | None
    """the address to ask from now on, if a redirect said that it has changed for good"""


class Fetcher:
    """One client for all feeds of the process; enter it before use."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"},
            follow_redirects=False,
            trust_env=False,
            # Connections are kept by address, and one address may serve hosts that trust each
            # other with nothing.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )
        self._hosts: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(
        self, url: str, limits: Limits, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """The answer to a GET, redirects followed.

        Args:
            url: http or https.
            limits: of this reading.
            headers: sent to the host of ``url`` only, not to where that redirects.

        Raises:
            Gone: 410.
            SourceError: anything else but 200 and 304, or none in time or within the limits.
        """
        async with _errors(limits, url):
            return await self._get(url, limits, headers or {})

    async def _get(self, url: str, limits: Limits, headers: Mapping[str, str]) -> Fetched:
        first = _host(url)
        moved: str | None = None
        lasting = True
        for _ in range(REDIRECTS + 1):
            sent = headers if _host(url) == first else {}
            # A host's other requests may take their time; ours begins when it is its turn.
            async with (
                self._lock(url),
                asyncio.timeout(limits.seconds),
                self._opened(url, limits, sent) as answer,
            ):
                status = answer.status_code
                if answer.is_redirect and "location" in answer.headers:
                    url = _joined(url, answer.headers["location"])
                    lasting = lasting and status in (301, 308)
                    moved = url if lasting else moved
                    continue
                _check(answer)
                body = b"" if status == 304 else await _body(answer, limits.size)
                return Fetched(status, answer.headers, body, url, moved)
        raise _error("status", f"more than {REDIRECTS} redirects")

    @asynccontextmanager
    async def stream(
        self, url: str, limits: Limits, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """An answer 200 that goes on; ``limits.seconds`` holds until it begins.

        It does not hold up other requests to its host. Nothing is unpacked and nothing redirected.

        Raises:
            Gone: 410.
            SourceError: it does not begin, or breaks off.
        """
        async with _errors(limits, url):
            asked = {"Accept-Encoding": "identity", **(headers or {})}
            async with self._opened(url, limits, asked) as answer:
                _check(answer)
                yield answer

    def _lock(self, url: str) -> asyncio.Lock:
        return self._hosts.setdefault(_host(url), asyncio.Lock())

    @asynccontextmanager
    async def _opened(
        self, url: str, limits: Limits, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        asked = _parsed(url)
        port = asked.port or (443 if asked.scheme == "https" else 80)
        try:
            address = await asyncio.to_thread(
                resolve, asked.host, port, internal=limits.internal, what="feed"
            )
        except RefusedAddress as error:
            raise _error("address", str(error)) from None
        request = self._client.build_request(
            "GET",
            asked.copy_with(host=address),
            headers={**headers, "Host": asked.netloc.decode("ascii").rpartition("@")[2]},
            timeout=httpx.Timeout(limits.seconds),
            extensions={"sni_hostname": asked.host},
        )
        answer = await self._client.send(request, stream=True)
        try:
            yield answer
        finally:
            await answer.aclose()


def retry_after(value: str | None, now: float) -> float:
    """Seconds that a Retry-After asks for, at most a day: a number, or a date of HTTP.

    Args:
        value: the header; None or nonsense asks for nothing.
        now: the wall clock, seconds.
    """
    if not value:
        return 0.0
    if value.strip().isascii() and value.strip().isdigit():
        return min(float(value), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    wait = (date - datetime.fromtimestamp(now, UTC)).total_seconds()
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER)


def _check(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == 410:
        from stream.feeds.base import Gone

        raise Gone("the server answers 410: it is gone for good")
    if status not in (200, 304):
        wait = retry_after(answer.headers.get("retry-after"), time.time())
        raise _error("status", f"the server answers {status}", wait)


async def _body(answer: httpx.Response, most: int) -> bytes:
    """The body, unpacked up to a limit."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise _error("parse", f"packed as {encoding[:20]}, which was not asked for")
    unpack = None if encoding in ("identity", "") else zlib.decompressobj(wbits=47)
    body = bytearray()
    async for chunk in answer.aiter_raw(CHUNK):
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, most + 1 - len(body))
        except zlib.error:
            raise _error("parse", f"the answer is not {encoding}") from None
        if len(body) > most:
            raise _error("too-large", f"over {most} bytes; max_bytes raises the limit")
    return bytes(body)


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _error("address", f"no address: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _error("address", "leads to what is neither http nor https")
    return parsed


def _joined(url: str, location: str) -> str:
    try:
        return str(httpx.URL(url).join(location))
    except (httpx.InvalidURL, ValueError) as error:
        raise _error("address", f"redirects to no address: {error}") from None


def _host(url: str) -> str:
    parsed = _parsed(url)
    return f"{parsed.scheme}://{parsed.host}:{parsed.port or ''}"


@asynccontextmanager
async def _errors(limits: Limits, url: str) -> AsyncIterator[None]:
    """Errors of the client as those of a source."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException):
        raise _error("timeout", f"no answer within {limits.seconds:g} s") from None
    except httpx.HTTPError as error:
        host = _parsed(url).host
        raise _error("connection", f"{host}: {error or type(error).__name__}") from None


def _error(kind: ErrorKind, reason: str, wait: float = 0.0) -> SourceError:
    from stream.feeds.base import SourceError

    return SourceError(kind, reason, wait)


def options_limits(options: Any) -> Limits:
    """The limits that the options of a feed over HTTP give."""
    return Limits(options.timeout, options.max_bytes, options.internal)
