"""SIGTERM to the processes: each ends soon, with status 0, and leaves nothing undone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest
from kafka import TopicPartition

from alerts.store import document_sums
from stream.clients import admin, consumer, producer
from stream.settings import Settings
from tests.alerts.examples import window
from tests.pipeline import Pipeline
from tests.servers import eventually


def uncommitted(settings: Settings, group: str, topic: str) -> int:
    """Records of a topic that the group has not noted as done."""
    places = [TopicPartition(topic, number) for number in range(settings.kafka.partitions)]
    with consumer(settings.kafka) as client:
        ends = client.end_offsets(places)
    with admin(settings.kafka) as client:
        known = client.list_group_offsets({group: places})[group]
    return sum(ends[place] - max(known[place].offset, 0) for place in places)


def members(settings: Settings, group: str) -> int:
    """Who is in a group, the dead included, as long as nobody has noticed."""
    with admin(settings.kafka) as client:
        return len(client.describe_groups([group])[group]["members"])


def test_a_recorder_commits_and_leaves_its_group(kafka_settings: Settings, tmp_path: Path) -> None:
    topic, group = kafka_settings.kafka.topics.windows, f"{kafka_settings.kafka.app_id}-recorder"
    with Pipeline(kafka_settings, tmp_path, ("recorder",)) as pipeline:
        assert members(kafka_settings, group) == 1
        with producer(kafka_settings.kafka) as client:
            for number in range(1, 200):
                record = window(documents=number)
                client.send(topic, key=record.topic.encode(), value=record.to_json())
            client.flush()
        eventually(lambda: document_sums(pipeline.engine, "class:"), 60)
        assert pipeline.children["recorder"].stop() == 0
        stored = document_sums(pipeline.engine, "class:")[3600]
        assert uncommitted(kafka_settings, group, topic) == 199 - stored
        assert members(kafka_settings, group) == 0


@pytest.mark.parametrize("listening", [False, True])
def test_a_desk_ends_though_pages_listen(
    kafka_settings: Settings, tmp_path: Path, listening: bool
) -> None:
    heard: list[str] = []
    with Pipeline(kafka_settings, tmp_path, ("desk",)) as pipeline:

        def listen() -> None:
            with httpx.stream("GET", f"{pipeline.url('desk')}/events", timeout=60) as stream:
                try:
                    for line in stream.iter_lines():
                        heard.append(line)
                except httpx.RemoteProtocolError:
                    heard.append("cut")

        page = threading.Thread(target=listen)
        if listening:
            page.start()
            eventually(lambda: heard, 30)
        began = time.monotonic()
        assert pipeline.children["desk"].stop() == 0
        assert time.monotonic() - began < 10
        if listening:
            page.join(10)
        assert not page.is_alive()
        assert "Traceback" not in pipeline.children["desk"].log()
