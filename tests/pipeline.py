"""A worker, a recorder and a desk as real processes, for tests and benchmarks."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from sqlalchemy import Engine

from alerts.records import Alert, Window
from alerts.store import find_alert, list_alerts, open_engine, topic_windows
from stream.broker import free_port
from stream.settings import HttpSettings, Settings
from stream.topics import create
from stream.up import Child, write_settings
from tests.servers import eventually


@dataclass
class Pipeline:
    """The processes of one set of settings; leaving it stops them."""

    settings: Settings
    folder: Path
    names: tuple[str, ...] = ("worker", "recorder")
    second_try: bool = False
    """start what is not ready after a while once more, as ``up`` does"""
    database_url: str = ""
    """SQLite in the folder where none is given"""
    children: dict[str, Child] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {f"{name}_port": free_port() for name in ("worker", "recorder", "desk")}
        self.settings = self.settings.model_copy(
            update={
                "http": HttpSettings(**ports),
                "database_url": self.database_url or f"sqlite:///{self.folder}/barograph.db",
            }
        )
        self.config = write_settings(self.settings, self.folder)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        create(self.settings)
        try:
            for name in self.names:
                self.start(name)
            for name in self.names:
                self.ready(name)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        self.engine: Engine = open_engine(self.settings.database_url)
        self._stack.callback(self.engine.dispose)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, child in self.children.items():
            child.stop()
            if error is not None:
                print(f"--- {name}\n{child.log()}")
        self._stack.close()

    def start(self, name: str) -> None:
        self.children[name] = Child(name, self.config, self.folder)

    def join(self) -> str:
        """Start a second worker of the same application; returns its address."""
        port = free_port()
        http = self.settings.http.model_copy(update={"worker_port": port})
        folder = self.folder / "second"
        folder.mkdir()
        config = write_settings(self.settings.model_copy(update={"http": http}), folder)
        self.children["second"] = Child("worker", config, folder)
        return f"http://127.0.0.1:{port}"

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{getattr(self.settings.http, f'{name}_port')}"

    def ready(self, name: str) -> None:
        def answers() -> bool:
            self.children[name].check()
            try:
                return httpx.get(f"{self.url(name)}/readyz", timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        try:
            eventually(answers, 60, what=f"{name} ready")
        except AssertionError:
            if not self.second_try:
                raise
            self.children[name].restart()
            eventually(answers, 60, what=f"{name} ready")

    def metric(self, name: str, url: str = "", **labels: str) -> float:
        """Sum of a worker's series of that name with these labels."""
        text = httpx.get(f"{url or self.url('worker')}/metrics", timeout=5).text
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith((f"{name}{{", f"{name} ")) and all(w in line for w in wanted)
        )

    def windows(self) -> dict[tuple[str, int, float], Window]:
        """All recorded windows, by topic, length and start."""
        from stream.worker import build_scorer, config_of

        found = {}
        topics = config_of(self.settings, build_scorer(self.settings)).topics
        for topic in topics:
            for seconds in (300, 3600, 86400):
                for window in topic_windows(self.engine, topic, seconds, limit=1_000_000):
                    found[topic, seconds, window.start.timestamp()] = window
        return found

    def transitions(self) -> list[Alert]:
        """All recorded transitions of all alerts."""
        found = []
        for alert in list_alerts(self.engine, limit=10_000):
            history = find_alert(self.engine, alert.id)
            assert history is not None
            found += history.transitions
        return found


def comparable(window: Window) -> dict[str, Any]:
    """What live and replay must agree on, wherever the stream happens to end."""
    return window.model_dump(exclude={"final", "expected_negative_stories", "model"})
