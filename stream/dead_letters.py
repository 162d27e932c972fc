"""Dead letters: messages that are no documents, kept with their bytes, origin and reason."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from alerts.records import utc
from stream.clients import consumer, producer
from stream.reading import records_from
from stream.settings import Settings
from stream.topics import require

MAX_REASON = 1000

Headers = list[tuple[str, bytes]]


class DeadLetterError(Exception):
    """Dead letters cannot be sent back; the message says why."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not be used.

    ``number`` is its place among the dead letters; ``topic``, ``partition`` and ``offset`` are
    where it came from, where that is known.
    """

    number: int
    time: datetime
    reason: str
    topic: str
    partition: int | None
    offset: int | None
    key: bytes | None
    value: bytes


def headers(reason: str, topic: str, partition: int, offset: int) -> Headers:
    """What a dead letter says of itself, beside its unchanged bytes."""
    return [
        ("reason", reason[:MAX_REASON].encode("utf-8", "replace")),
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
    ]


def list_dead_letters(settings: Settings, limit: int = 100) -> list[DeadLetter]:
    """The newest dead letters, the oldest of them first.

    Raises:
        BrokerUnreachable: no broker answers.
        TopicError: the topic does not exist.
        NoAnswer: the broker stopped answering.
    """
    kafka = settings.kafka
    require(kafka, kafka.topics.dead_letters)
    place = TopicPartition(kafka.topics.dead_letters, 0)
    with consumer(kafka) as client:
        client.assign([place])
        end = client.end_offsets([place])[place]
        # The end may be named too low, see records_from; then more than the limit are read.
        newest = deque(records_from(client, place, end - limit), limit)
        return [_letter(record) for record in newest]


def replay_dead_letters(
    settings: Settings, limit: int | None = None, numbers: Sequence[int] | None = None
) -> int:
    """Send dead letters back to the topics they came from, with their original bytes.

    Those sent back before are left out: a mark on the broker says how far that was. It moves only
    after Kafka has acknowledged them, so that an interruption repeats some rather than lose any.

    Args:
        settings: where Kafka is.
        limit: so many at most, the oldest first.
        numbers: these ones, whether sent before or not; the mark stays where it is.

    Returns:
        How many were sent.

    Raises:
        BrokerUnreachable: no broker answers.
        TopicError: a topic does not exist.
        NoAnswer: the broker stopped answering.
        DeadLetterError: not all were acknowledged.
    """
    kafka = settings.kafka
    require(kafka, kafka.topics.dead_letters, kafka.topics.documents)
    place = TopicPartition(kafka.topics.dead_letters, 0)
    group = f"{kafka.app_id}-dead-letters"
    with consumer(kafka, group_id=group) as client:
        client.assign([place])
        if numbers is not None:
            wanted = set(numbers)
            if not wanted:
                return 0
            records = takewhile(
                lambda r: r.offset <= max(wanted), records_from(client, place, min(wanted))
            )
            return _send_back(settings, (r for r in records if r.offset in wanted))[0]
        start = client.committed(place) or 0
        sent, last = _send_back(settings, islice(records_from(client, place, start), limit))
        if last is not None:
            client.commit({place: OffsetAndMetadata(last + 1, "", -1)})
        return sent


def _send_back(settings: Settings, records: Iterable[Any]) -> tuple[int, int | None]:
    """Send each to its topic; how many, and the last one's place."""
    answers = []
    last = None
    with producer(settings.kafka) as client:
        for record in records:
            letter = _letter(record)
            topic = letter.topic or settings.kafka.topics.documents
            answers.append(client.send(topic, value=letter.value, key=letter.key))
            last = letter.number
        client.flush()
        try:
            for answer in answers:
                answer.get(timeout=0)
        except KafkaError as error:
            raise DeadLetterError(f"not all dead letters were sent back: {error}") from error
    return len(answers), last


def _letter(record: Any) -> DeadLetter:
    said = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    return DeadLetter(
        number=record.offset,
        time=utc(record.timestamp / 1000),
        reason=said.get("reason", ""),
        topic=said.get("topic", ""),
        partition=_number(said.get("partition")),
        offset=_number(said.get("offset")),
        key=record.key,
        value=record.value or b"",
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
