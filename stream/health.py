"""``/metrics``, ``/healthz`` and ``/readyz`` of a process that has no page."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


class HealthServer:
    """Answers in a thread of its own: ``healthz`` while the process lives, ``readyz`` by checks."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        checks: Callable[[], Mapping[str, bool]],
    ) -> None:
        """Listen at once; port 0 takes a free one.

        Args:
            host: address to listen on.
            port: TCP port.
            registry: what ``/metrics`` shows.
            checks: name and outcome of each condition of readiness, asked anew for each request.

        Raises:
            OSError: the port is taken.
        """

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    encoder, kind = choose_encoder(self.headers.get("Accept", ""))
                    self._answer(200, kind, encoder(registry))
                elif path == "/healthz":
                    self._answer(200, "text/plain", b"alive\n")
                elif path == "/readyz":
                    found = dict(checks())
                    status = 200 if all(found.values()) else 503
                    self._answer(status, "application/json", json.dumps(found).encode())
                else:
                    self._answer(404, "text/plain", b"try /metrics, /healthz or /readyz\n")

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes come every few seconds and say nothing worth a line."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
