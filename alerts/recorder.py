"""Kafka to SQL: what the aggregator publishes, applied once however often it is read.

A batch is one transaction, and its offsets are committed after it, so a process killed in between
reads the batch again, which changes nothing. While SQL is down the batch waits and Kafka keeps the
rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import stamina
import structlog
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
)
from prometheus_client import Counter, Gauge
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from alerts.courier import Courier
from alerts.forgetting import without_forgotten
from alerts.outbox import enqueue, transition_message
from alerts.records import Alert, Window
from alerts.schema import upgrade
from alerts.settings import DeliverySettings
from alerts.silences import SILENCED, keeps_back
from alerts.store import put_alert, put_audit, put_windows, reachable
from alerts.unconfirmed import tell_preliminary

log = structlog.get_logger(__name__)

POLL = 250
"""Milliseconds a poll waits; a record that comes ends the wait."""

BATCH = 1000
"""Most records of one transaction."""

RETRY_MAX = 2.0
"""Seconds between two attempts while SQL is down; as long may a stop then take."""

TELL_WITHIN = timedelta(hours=24)
"""A transition published longer ago is stored but not delivered: a new database that reads a
year of alerts must not send them all again."""

RECORDS = Counter(
    "barograph_recorder_records_total",
    "Records read from Kafka by the recorder.",
    ["kind", "outcome"],
)
LAG = Gauge("barograph_recorder_lag", "Records on Kafka that are not yet in SQL.", ["topic"])
READY = Gauge("barograph_recorder_ready", "1 while partitions are assigned and SQL answers.")

refused = (DataError, IntegrityError, OverflowError, UnicodeError)
"""What a database raises for a value it cannot store; all else would fail for any record."""


@dataclass(frozen=True, slots=True)
class Read:
    """A record that was understood, and when it was published."""

    record: Window | Alert
    published_at: datetime


class Recorder:
    """Copies windows and alerts to SQL, and in direct delivery sends the alerts too.

    Args:
        bootstrap: the brokers, ``host:port``, several with commas.
        windows: name of the topic of windows.
        alerts: name of the topic of alerts.
        engine: the database, brought up to date when ``run`` begins.
        group: the consumer group; several recorders of one group share the partitions.
        delivery: whether and where to deliver.
        consumer_options: more options of ``kafka.KafkaConsumer``, such as for TLS.
        prepare: what brings the database up to date.
    """

    def __init__(
        self,
        *,
        bootstrap: str,
        windows: str,
        alerts: str,
        engine: Engine,
        group: str,
        delivery: DeliverySettings,
        consumer_options: dict[str, Any] | None = None,
        prepare: Callable[[Engine], None] = upgrade,
    ) -> None:
        self._windows = windows
        self._alerts = alerts
        self._engine = engine
        self._delivery = delivery
        self._direct = delivery.mode == "direct"
        self._prepare = prepare
        self._courier = Courier(engine, delivery.targets if self._direct else ())
        self._consumer_options: dict[str, Any] = {
            "bootstrap_servers": bootstrap.split(","),
            "group_id": group,
            "client_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "allow_auto_create_topics": False,
            "session_timeout_ms": 10_000,
            "bootstrap_timeout_ms": 5_000,
            **(consumer_options or {}),
        }
        self._stored: dict[TopicPartition, int] = {}
        self._assigned = False
        self._storing = True

    def ready(self) -> bool:
        """Whether partitions are assigned and SQL answers."""
        state = self._assigned and self._storing and reachable(self._engine)
        READY.set(state)
        return state

    def run(self, stop: threading.Event) -> None:
        """Record until ``stop`` is set.

        Raises:
            alerts.schema.SchemaError: a newer version has upgraded the database.
            kafka.errors.KafkaError: the broker cannot be used at all, such as for lack of rights.
        """
        if not self._when_up(stop, lambda: self._prepare(self._engine)):
            return
        consumer = self._connect(stop)
        if consumer is None:
            return
        self._courier.start()
        try:
            while not stop.is_set():
                batches = consumer.poll(timeout_ms=POLL, max_records=BATCH)
                self._assigned = bool(consumer.assignment())
                if batches and self._record(batches, stop):
                    self._commit(consumer, batches)
                self._measure(consumer)
        finally:
            self._assigned = False
            # First the group: other recorders need not wait for a receiver that is slow.
            consumer.close()
            self._courier.stop()

    def _connect(self, stop: threading.Event) -> KafkaConsumer | None:
        """A consumer, once a broker answers; None when stopped before that."""
        while not stop.is_set():
            try:
                return KafkaConsumer(self._windows, self._alerts, **self._consumer_options)
            except (KafkaConnectionError, KafkaTimeoutError) as error:
                log.warning("broker-unreachable", error=str(error))
                stop.wait(RETRY_MAX)
        return None

    def _record(self, batches: dict[TopicPartition, list[Any]], stop: threading.Event) -> bool:
        """Store what was polled; False when stopped before SQL came back."""
        read = [
            understood
            for partition, messages in batches.items()
            for message in messages
            if (understood := self._understand(partition.topic, message)) is not None
        ]
        done = self._when_up(stop, lambda: self._store(read))
        if done:
            self._courier.wake()
        return done

    def _understand(self, topic: str, message: Any) -> Read | None:
        kind: type[Window] | type[Alert] = Window if topic == self._windows else Alert
        try:
            record = kind.model_validate_json(message.value or b"")
            published_at = datetime.fromtimestamp(message.timestamp / 1000, UTC)
        except (ValueError, OverflowError, OSError) as error:
            RECORDS.labels(kind.__name__.lower(), "malformed").inc()
            log.warning(
                "malformed-record",
                topic=topic,
                partition=message.partition,
                offset=message.offset,
                error=" ".join(str(error).split())[:500],
            )
            return None
        return Read(record, published_at)

    def _store(self, read: list[Read]) -> None:
        """One transaction for all; only if a value is refused, one for each."""
        try:
            with self._engine.begin() as connection:
                self._apply(connection, read)
        except refused:
            for item in read:
                self._store_alone(item)
            return
        for item in read:
            RECORDS.labels(type(item.record).__name__.lower(), "stored").inc()

    def _store_alone(self, item: Read) -> None:
        outcome = "stored"
        try:
            with self._engine.begin() as connection:
                self._apply(connection, [item])
        except refused as error:
            outcome = "refused"
            record = item.record.model_dump_json(exclude={"evidence"})[:500]
            log.warning("refused-record", record=record, error=str(error))
        RECORDS.labels(type(item.record).__name__.lower(), outcome).inc()

    def _apply(self, connection: Connection, read: Iterable[Read]) -> None:
        put_windows(connection, [item.record for item in read if isinstance(item.record, Window)])
        for item in read:
            if not isinstance(item.record, Alert):
                continue
            alert = without_forgotten(connection, item.record)
            if alert.preliminary:
                now = datetime.now(UTC)
                tell_preliminary(connection, self._delivery, alert, item.published_at, now)
            elif put_alert(connection, alert):
                self._tell(connection, alert, item.published_at)

    def _tell(self, connection: Connection, alert: Alert, published_at: datetime) -> None:
        """Put a new transition in the outbox, in the transaction that stores it."""
        if not self._direct:
            return
        now = datetime.now(UTC)
        if now - published_at > TELL_WITHIN:
            put_audit(connection, now, "delivery.skipped", alert.id, {"state": alert.state})
            return
        if keeps_back(connection, alert, now):
            put_audit(connection, now, SILENCED, alert.id, {"state": alert.state})
            return
        message = transition_message(alert, self._delivery.dashboard_url)
        enqueue(connection, self._delivery.targets, message, now)

    def _when_up(self, stop: threading.Event, action: Any) -> bool:
        """Do it once SQL is up; False when stopped before that."""

        def outage(error: Exception) -> bool:
            if not _is_outage(error) or stop.is_set():
                return False
            self._storing = False
            log.warning("database-down", error=str(getattr(error, "orig", error)))
            return True

        try:
            for attempt in stamina.retry_context(
                on=outage, attempts=None, timeout=None, wait_max=RETRY_MAX, wait_jitter=0.5
            ):
                with attempt:
                    action()
        except Exception as error:
            if stop.is_set() and _is_outage(error):
                return False
            raise
        self._storing = True
        return True

    def _commit(self, consumer: KafkaConsumer, batches: dict[TopicPartition, list[Any]]) -> None:
        """Tell Kafka how far SQL has come; if that fails the batch is merely read again."""
        following = {partition: messages[-1].offset + 1 for partition, messages in batches.items()}
        self._stored.update(following)
        try:
            consumer.commit(
                {
                    partition: OffsetAndMetadata(offset, "", -1)
                    for partition, offset in following.items()
                }
            )
        except CommitFailedError:
            log.warning("commit-refused", reason="the group has re-formed meanwhile")
        except KafkaError as error:
            log.warning("commit-failed", error=str(error))

    def _measure(self, consumer: KafkaConsumer) -> None:
        lag = {self._windows: 0, self._alerts: 0}
        for partition in consumer.assignment():
            end = consumer.highwater(partition)
            if end is not None:
                lag[partition.topic] += max(0, end - self._stored.get(partition, end))
        for topic, records in lag.items():
            LAG.labels(topic).set(records)


def _is_outage(error: Exception) -> bool:
    """Whether SQL is down rather than the statement wrong."""
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
