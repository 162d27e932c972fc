"""Kafka clients for commands and the recorder, with one error when no broker answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaConnectionError, KafkaTimeoutError

from stream.security import client_options
from stream.settings import KafkaSettings

Broker = KafkaSettings | str
"""Where Kafka is: its settings, or the bare ``host:port`` of one without TLS and SASL."""

CONNECT_MS = 5_000
"""How long a first connection may take."""


class BrokerUnreachable(Exception):
    """No Kafka broker answers; the message says where it was looked for."""

    def __init__(self, bootstrap: str, listening: bool = False) -> None:
        super().__init__(
            f"something listens at {bootstrap} but lets no Kafka client of these settings in: see "
            "kafka.security (TLS, password) and the port"
            if listening
            else f"no Kafka broker answers at {bootstrap}: start one, or set kafka.bootstrap "
            "(BAROGRAPH_KAFKA__BOOTSTRAP)"
        )


def servers(bootstrap: str) -> list[str]:
    """The host:port entries of a comma-separated list; the port is 9092 where none is named."""
    entries = [entry.strip() for entry in bootstrap.split(",") if entry.strip()]
    return [entry if entry.rpartition(":")[2].isdigit() else f"{entry}:9092" for entry in entries]


def _listening(bootstrap: str) -> bool:
    """Whether any of the brokers takes a connection.

    Asked first because it answers at once, where a Kafka client goes on trying until its time is
    up and leaks a socket with each attempt.
    """
    for server in servers(bootstrap):
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), CONNECT_MS / 1000):
                return True
        except (OSError, ValueError):
            continue
    return False


@contextmanager
def _open(kind: Any, broker: Broker, **options: Any) -> Iterator[Any]:
    bootstrap = broker if isinstance(broker, str) else broker.bootstrap
    if not isinstance(broker, str):
        options |= client_options(broker.security)
    if not _listening(bootstrap):
        raise BrokerUnreachable(bootstrap)
    try:
        client = kind(
            bootstrap_servers=servers(bootstrap),
            bootstrap_timeout_ms=CONNECT_MS,
            reconnect_backoff_max_ms=500,
            **options,
        )
    except (KafkaConnectionError, KafkaTimeoutError, OSError):
        raise BrokerUnreachable(bootstrap, _listening(bootstrap)) from None
    try:
        yield client
    finally:
        client.close()


def admin(broker: Broker) -> Any:
    """A context with a ``KafkaAdminClient``.

    Raises:
        BrokerUnreachable: on entering, when no broker answers within ``CONNECT_MS``.
    """
    return _open(KafkaAdminClient, broker)


def producer(broker: Broker) -> Any:
    """A context with a ``KafkaProducer`` that loses and repeats nothing; closing it flushes.

    Raises:
        BrokerUnreachable: on entering, when no broker answers within ``CONNECT_MS``.
    """
    return _open(
        KafkaProducer,
        broker,
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        linger_ms=20,
        # Small, so that a reader gets its partitions in turns: a batch is never split.
        batch_size=32 * 1024,
        # The longest text (20,000 characters of up to 4 bytes, escaped) with its other fields.
        max_request_size=4 * 1024 * 1024,
    )


def consumer(broker: Broker, **options: Any) -> Any:
    """A context with a ``KafkaConsumer`` that commits nothing on its own.

    Raises:
        BrokerUnreachable: on entering, when no broker answers within ``CONNECT_MS``.
    """
    return _open(KafkaConsumer, broker, enable_auto_commit=False, **options)
