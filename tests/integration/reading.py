"""What stands on a topic."""

from __future__ import annotations

import time
from typing import Any

from kafka import TopicPartition

from stream.clients import consumer


def everything(bootstrap: str, topic: str, timeout: float = 30.0) -> list[Any]:
    """All records of a topic, by partition and offset."""
    with consumer(bootstrap) as client:
        places = [TopicPartition(topic, n) for n in sorted(client.partitions_for_topic(topic))]
        client.assign(places)
        client.seek_to_beginning(*places)
        # Empty partitions say nothing; the others tell their end along with what they hold.
        begins, ends = client.beginning_offsets(places), client.end_offsets(places)
        filled = [place for place in places if ends[place] > begins[place]]
        records: list[Any] = []
        deadline = time.monotonic() + timeout
        while any(client.position(p) < (client.highwater(p) or ends[p]) for p in filled):
            assert time.monotonic() < deadline, f"{topic}: {len(records)} until {ends}"
            for batch in client.poll(timeout_ms=200).values():
                records.extend(batch)
    return sorted(records, key=lambda record: (record.partition, record.offset))
