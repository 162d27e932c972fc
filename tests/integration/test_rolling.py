"""Workers that are stopped and started again in turn while documents come, on a real Kafka.

What is seen outside must not show it: no window, transition or scored document is missing, and none
is there twice. The same while the model is changed on the way.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import TopicPartition

from alerts.lifecycle import STATE_VERSION
from alerts.records import MIXED, Alert, ModelName, Window
from alerts.settings import DetectorSettings
from alerts.store import document_sums
from stream.broker import free_port
from stream.clients import consumer, producer
from stream.records import ScoredDocument
from stream.replay import Replay, replay
from stream.settings import Settings, WorkerSettings
from stream.stalls import EXIT_STALLED
from stream.topics import create
from stream.up import Child, UpError, write_settings
from stream.worker import config_of
from tests import servers
from tests.conftest import settings_for
from tests.integration.reading import everything
from tests.integration.test_stopping import members, uncommitted
from tests.pipeline import Pipeline, comparable
from tests.servers import eventually
from tests.stalling import StallingChild
from tests.standin import StandInChild, scorer

PARTITIONS = 4
WATCHED = ("ash", "birch", "cedar", "elm", "fir", "oak")
START = datetime(2024, 5, 6, tzinfo=UTC)
HOURS = 36
SHARES = 8
"""Parts of the documents, sent one after the other, so that some come whenever it matters."""

SESSION = 45.0
"""Seconds after which a worker that says nothing is replaced; one that leaves is at once."""


def documents() -> list[dict[str, Any]]:
    """Days in which each of the watched has bad hours, one after the other."""
    chance = random.Random(7)
    words = ["".join(chance.choices("bcdfglmnprst", k=6)) for _ in range(4000)]
    rows = []
    for hour in range(HOURS):
        for place, name in enumerate(WATCHED):
            bad = hour >= 9 and (hour + 2 * place) % 9 == 0
            for number in range(12 if bad else 2):
                minute = chance.uniform(0, 20 if bad else 60)
                mood = "bad" if bad or number == 0 else "good"
                text = " ".join([name, mood, *chance.choices(words, k=8)])
                at = START + timedelta(hours=hour, minutes=minute)
                source = f"wire-{chance.randrange(5)}"
                rows.append({"text": text, "source": source, "published_at": at.isoformat()})
    rows.sort(key=lambda row: row["published_at"])
    return [{"id": f"d{number}", **row} for number, row in enumerate(rows)]


class Workers:
    """Two workers of one group, and which model each has."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.ports = {name: free_port() for name in ("one", "two")}
        self.children: dict[str, Child] = {}

    def start(self, name: str, model: str, program: type[Child] = StandInChild) -> None:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        http = self.settings.http.model_copy(update={"worker_port": self.ports[name]})
        changed = {"http": http, "model": self.folder / model}
        config = write_settings(self.settings.model_copy(update=changed), folder)
        self.children[name] = program("worker", config, folder)

    def owned(self, name: str) -> int:
        """Partitions of the slices that it has, and has begun to read."""
        self.children[name].check()
        try:
            text = httpx.get(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=5).text
        except httpx.HTTPError:
            return 0
        lag = 'barograph_consumer_lag{partition="'
        slices = f'topic="{self.settings.kafka.topics.slices}"'
        return sum(line.startswith(lag) and slices in line for line in text.splitlines())

    def ready(self, name: str) -> int:
        """Status of its ``/readyz``; 0 where nobody answers."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[name]}/readyz", timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def lag(self, name: str) -> float:
        """Messages that it has not worked off."""
        text = httpx.get(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=5).text
        lines = (line for line in text.splitlines() if line.startswith("barograph_consumer_lag{"))
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def stop_all(self) -> None:
        for name, child in self.children.items():
            child.stop()
            print(f"--- {name}\n{child.log()}")


@pytest.fixture
def settings(kafka: servers.Kafka, tmp_path: Path) -> Settings:
    watchlist = tmp_path / "watchlist.yaml"
    entries = ", ".join(f"{{id: {name}, names: [{name}]}}" for name in WATCHED)
    watchlist.write_text(f"topics: [{entries}]")
    made = settings_for(
        kafka.bootstrap,
        PARTITIONS,
        watchlist=watchlist,
        model=tmp_path / "a",
        detector=DetectorSettings(
            false_alarms_per_topic_month=20,
            warm_up_hours=6,
            min_duration_minutes=5,
            cooldown_minutes=5,
        ),
        # The clock of the wall must decide nothing, or the replay would decide otherwise.
        worker=WorkerSettings(batch_size=64, idle_after=3600.0),
    )
    slow = made.kafka.model_copy(update={"session_timeout": SESSION})
    return made.model_copy(update={"kafka": slow})


@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", ["a", "b"])
def test_a_rolling_restart_shows_nowhere(settings: Settings, tmp_path: Path, after: str) -> None:
    rows = documents()
    create(settings)
    workers = Workers(settings, tmp_path)
    with Pipeline(settings, tmp_path, ("recorder",)) as pipeline:

        def counted() -> int:
            # Every document counts for one of each, which other partitions hold.
            kinds = ("class:", "watch:")
            return min(document_sums(pipeline.engine, kind).get(3600, 0) for kind in kinds)

        try:
            for name in ("one", "two"):
                workers.start(name, "a")
            eventually(lambda: workers.owned("one") and workers.owned("two"), 120)
            with sending(settings, rows) as more:
                more(1)
                for name, other in (("one", "two"), ("two", "one")):
                    before = more(1)
                    eventually(lambda before=before: counted() > before, 120)
                    began = time.monotonic()
                    assert workers.children[name].stop() == 0
                    more(1)
                    eventually(lambda other=other: workers.owned(other) == PARTITIONS, SESSION)
                    assert time.monotonic() - began < SESSION - 5
                    workers.start(name, after)
                    before = more(1)
                    eventually(lambda name=name: workers.owned(name) > 0, 120)
                    eventually(lambda before=before: counted() > before, 120)
                more(SHARES)
            eventually(lambda: counted() >= len(rows), 240)
            # What is published after the last count is on Kafka once they have ended.
            assert [child.stop() for child in workers.children.values()] == [0, 0]
        finally:
            workers.stop_all()
        group = settings.kafka.app_id
        assert uncommitted(settings, group, settings.kafka.topics.documents) == 0
        assert members(settings, group) == 0
        found = Topics(settings)
        found.show_nothing_twice(rows)
        found.alerts_of(found.windows_of_the_replay(settings, rows))
        found.name_their_models({"a", after})
        assert counted() == len(rows)


def of_the_watched(pipeline: Pipeline) -> int:
    """Documents in SQL, each of which counts for one of the watched."""
    return document_sums(pipeline.engine, "watch:").get(3600, 0)


def test_tables_of_another_version_are_refused_and_built_anew(
    settings: Settings, tmp_path: Path
) -> None:
    """What docs/operating.md says of an upgrade that cannot read the tables."""
    rows = documents()[:400]
    create(settings)
    workers = Workers(settings, tmp_path)
    with Pipeline(settings, tmp_path, ("recorder",)) as pipeline:
        counted = partial(of_the_watched, pipeline)
        try:
            workers.start("one", "a")
            with sending(settings, rows) as more:
                more(SHARES)
            eventually(lambda: counted() >= len(rows), 240)
            assert workers.children["one"].stop() == 0
            from_a_newer_version(settings)
            workers.start("one", "a")
            why = eventually(lambda: ended(workers.children["one"]), 120)
            assert "ended with status 1" in why
            assert "state-refused" in why
            assert "start the version of Barograph that wrote it, or set another" in why

            renamed = settings.kafka.model_copy(update={"app_id": f"{settings.kafka.app_id}-2"})
            workers.settings = settings.model_copy(update={"kafka": renamed})
            workers.start("two", "a")
            # Each document is scored once more, and counted as it was.
            topic = settings.kafka.topics.scored
            eventually(lambda: held(settings, topic) >= 2 * len(rows), 240)
            eventually(lambda: workers.lag("two") == 0, 120)
            assert workers.children["two"].stop() == 0
        finally:
            workers.stop_all()
        assert counted() == len(rows)
        Topics(settings).windows_of_the_replay(settings, rows)


def test_a_worker_that_cannot_read_its_tables_ends_and_the_next_goes_on(
    settings: Settings, tmp_path: Path
) -> None:
    rows = documents()[:400]
    create(settings)
    workers = Workers(settings, tmp_path)
    with Pipeline(settings, tmp_path, ("recorder",)) as pipeline:
        counted = partial(of_the_watched, pipeline)
        try:
            workers.start("one", "a")
            with sending(settings, rows) as more:
                sent = 4 * (len(rows) // SHARES)
                more(4)
                eventually(lambda: counted() >= sent, 240)
                assert workers.children["one"].stop() == 0
                workers.start("one", "a", StallingChild)
                answers = set[int]()

                def stalled() -> str | None:
                    answers.add(workers.ready("one"))
                    return ended(workers.children["one"])

                why = eventually(stalled, 120)
                assert f"ended with status {EXIT_STALLED}" in why
                assert "recovery-stalled" in why
                assert f"{settings.kafka.app_id}-states-changelog/" in why
                assert answers <= {0, 503}
                workers.start("one", "a")
                more(SHARES)
            eventually(lambda: counted() >= len(rows), 240)
            assert workers.children["one"].stop() == 0
        finally:
            workers.stop_all()
        assert counted() == len(rows)
        found = Topics(settings)
        found.windows_of_the_replay(settings, rows)
        assert Counter(d.id for d in found.scored) == Counter(row["id"] for row in rows)


def from_a_newer_version(settings: Settings) -> None:
    """Leave states in the tables as a version after this one might."""
    name = settings.kafka.app_id
    with producer(settings.kafka) as client:
        for partition in range(PARTITIONS):
            client.send(
                f"{name}-{name}-states-changelog",
                key=json.dumps(f"@{partition}").encode(),
                value=json.dumps({"version": STATE_VERSION + 1}).encode(),
                partition=partition,
            )
        client.flush()


def ended(child: Child) -> str | None:
    """How it ended, and what it said; None while it runs."""
    try:
        child.check()
    except UpError as error:
        return str(error)
    return None


def held(settings: Settings, topic: str) -> int:
    """Records on a topic."""
    with consumer(settings.kafka) as client:
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        return sum(client.end_offsets(places).values())


@contextlib.contextmanager
def sending(settings: Settings, rows: Sequence[dict[str, Any]]) -> Iterator[Callable[[int], int]]:
    """``more(shares)`` lets so many more be sent; returns how many it had let before."""
    allowed = [0]
    changed = threading.Condition()

    def more(shares: int) -> int:
        with changed:
            before = allowed[0]
            allowed[0] = min(before + shares * (len(rows) // SHARES), len(rows))
            changed.notify()
            return before

    def run() -> None:
        topic = settings.kafka.topics.documents
        with producer(settings.kafka) as client:
            for number, row in enumerate(rows):
                if number == allowed[0]:
                    client.flush()
                with changed:
                    changed.wait_for(lambda number=number: number < allowed[0])
                client.send(topic, value=json.dumps(row).encode(), key=row["id"].encode())
            client.flush()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield more
    finally:
        more(SHARES)
        thread.join()


class Topics:
    """What stands on the topics that others read."""

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka

        def values(topic: str) -> Iterator[bytes]:
            return (record.value for record in everything(kafka.bootstrap, topic, 60))

        read = ScoredDocument.model_validate_json
        self.scored = [read(value) for value in values(kafka.topics.scored)]
        self.alerts = [Alert.model_validate_json(v) for v in values(kafka.topics.alerts)]
        self.windows: dict[tuple[str, int, int], Window] = {}
        for value in values(kafka.topics.windows):
            window = Window.model_validate_json(value)
            self.windows[window.topic, window.seconds, int(window.start.timestamp())] = window

    def show_nothing_twice(self, rows: Sequence[dict[str, Any]]) -> None:
        assert Counter(d.id for d in self.scored) == Counter(row["id"] for row in rows)
        told = Counter((a.id, a.state, a.severity) for a in self.alerts)
        assert told
        assert max(told.values()) == 1, told

    def windows_of_the_replay(self, settings: Settings, rows: Sequence[dict[str, Any]]) -> Replay:
        made = scorer(settings)
        lines = [(at, json.dumps(row).encode()) for at, row in enumerate(rows)]
        again = replay(lines, made, config_of(settings, made, 1))
        assert {key: comparable(w) for key, w in self.windows.items()} == {
            key: comparable(w) for key, w in again.windows.items()
        }
        return again

    def alerts_of(self, again: Replay) -> None:
        # How far the watermark came at the very end depends on the partitions.
        end = START + timedelta(hours=HOURS - 2)
        expected = [transition(a) for a in again.alerts if a.window.end < end]
        assert len(expected) > 15
        assert sorted(transition(a) for a in self.alerts if a.window.end < end) == sorted(expected)

    def name_their_models(self, versions: set[str]) -> None:
        assert {document.model.version for document in self.scored} == versions
        by_window: dict[tuple[str, int, int], set[str]] = defaultdict(set)
        for document in self.scored:
            for topic in (monitored.topic for monitored in document.monitored):
                time = int(document.event_time.timestamp())
                for seconds in (300, 3600, 86400):
                    by_window[topic, seconds, time - time % seconds].add(document.model.version)
        for key, window in self.windows.items():
            scored_by = by_window[key]
            version = scored_by.pop() if len(scored_by) == 1 else MIXED
            assert window.model == ModelName(name="tiny", version=version)
        named = {alert.model.version for alert in self.alerts}
        assert named <= {*versions, MIXED}
        assert len(named) >= len(versions)


def transition(alert: Alert) -> str:
    """All of it but the model, which a replay with one model cannot know."""
    return alert.model_dump_json(exclude={"model"})
