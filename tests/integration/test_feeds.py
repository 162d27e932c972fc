"""Feeds to a real Kafka: each item once, through restarts, stops and a broker that is away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from stream.broker import EmbeddedBroker, free_port
from stream.clients import producer
from stream.settings import Settings
from stream.topics import create
from stream.up import write_settings
from tests.conftest import settings_for
from tests.integration.reading import everything
from tests.servers import ROOT, eventually
from tests.stream.feeds.test_rss import item, rss
from tests.stream.feeds.web import Handler, Web, send, web_server

SUCCESS = 'barograph_feed_last_success_timestamp_seconds{{feed="{}"}}'


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture
def settings(embedded_kafka: EmbeddedBroker) -> Settings:
    found = settings_for(embedded_kafka.bootstrap)
    create(found)
    return found


class Process:
    """``barograph feed run`` with a feeds file in a folder."""

    def __init__(self, folder: Path, settings: Settings, *feeds: dict[str, Any]) -> None:
        self.port = free_port()
        self.state = folder / "feeds.state.db"
        http = settings.http.model_copy(update={"feed_port": self.port})
        config = write_settings(settings.model_copy(update={"http": http}), folder)
        path = folder / "feeds.yaml"
        path.write_text(yaml.safe_dump({"feeds": list(feeds)}))
        self._log = (folder / "log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", "feed", "run", str(path), "-c", str(config)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=self._log,
            stderr=self._log,
        )
        self.log = folder / "log"

    def metric(self, name: str) -> float:
        """The value of a series, 0 where it is not shown yet."""
        with contextlib.suppress(httpx.HTTPError):
            text = httpx.get(f"http://127.0.0.1:{self.port}/metrics").text
            for line in text.splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[-1])
        return 0.0

    def ready(self) -> dict[str, bool] | None:
        try:
            found: dict[str, bool] = httpx.get(f"http://127.0.0.1:{self.port}/readyz").json()
            return found
        except httpx.HTTPError:
            return None

    def wait(self) -> int:
        return self._process.wait(20)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def stop(self, timeout: float = 20) -> int:
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(timeout)
        self._log.close()
        return status


@pytest.fixture
def start(tmp_path: Path, settings: Settings) -> Iterator[Any]:
    running: list[Process] = []

    def run(*feeds: dict[str, Any], with_settings: Settings = settings) -> Process:
        running.append(Process(tmp_path, with_settings, *feeds))
        return running[-1]

    yield run
    for process in running:
        process.kill()


def documents(settings: Settings) -> list[dict[str, Any]]:
    kafka = settings.kafka
    return [json.loads(r.value) for r in everything(kafka.bootstrap, kafka.topics.documents)]


def feed(web: Web, **more: Any) -> dict[str, Any]:
    return {
        "id": "wire",
        "type": "rss",
        "url": f"{web.url}/feed",
        "internal": True,
        "interval": 0.05,
        **more,
    }


def test_items_arrive_once_through_a_stop_and_a_kill(web: Web, settings: Settings, start: Any):
    web.answer("/feed", rss(item(2), item(1)))
    process = start(feed(web, source="newswire"))
    assert eventually(lambda: process.metric('barograph_feed_documents_total{feed="wire"}') == 2)
    assert process.ready() == {"feeds": True, "kafka": True}
    assert eventually(lambda: len(web.asked("/feed")) > 5)
    assert process.stop() == 0
    web.answer("/feed", rss(item(3), item(2), item(1)))
    process = start(feed(web, source="newswire"))
    assert eventually(lambda: process.metric('barograph_feed_documents_total{feed="wire"}') == 1)
    process.kill()
    process = start(feed(web, source="newswire"))
    assert eventually(lambda: process.metric('barograph_feed_repeated_total{feed="wire"}') > 3)
    found = documents(settings)
    assert len(found) == 3
    assert {document["source"] for document in found} == {"newswire"}
    assert all(document["author"].startswith("hmac:") for document in found)


def test_one_feed_that_fails_holds_up_no_other(web: Web, settings: Settings, start: Any):
    web.answer("/feed", rss(item(1)))
    web.answer("/down", b"", 503)
    web.answer("/gone", b"", 410)
    process = start(
        feed(web),
        feed(web, id="down", url=f"{web.url}/down"),
        feed(web, id="gone", url=f"{web.url}/gone"),
    )
    failed = 'barograph_feed_errors_total{feed="down",kind="status"}'
    assert eventually(lambda: process.metric(failed) >= 2)
    assert process.metric('barograph_feed_stopped{feed="gone"}') == 1
    assert process.metric(SUCCESS.format("wire")) > 1e9
    assert process.stop() == 0
    assert len(web.asked("/gone")) == 1
    process = start(feed(web, id="gone", url=f"{web.url}/gone"))
    assert eventually(lambda: (process.ready() or {}).get("feeds") is False)
    assert len(web.asked("/gone")) == 1
    assert len(documents(settings)) == 1


def test_retry_after_is_heeded(web: Web, start: Any):
    web.answer("/feed", b"", 429, retry_after="3600")
    web.answer("/other", b"", 503)
    process = start(feed(web), feed(web, id="other", url=f"{web.url}/other"))
    assert eventually(lambda: len(web.asked("/other")) >= 3)
    assert len(web.asked("/feed")) == 1
    assert process.stop() == 0


def test_what_kafka_has_not_acknowledged_is_read_again(
    web: Web, tmp_path: Path, start: Any, settings: Settings
):
    broker = EmbeddedBroker()
    broker.start()
    try:
        other = settings_for(broker.bootstrap)
        create(other)
        asked = threading.Event()

        def late(handler: Handler) -> None:
            asked.set()
            web.ended.wait(0.2)
            send(handler, rss(item(1)))

        web.routes["/feed"] = late
        process = start(feed(web), with_settings=other)
        assert asked.wait(20)
    finally:
        broker.stop()
    assert eventually(lambda: process.ready() is not None)
    # It waits for Kafka, then gives up what it read, and keeps no cursor of it.
    assert process.stop(30) == 0
    start(feed(web))
    assert eventually(lambda: len(documents(settings)) == 1)


def test_a_topic_is_read_from_where_it_was_left(start: Any, kafka_settings: Settings):
    # On Apache Kafka: the embedded broker takes the begin of the last batch for the end.
    kafka, settings = kafka_settings.kafka, kafka_settings
    create(settings)
    start = partial(start, with_settings=settings)
    # Any topic will do that is not where feeds write.
    other = kafka.topics.scored
    with producer(kafka.bootstrap) as client:
        client.send(other, value=b'{"post": {"body": "before", "by": "ana"}}')
    entry = {
        "id": "posts",
        "type": "kafka",
        "bootstrap": kafka.bootstrap,
        "topic": other,
        "begin": "start",
        "fields": {"text": "post.body", "author": "post.by"},
    }
    process = start(entry)
    arrived = 'barograph_feed_documents_total{feed="posts"}'
    assert eventually(lambda: process.metric(arrived) == 1)
    assert process.stop() == 0
    with producer(kafka.bootstrap) as client:
        client.send(other, value=b"no document")
        for n in range(100):
            client.send(other, value=json.dumps({"post": {"body": f"t{n}"}}).encode())
    process = start(entry)
    assert eventually(lambda: process.metric(arrived) == 100)
    assert process.metric('barograph_feed_errors_total{feed="posts",kind="document"}') == 1
    process.kill()
    process = start({**entry, "id": "new", "begin": "end"})
    assert eventually(lambda: process.metric(SUCCESS.format("new")) > 0)
    process.kill()
    with producer(kafka.bootstrap) as client:
        client.send(other, value=b'{"post": {"body": "while it was away"}}')
    process = start({**entry, "id": "new", "begin": "end"})
    assert eventually(lambda: process.metric('barograph_feed_documents_total{feed="new"}') == 1)
    texts = [document["text"] for document in documents(settings)]
    assert sorted(texts) == sorted(["before", "while it was away", *(f"t{n}" for n in range(100))])


def test_a_feed_of_what_feeds_write_is_refused(start: Any, settings: Settings):
    kafka = settings.kafka
    topic = kafka.topics.documents
    process = start({"id": "a", "type": "kafka", "bootstrap": kafka.bootstrap, "topic": topic})
    assert process.wait() == 2
    assert "where feeds write; name another topic" in process.log.read_text()


def test_a_file_is_followed_through_a_kill(start: Any, settings: Settings, tmp_path: Path):
    path = tmp_path / "posts.jsonl"
    entry = {"id": "posts", "type": "file", "path": "posts.jsonl", "interval": 0.02}
    process = start(entry)
    arrived = 'barograph_feed_documents_total{feed="posts"}'
    rows = [json.dumps({"text": f"t{n}", "id": str(n)}) + "\n" for n in range(300)]
    path.write_text("".join(rows[:100]))
    assert eventually(lambda: process.metric(arrived) > 0)
    with path.open("a") as file:
        file.write("".join(rows[100:200]))
    process.kill()
    path.rename(tmp_path / "posts.jsonl.1")
    path.write_text("".join(rows[200:]))
    process = start(entry)
    assert eventually(lambda: len({document["id"] for document in documents(settings)}) == 300)
    assert process.stop() == 0
    found = documents(settings)
    assert {document["source"] for document in found} == {"file/posts"}
