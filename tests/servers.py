"""Real servers for tests: started on free ports in a temporary folder, polled until they answer."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy

from stream.broker import free_port
from stream.clients import BrokerUnreachable, admin

ROOT = Path(__file__).resolve().parents[1]
KAFKA_JARS = ROOT / "build" / "kafka"


class ServerMissing(Exception):
    """A server's program is not installed; the message says what to install."""


def eventually(
    predicate: Callable[[], Any], timeout: float = 20.0, interval: float = 0.05, what: str = ""
) -> Any:
    """The predicate's first true value; AssertionError when there is none within `timeout` s.

    AssertionErrors of the predicate count as "not yet", and the last is shown.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    last: AssertionError | None = None
    while True:
        try:
            if value := predicate():
                return value
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or predicate} not within {timeout} s") from last
        pause.wait(interval)


def answers(url: str) -> bool:
    """Whether an HTTP GET succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def program(*names: str, package: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise ServerMissing(f"{names[0]} is missing: apt-get install {package} (make test does it)")


@contextlib.contextmanager
def running(
    command: Sequence[str],
    ready: Callable[[], bool],
    folder: Path,
    timeout: float = 60.0,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    stop_signal: int = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ready; ended on leaving, its log printed when anything failed."""
    path = folder / "log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            user=user,
            start_new_session=True,
        )
    failed = True
    try:
        deadline = time.monotonic() + timeout
        while process.poll() is None and time.monotonic() < deadline:
            if ready():
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        else:
            raise RuntimeError(f"{command[0]} does not run (status {process.poll()})")
        yield process
        failed = False
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if failed:
            text = path.read_text(errors="replace")
            print(f"--- {command[0]} ---\n{text[-4000:]}", file=sys.stderr)


@dataclass(frozen=True)
class Kafka:
    bootstrap: str


def _java() -> str:
    java = program("java", package="default-jre-headless")
    if not list(KAFKA_JARS.glob("kafka_*.jar")):
        raise ServerMissing(f"no Kafka in {KAFKA_JARS}: run `make test`, which fetches it")
    return java


def _kafka_answers(bootstrap: str) -> bool:
    try:
        with admin(bootstrap) as client:
            client.list_topics()
        return True
    except BrokerUnreachable:
        return False


@contextlib.contextmanager
def kafka(
    folder: Path, more: Mapping[str, str] | None = None, format_options: Sequence[str] = ()
) -> Iterator[Kafka]:
    """Apache Kafka, one node, KRaft; `more` properties are added to those of the same name."""
    java = _java()
    jars = f"{KAFKA_JARS}/*"
    port, controller = free_port(), free_port()
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "2",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
    }
    for key, value in (more or {}).items():
        properties[key] = f"{properties[key]},{value}" if key in properties else value
    config = folder / "server.properties"
    config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    storage = [java, "-Xmx128m", "-cp", jars, "kafka.tools.StorageTool"]
    cluster = subprocess.run(
        [*storage, "random-uuid"], check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    subprocess.run(
        [
            *(*storage, "format", "--standalone", "--config", str(config)),
            *("--cluster-id", cluster, *format_options),
        ],
        check=True,
        capture_output=True,
    )
    bootstrap = f"127.0.0.1:{port}"
    command = [java, "-Xmx512m", "-XX:+UseSerialGC", "-cp", jars, "kafka.Kafka", str(config)]
    with running(command, lambda: _kafka_answers(bootstrap), folder, timeout=120):
        yield Kafka(bootstrap)


def postgres_program(name: str) -> str:
    """A program of PostgreSQL, the newest installed version's, in PATH or where Debian puts it."""
    places = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda path: float(path.parts[4]),
        reverse=True,
    )
    return str(places[0]) if places else program(name, package="postgresql")


@dataclass(frozen=True)
class Postgres:
    port: int

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a fresh database, dropped on leaving."""
        name = f"t{uuid.uuid4().hex}"
        self._admin(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    def _admin(self, statement: str) -> None:
        engine = sqlalchemy.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text(statement))
        finally:
            engine.dispose()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """PostgreSQL, without durability; it refuses to run as root, so root becomes `postgres`."""
    initdb, server = postgres_program("initdb"), postgres_program("postgres")
    user = "postgres" if os.geteuid() == 0 else None
    # A folder of its own: pytest's are closed to other users.
    with tempfile.TemporaryDirectory(prefix="barograph-postgres-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        subprocess.run(
            [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        port = free_port()
        command = [server, "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", ""]
        command += ["-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=50"]
        with running(
            command, lambda: _connects(port), folder, user=user, stop_signal=signal.SIGINT
        ):
            yield Postgres(port)


def _connects(port: int) -> bool:
    engine = sqlalchemy.create_engine(Postgres(port).url("postgres"))
    try:
        with engine.connect():
            return True
    except sqlalchemy.exc.OperationalError:
        return False
    finally:
        engine.dispose()


@contextlib.contextmanager
def prometheus(config: str, folder: Path, files: Mapping[str, str] | None = None) -> Iterator[str]:
    """Prometheus with this configuration (and `files` beside it); its base URL."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**(files or {}), "prometheus.yml": config}.items():
        (folder / name).write_text(text)
    base = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        program("prometheus", package="prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        # An alert of the first seconds, when Alertmanager is not found yet, comes again soon.
        "--rules.alert.resend-delay=1s",
    ]
    with running(command, lambda: answers(f"{base}/-/ready"), folder):
        yield base


@contextlib.contextmanager
def alertmanager(config: str, folder: Path) -> Iterator[str]:
    """Alertmanager with this configuration; its base URL."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(config)
    base = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running(command, lambda: answers(f"{base}/-/ready"), folder):
        yield base


@dataclass(frozen=True)
class Received:
    """A request that arrived: header names are lower-case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class WebhookReceiver:
    """An HTTP server that records what it gets.

    ``statuses`` are answered one after the other, then ``status``; while ``hold`` is cleared,
    requests wait. ``location`` is sent along with a 3xx.
    """

    url: str = ""
    status: int = 200
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    body: bytes = b""
    requests: list[Received] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    def wait(self, count: int = 1, timeout: float = 20.0) -> list[Received]:
        """The requests, once there are `count` of them."""
        eventually(
            lambda: len(self.requests) >= count, timeout, what=f"{count} requests at {self.url}"
        )
        return list(self.requests)


@contextlib.contextmanager
def serving(
    handler: Callable[..., http.server.BaseHTTPRequestHandler], port: int = 0
) -> Iterator[str]:
    """A web server of this machine, each request in a thread of its own; its address, no slash."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    receiver.hold.set()
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                status = receiver.statuses.pop(0) if receiver.statuses else receiver.status
                receiver.requests.append(
                    Received(self.command, self.path, headers, body, time.monotonic())
                )
            receiver.hold.wait(60)
            with contextlib.suppress(OSError):  # the client may have given up
                self.send_response(status)
                if receiver.location:
                    self.send_header("location", receiver.location)
                self.send_header("content-length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  the names the base class calls

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler) as address:
        receiver.url = f"{address}/"
        try:
            yield receiver
        finally:
            receiver.hold.set()
