"""What every request and answer passes: a bound on bodies, and headers that bind the browser."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""On every answer: scripts and styles from files of the desk only, and nothing from elsewhere."""

MAX_BODY = 4 * 1024 * 1024
"""Bytes of the longest body any route reads; routes have lower bounds of their own."""


class Guard:
    """ASGI middleware; a plain one, so that streams pass through it unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def bound(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = _refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, bound)


def _refusal(headers: Headers) -> JSONResponse | None:
    if "transfer-encoding" in headers and "content-length" not in headers:
        return JSONResponse({"detail": "a content-length is needed"}, status_code=411)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > MAX_BODY:
        return JSONResponse({"detail": f"at most {MAX_BODY} bytes are taken"}, status_code=413)
    return None
