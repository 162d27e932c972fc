"""Reading a partition to where it ends now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kafka import TopicPartition

IDLE_SECONDS = 20.0
POLL_MS = 200


class NoAnswer(Exception):
    """Kafka stopped answering while a topic was read."""


def records_from(client: Any, place: TopicPartition, start: int) -> Iterator[Any]:
    """The records from an offset on, to the end as it is now.

    The end is what comes with the first answer: asked for it beforehand, the embedded broker
    names the beginning of the last batch.

    Args:
        client: a consumer that is assigned this partition alone.
        place: the partition.
        start: an offset; one that is gone by now stands for the oldest there is.

    Raises:
        NoAnswer: nothing came for ``IDLE_SECONDS``.
    """
    start = max(start, client.beginning_offsets([place])[place])
    client.seek(place, start)
    end: int | None = None
    deadline = time.monotonic() + IDLE_SECONDS
    while end is None or client.position(place) < end:
        records = client.poll(timeout_ms=POLL_MS).get(place, [])
        end = client.highwater(place) if end is None else end
        if records:
            deadline = time.monotonic() + IDLE_SECONDS
            yield from (record for record in records if end is None or record.offset < end)
        elif time.monotonic() > deadline:
            raise NoAnswer(f"Kafka has not answered for {IDLE_SECONDS:.0f} s")
