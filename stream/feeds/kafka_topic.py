"""Another Kafka topic, message by message, with the offsets kept here and no consumer group."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream.feeds.base import Batch, Cursor, Item, Source, SourceError
from stream.feeds.mapping import MappedOptions, mapped_json

BATCH = 500


class KafkaOptions(MappedOptions):
    """A feed of ``type: kafka``."""

    bootstrap: str
    topic: str
    begin: Literal["start", "end"] = "end"
    """where a topic begins that was never read"""


class KafkaSource(Source):
    """The messages of a topic."""

    Options = KafkaOptions

    async def read(self, cursor: Cursor) -> AsyncIterator[Batch]:
        options = cast(KafkaOptions, self.options)
        if (cursor.get("bootstrap"), cursor.get("topic")) != (options.bootstrap, options.topic):
            cursor = {"bootstrap": options.bootstrap, "topic": options.topic}
        # Partitions that are added, and offsets that Kafka has deleted, are read from the start.
        consumer: Any = AIOKafkaConsumer(
            options.topic,
            bootstrap_servers=options.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            if not consumer.assignment():
                raise SourceError("status", f"Kafka has no topic {options.topic}")
            if "offsets" in cursor:
                for partition, offset in cursor["offsets"].items():
                    place = TopicPartition(options.topic, int(partition))
                    if place in consumer.assignment():
                        consumer.seek(place, offset)
            else:
                of = consumer.end_offsets if options.begin == "end" else consumer.beginning_offsets
                for place, offset in (await of(consumer.assignment())).items():
                    consumer.seek(place, offset)
            offsets = {str(p.partition): await consumer.position(p) for p in consumer.assignment()}
            yield Batch((), {**cursor, "offsets": offsets})
            while True:
                got = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
                items: list[Item] = []
                bad: list[str] = []
                for place, records in got.items():
                    for record in records:
                        try:
                            items.append(Item(mapped_json(record.value or b"", options)))
                        except ValueError as error:
                            bad.append(f"partition {place.partition}, {record.offset}: {error}")
                    offsets[str(place.partition)] = records[-1].offset + 1
                if got:
                    yield Batch(items, {**cursor, "offsets": dict(offsets)}, bad)
        except KafkaError as error:
            raise SourceError("connection", f"{options.bootstrap}: {error}") from None
        finally:
            await consumer.stop()
