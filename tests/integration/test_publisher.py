"""The worker's way to Kafka, and what it does while there is none."""

from __future__ import annotations

import asyncio

from stream.broker import EmbeddedBroker, free_port
from stream.clients import consumer
from stream.publisher import Outgoing, Publisher
from stream.settings import Settings
from stream.slices import partition_of
from stream.topics import create
from tests.conftest import settings_for


def read(settings: Settings, topic: str, count: int) -> list[tuple[int, bytes | None, bytes]]:
    found: list[tuple[int, bytes | None, bytes]] = []
    with consumer(settings.kafka.bootstrap, auto_offset_reset="earliest") as client:
        client.subscribe([topic])
        while len(found) < count:
            for batch in client.poll(timeout_ms=500).values():
                found += [(r.partition, r.key, r.value) for r in batch]
    return found


def publish(settings: Settings, *messages: Outgoing) -> None:
    async def run() -> None:
        publisher = Publisher(settings.kafka.bootstrap)
        try:
            await publisher.publish(messages)
        finally:
            await publisher.stop()

    asyncio.run(run())


def test_a_key_decides_on_the_partition_and_order_is_kept(broker_settings: Settings) -> None:
    create(broker_settings)
    topic = broker_settings.kafka.topics.slices
    sent = [(f"topic-{n % 7}".encode(), b"%d" % n * 1000) for n in range(2000)]
    publish(broker_settings, *(Outgoing(topic, key, value) for key, value in sent))
    found = read(broker_settings, topic, len(sent))
    for name in {key for key, _ in sent}:
        assert [value for _, key, value in found if key == name] == [
            value for key, value in sent if key == name
        ]
        assert {p for p, key, _ in found if key == name} == {partition_of(name.decode(), 2)}


def test_a_partition_may_be_given_and_headers_too(broker_settings: Settings) -> None:
    create(broker_settings)
    topic = broker_settings.kafka.topics.dead_letters
    publish(broker_settings, Outgoing(topic, None, b"bad", 0, (("reason", b"none"),)))
    assert read(broker_settings, topic, 1) == [(0, None, b"bad")]


def test_while_there_is_no_broker_it_waits() -> None:
    port = free_port()
    settings = settings_for(f"127.0.0.1:{port}")
    topic = settings.kafka.topics.windows
    publisher = Publisher(settings.kafka.bootstrap)

    async def run() -> None:
        waiting = asyncio.create_task(publisher.publish([Outgoing(topic, b"k", b"v")]))
        done, _ = await asyncio.wait({waiting}, timeout=1)
        assert not done
        with EmbeddedBroker(port):
            await asyncio.to_thread(create, settings)
            await asyncio.wait_for(waiting, 60)
            found = await asyncio.to_thread(read, settings, topic, 1)
            assert [(key, value) for _, key, value in found] == [(b"k", b"v")]
            await publisher.stop()

    asyncio.run(run())
