"""Documents that are posted to the desk, to Kafka; ``alerts`` knows no Kafka documents."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from kafka.errors import KafkaError

from alerts.desk.feeding import FeedDown, RowsRefused
from stream.clients import BrokerUnreachable, producer
from stream.scorer import BadDocument, parse
from stream.settings import KafkaSettings
from stream.topics import TopicError, require

TIMEOUT = 10.0
"""Seconds until documents that Kafka has not acknowledged count as not sent."""


class Push:
    """Checks rows and sends them; connects when the first come, as the desk needs no Kafka else."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._stack = ExitStack()
        self._producer: Any = None
        self._lock = threading.Lock()

    def __call__(self, rows: Sequence[bytes]) -> list[str]:
        """Send the rows, keyed as ``send`` does; returns the ids once Kafka's replicas have them.

        Raises:
            RowsRefused: nothing was sent.
            FeedDown: Kafka does not answer, or not in time: some may have been sent.
        """
        ids: list[str] = []
        keys: list[str] = []
        reasons: dict[int, str] = {}
        for number, row in enumerate(rows):
            try:
                document = parse(row)
            except BadDocument as error:
                reasons[number] = str(error)
                continue
            ids.append(document.id)
            keys.append(str(json.loads(row).get("id") or document.source))
        if reasons:
            raise RowsRefused(reasons)
        try:
            client = self._connected()
            sent = [
                client.send(self._kafka.topics.documents, value=row, key=key.encode())
                for row, key in zip(rows, keys, strict=True)
            ]
            client.flush(timeout=TIMEOUT)
            for future in sent:
                future.get(timeout=TIMEOUT)
        except (KafkaError, BrokerUnreachable, TopicError):
            raise FeedDown("the stream cannot be reached") from None
        return ids

    def _connected(self) -> Any:
        with self._lock:
            if self._producer is None:
                require(self._kafka, self._kafka.topics.documents)
                self._producer = self._stack.enter_context(producer(self._kafka))
            return self._producer

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._stack.close()
            self._producer = None
