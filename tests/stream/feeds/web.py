"""A web server of the tests' own that answers as each test says, also badly."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.servers import serving

Handler = http.server.BaseHTTPRequestHandler


@dataclass
class Web:
    """``routes[path]`` answers a request; a path's query is left out."""

    url: str = ""
    routes: dict[str, Callable[[Handler], None]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """path with query, and headers in lower case"""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)
    """set when the test is over: what waits is to end"""

    def answer(
        self, path: str, body: bytes = b"", status: int = 200, **headers: str
    ) -> Callable[[Handler], None]:
        """Let a path be answered so; header names are written with underscores."""

        def respond(handler: Handler) -> None:
            send(handler, body, status, **headers)

        self.routes[path] = respond
        return respond

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of each request of a path."""
        with self.lock:
            return [headers for found, headers in self.requests if found.partition("?")[0] == path]


def send(handler: Handler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextlib.contextmanager
def web_server() -> Iterator[Web]:
    web = Web()

    class Answers(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with web.lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                web.requests.append((self.path, headers))
                web.at_once += 1
                web.most_at_once = max(web.most_at_once, web.at_once)
            try:
                route = web.routes.get(self.path.partition("?")[0])
                with contextlib.suppress(OSError):  # the client may have gone
                    if route is None:
                        send(self, b"", 404)
                    else:
                        route(self)
            finally:
                with web.lock:
                    web.at_once -= 1

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Answers) as web.url:
        try:
            yield web
        finally:
            web.ended.set()
