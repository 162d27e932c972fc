"""Another Kafka topic, message by message, with the offsets kept here and no consumer group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from stream.feeds.base import Batch, Beside, Cursor, Item, Source, SourceError
from stream.feeds.json_api import filled, missing
from stream.feeds.mapping import MappedOptions, mapped_json
from stream.security import client_options, ssl_context
from stream.settings import Security, SettingsError

BATCH = 500


class FeedSecurity(Security):
    """As ``kafka.security`` of the settings, files beside the feeds file."""

    ca_file: Beside | None = None
    certificate_file: Beside | None = None
    key_file: Beside | None = None
    password: SecretStr | None = None
    """``${NAME}`` in it is that variable of the environment"""

    def _given(self) -> dict[str, str]:
        return {} if self.password is None else {"password": self.password.get_secret_value()}

    def problems(self) -> Sequence[str]:
        """What is wrong with the password and the files; each says what to change."""
        found = [
            f"security names ${{{name}}}, and the environment has no such variable"
            for name in missing(self._given())
        ]
        try:
            ssl_context(self)
        except SettingsError as error:
            found.append(str(error).removeprefix("kafka."))
        return found

    def client_options(self) -> dict[str, Any]:
        """Options of a Kafka client.

        Raises:
            SettingsError: a file cannot be used any more.
        """
        passwords = {name: SecretStr(text) for name, text in filled(self._given()).items()}
        return client_options(self.model_copy(update=passwords))


class KafkaOptions(MappedOptions):
    """A feed of ``type: kafka``."""

    bootstrap: str
    topic: str
    begin: Literal["start", "end"] = "end"
    """where a topic begins that was never read"""
    security: FeedSecurity = FeedSecurity()

    def problems(self) -> Sequence[str]:
        return [*super().problems(), *self.security.problems()]


class KafkaSource(Source):
    """The messages of a topic."""

    Options = KafkaOptions

    async def read(self, cursor: Cursor) -> AsyncIterator[Batch]:
        options = cast(KafkaOptions, self.options)
        if (cursor.get("bootstrap"), cursor.get("topic")) != (options.bootstrap, options.topic):
            cursor = {"bootstrap": options.bootstrap, "topic": options.topic}
        try:
            security = options.security.client_options()
        except SettingsError as error:
            raise SourceError("connection", str(error).removeprefix("kafka.")) from None
        # Partitions that are added, and offsets that Kafka has deleted, are read from the start.
        consumer: Any = AIOKafkaConsumer(
            options.topic,
            bootstrap_servers=options.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **security,
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
