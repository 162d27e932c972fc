"""The SQL tables: present state for reading, and what happened for the record.

Times are stored as integer microseconds since 1970 in UTC, which SQLite and PostgreSQL keep alike.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC, stored as integer microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """The integer; a naive time is a mistake and raises TypeError."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The time, aware and in UTC."""
        return None if value is None else EPOCH + value * MICROSECOND


metadata = MetaData()

windows = Table(
    "windows",
    metadata,
    Column("topic", String, primary_key=True),
    Column("seconds", Integer, primary_key=True),
    Column("start", UtcTime, primary_key=True),
    Column("documents", BigInteger, nullable=False),
    Column("stories", BigInteger, nullable=False),
    Column("sources", BigInteger, nullable=False),
    Column("negative", BigInteger, nullable=False),
    Column("neutral", BigInteger, nullable=False),
    Column("positive", BigInteger, nullable=False),
    Column("negative_stories", BigInteger, nullable=False),
    Column("mean_sentiment", Float, nullable=False),
    Column("expected_negative_stories", Float),
    Column("revision", BigInteger, nullable=False),
    Column("final", Boolean, nullable=False),
    Index("windows_seconds_start", "seconds", "start"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String, primary_key=True),
    Column("topic", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("state", String, nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("detected_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime),
    Column("payload", Text, nullable=False),
    Index("alerts_starts_at", "starts_at"),
    Index("alerts_topic_starts_at", "topic", "starts_at"),
)

alert_transitions = Table(
    "alert_transitions",
    metadata,
    Column("alert_id", String, ForeignKey("alerts.id"), primary_key=True),
    Column("state", String, primary_key=True),
    Column("at", UtcTime, primary_key=True),
    Column("severity", String, nullable=False),
    Column("payload", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String, primary_key=True),
    # Not a foreign key: the relay also delivers what the recorder has not stored yet.
    Column("alert_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("target", String, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("payload", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcTime, nullable=False),
    Column("last_error", Text),
    Column("delivered_at", UtcTime),
    Index("deliveries_due", "status", "target", "next_attempt_at"),
    Index("deliveries_alert", "alert_id"),
)

disabled_targets = Table(
    "disabled_targets",
    metadata,
    Column("name", String, primary_key=True),
    # With its address: a target that moves is no longer disabled.
    Column("url", String, primary_key=True),
    Column("at", UtcTime, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("detail", JSON, nullable=False),
    # See alerts.chain.
    Column("previous", String, nullable=False, server_default=""),
    Column("hash", String, nullable=False, server_default=""),
    Index("audit_subject", "subject"),
)
