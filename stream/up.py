"""Everything on one machine: broker, worker, recorder, desk and feeds as children.

Each child is the command that one would run by hand, with the settings in a file of its own.
"""

from __future__ import annotations

import base64
import json
import math
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from alerts.records import Alert
from alerts.store import list_alerts, open_engine
from stream.broker import EmbeddedBroker, free_port
from stream.clients import producer
from stream.demo import WATCHLIST, documents
from stream.feeds.listing import usable_feeds
from stream.settings import Settings, load
from stream.stalls import EXIT_STALLED
from stream.topics import adjust, create

START_SECONDS = 90.0
ALERT_SECONDS = 300.0
STOP_SECONDS = 15.0
POLL = 0.2

PROCESSES = ("worker", "recorder", "desk")


class UpError(Exception):
    """Something did not come up, or did not happen; the message says what."""


class Receiver:
    """A webhook target on this machine that keeps what it gets."""

    def __init__(self) -> None:
        self.deliveries: list[dict[str, Any]] = []
        self.changed = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.deliveries.append(json.loads(body))
                receiver.changed.set()
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """What arrives is shown by ``up`` itself."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Child:
    """A barograph process, its output kept in a file."""

    module = "stream.cli"

    def __init__(self, name: str, config: Path, folder: Path, feeds: Path | None = None) -> None:
        """Feeds: a feeds file, where the process is the one that reads feeds."""
        self.name = name
        self._arguments = [name] if feeds is None else [name, "run", str(feeds)]
        self._config = config
        self._log = folder / f"{name}.log"
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as out:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    self.module,
                    *self._arguments,
                    "--config",
                    str(self._config),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the parent, which stops its children in order.
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises UpError when the process has ended."""
        status = self._process.poll()
        if status is not None:
            raise UpError(f"the {self.name} ended with status {status}:\n  {self.log()}")

    def supervise(self) -> None:
        """Start it anew if it ended because it could not read its tables, else ``check``."""
        if self._process.poll() == EXIT_STALLED:
            self.restart()
        self.check()

    def log(self) -> str:
        """The last lines it has written."""
        return "\n  ".join(self._log.read_text(errors="replace").strip().splitlines()[-15:])

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Stop it and start it anew."""
        self.stop()
        self._process = self._start()

    def stop(self) -> int:
        """Ask it to stop, and make it when it does not; returns its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()


def up(
    config: Path | None,
    bootstrap: str | None,
    *,
    demo: bool,
    once: bool,
    feeds: Path | None = None,
    say: Callable[[str], None],
) -> None:
    """Run everything until interrupted, or with ``once`` until the alert has been delivered.

    Args:
        config: the settings file.
        bootstrap: a Kafka to use instead of the embedded broker.
        demo: play the demonstration stream, with a database and a receiver of its own.
        once: end after the first alert.
        feeds: a feeds file, which a feed process reads.
        say: prints a line for the user.

    Raises:
        UpError: a process did not come up or ended, or the alert did not come.
        FeedsError: the feeds file cannot be used.
        SettingsError, BrokerError, BrokerUnreachable, TopicError: as they say.
    """
    if feeds is not None:
        usable_feeds(feeds)  # before anything is started
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="barograph-")))
        receiver = Receiver()
        stack.callback(receiver.stop)
        options: dict[str, Any] = {}
        if bootstrap is None:
            broker = EmbeddedBroker()
            say("Starting the embedded broker (in memory: for trying out only) …")
            broker.start()
            stack.callback(broker.stop)
            # There a group takes the whole time-out to form.
            options["kafka"] = {"bootstrap": broker.bootstrap, "rebalance_timeout": 3.0}
        else:
            options["kafka"] = {"bootstrap": bootstrap}
        if demo:
            options |= _demo_options(folder, receiver, options["kafka"])
        settings = _with_free_ports(config, options)
        written = write_settings(settings, folder)
        create(settings)
        for change in adjust(settings):
            say(f"  changed {change}")
        say(f"Starting worker, recorder{', desk and feeds' if feeds else ' and desk'} …")
        children = [Child(name, written, folder) for name in PROCESSES]
        if feeds is not None:
            children.append(Child("feed", written, folder, feeds))
        for child in children:
            stack.callback(child.stop)
        _wait_ready(settings, children)
        _show(settings, say)
        if not demo:
            if feeds is None:
                say("Feed it with: barograph send FILE --bootstrap " + settings.kafka.bootstrap)
            else:
                say("Reading the feeds. Ctrl-C stops everything.")
            while True:
                _pause(children, threading.Event())
        _play(settings, say)
        alert = _wait_alert(settings, receiver, children)
        _show_alert(settings, alert, receiver, say)
        if not once:
            say("\nCtrl-C stops everything.")
            while True:
                _pause(children, threading.Event())


def _demo_options(folder: Path, receiver: Receiver, kafka: dict[str, Any]) -> dict[str, Any]:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "kafka": {**kafka, "partitions": 1, "app_id": f"barograph-demo-{os.getpid()}"},
        "database_url": f"sqlite:///{folder / 'demo.db'}",
        "watchlist": WATCHLIST,
        "worker": {"idle_after": 4.0, "allowed_lateness": 0.0},
        "delivery": {
            "mode": "direct",
            "targets": [{"name": "demo", "url": receiver.url, "secret": secret, "internal": True}],
        },
    }


def _with_free_ports(config: Path | None, options: dict[str, Any]) -> Settings:
    """The settings, with other ports where theirs are taken: two demos may run side by side."""
    settings = load(config, **options)
    ports = {}
    for name in ("desk_port", "worker_port", "recorder_port", "feed_port"):
        port = getattr(settings.http, name)
        ports[name] = port if _is_free(settings.http.host, port) else free_port(settings.http.host)
    return load(config, **{**options, "http": ports})


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return port != 0


def write_settings(settings: Settings, folder: Path) -> Path:
    """The settings as a file only this user can read: it holds secrets."""
    values = _plain(settings.model_dump(exclude_none=True))
    path = folder / "settings.yaml"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value.resolve())
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def _wait_ready(settings: Settings, children: list[Child]) -> None:
    http = settings.http
    waiting = {"worker": http.worker_port, "recorder": http.recorder_port, "desk": http.desk_port}
    if any(child.name == "feed" for child in children):
        waiting["feed"] = http.feed_port
    deadline = time.monotonic() + START_SECONDS
    second_try = time.monotonic() + START_SECONDS / 2
    while waiting:
        if time.monotonic() > second_try:
            # With the embedded broker a worker now and then waits for its group for ever (about one
            # start in 70 here); one that joins anew gets it.
            second_try = math.inf
            for child in children:
                if child.name in waiting:
                    child.restart()
        if time.monotonic() > deadline:
            logs = "\n".join(
                f"{child.name}:\n  {child.log()}" for child in children if child.name in waiting
            )
            raise UpError(f"not ready after {START_SECONDS:.0f} s: {', '.join(waiting)}\n{logs}")
        for name, port in list(waiting.items()):
            try:
                answer = httpx.get(f"http://{http.host}:{port}/readyz", timeout=5.0)
                if answer.status_code == 200:
                    del waiting[name]
            except httpx.HTTPError:
                continue
        if waiting:
            _pause(children, threading.Event())


def _pause(children: list[Child], wake: threading.Event) -> None:
    """Wait a moment, and see that all children live."""
    for child in children:
        child.supervise()
    wake.wait(POLL)


def _show(settings: Settings, say: Callable[[str], None]) -> None:
    http = settings.http
    say(f"  page      http://{http.host}:{http.desk_port}/")
    say(f"  metrics   http://{http.host}:{http.worker_port}/metrics")
    say(f"  Kafka     {settings.kafka.bootstrap}")


def _play(settings: Settings, say: Callable[[str], None]) -> None:
    stream = list(documents(datetime.now(UTC)))
    say(f"Playing two quiet weeks and a bad quarter of an hour: {len(stream)} documents …")
    with producer(settings.kafka) as client:
        for document in stream:
            client.send(settings.kafka.topics.documents, value=document.value)
        client.flush()


def _wait_alert(settings: Settings, receiver: Receiver, children: list[Child]) -> Alert:
    engine = open_engine(settings.database_url)
    try:
        deadline = time.monotonic() + ALERT_SECONDS
        found: list[Alert] = []
        while time.monotonic() < deadline:
            found = list_alerts(engine, state="firing")
            told = {delivery["data"]["id"] for delivery in receiver.deliveries}
            for alert in found:
                if alert.id in told:
                    return alert
            _pause(children, receiver.changed)
            receiver.changed.clear()
    finally:
        engine.dispose()
    what = "was recorded but not delivered" if found else "came"
    raise UpError(f"no alert {what} within {ALERT_SECONDS:.0f} s")


def _show_alert(
    settings: Settings, alert: Alert, receiver: Receiver, say: Callable[[str], None]
) -> None:
    http = settings.http
    say(f"\nALERT ({alert.severity})  {alert.summary}")
    for item in alert.evidence:
        say(f"  - {item.text}  [{item.source}, negative {item.negative:.2f}]")
    say(f"  see       http://{http.host}:{http.desk_port}/alerts/{alert.id}")
    say(f"  recorded, and delivered as a signed webhook to {receiver.url}")
