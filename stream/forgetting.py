"""What Kafka holds of what is to be forgotten, as far as anything can be done about it.

The workers are told by a message of the slices topic, which they take up in its place in the log:
their tables, and the alerts that fire, then show it no more. Alerts that are over are no worker's
any more, and are put on their topic again without it; the topic is compacted, so that the newest
message of an alert is what remains. All else on Kafka ends with the retention of its topic.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from alerts.erasure import without_text
from stream.clients import consumer, producer
from stream.reading import records_from
from stream.settings import Settings
from stream.slices import Forget, encode
from stream.topics import require

CHUNK = 1000
"""Digests in a message."""


class ForgetError(Exception):
    """Kafka did not take all that was to be said to it."""


def tell_kafka(settings: Settings, digests: Iterable[str]) -> int:
    """Have the workers and the topic of alerts forget; doing so again changes nothing.

    Returns:
        How many alerts were put on their topic again.

    Raises:
        BrokerUnreachable: no broker answers.
        TopicError: a topic does not exist.
        NoAnswer: the broker stopped answering.
        ForgetError: not all was acknowledged.
    """
    kafka = settings.kafka
    require(kafka, kafka.topics.slices, kafka.topics.alerts)
    wanted = sorted(set(digests))
    with consumer(kafka) as client:
        over = list(_over(client, kafka.topics.alerts, wanted))
        slices = sorted(client.partitions_for_topic(kafka.topics.slices))
    with producer(kafka) as client:
        answers = [
            client.send(kafka.topics.slices, value=encode(Forget(chunk)), partition=partition)
            for chunk in _chunks(wanted)
            for partition in slices
        ]
        answers += [
            client.send(
                kafka.topics.alerts,
                key=record.key,
                value=text.encode(),
                partition=record.partition,
                # Its own time: a recorder that reads it first must not take it for news.
                timestamp_ms=record.timestamp,
            )
            for record, text in over
        ]
        client.flush()
        try:
            for answer in answers:
                answer.get(timeout=0)
        except KafkaError as error:
            raise ForgetError(f"Kafka did not take all of it: {error}") from error
    return len(over)


def _over(client: Any, topic: str, digests: Sequence[str]) -> Iterator[tuple[Any, str]]:
    """Newest messages of alerts that are over and show what is forgotten, and what is to stand."""
    forgotten = frozenset(digests)
    for number in sorted(client.partitions_for_topic(topic)):
        place = TopicPartition(topic, number)
        client.assign([place])
        newest = {record.key: record for record in records_from(client, place, 0)}
        for key, record in newest.items():
            text = (record.value or b"").decode("utf-8", "replace")
            left = without_text(text, forgotten)
            # One that fires is its worker's to tell of: what is said here might come after its end.
            if key is not None and left is not None and json.loads(text).get("state") != "firing":
                yield record, left


def _chunks(digests: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(digests), CHUNK):
        yield tuple(digests[start : start + CHUNK])
