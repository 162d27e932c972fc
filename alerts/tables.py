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
    ColumnElement,
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
    case,
    text,
)

SERIAL = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database gives; SQLite does so for its own integer type only."""

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


def standing(state: ColumnElement[str]) -> ColumnElement[int]:
    """Place of a delivery's state in the life of its alert: a smaller one is told before.

    ``preliminary`` and ``withdrawn`` are those of preliminary alerts.
    """
    return case((state == "preliminary", 0), (state == "firing", 1), else_=2)


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
    Column("id", SERIAL, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("detail", JSON, nullable=False),
    # See alerts.chain.
    Column("previous", String, nullable=False, server_default=""),
    Column("hash", String, nullable=False, server_default=""),
    Index("audit_subject", "subject"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    # SHA-256 of the token, which itself is kept nowhere.
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("revoked_at", UtcTime),
    Index(
        "tokens_live_name",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("token_id", BigInteger, ForeignKey("tokens.id"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("alert_id", String, ForeignKey("alerts.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("by", String, nullable=False),
    Column("comment", Text, nullable=False),
    Index("acknowledgements_alert", "alert_id"),
)

silences = Table(
    "silences",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("alert_id", String, ForeignKey("alerts.id"), nullable=False),
    Column("topic", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("by", String, nullable=False),
    Column("comment", Text, nullable=False),
    # What Alertmanager calls it; none where it was not asked, or did not take it.
    Column("alertmanager_id", String),
    Column("error", Text),
    Index("silences_alert", "alert_id"),
    Index("silences_topic", "topic", "until"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("document_id", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("topic", String, nullable=False),
    Column("old", String, nullable=False),
    Column("new", String, nullable=False),
    Column("by", String, nullable=False),
    Column("comment", Text, nullable=False),
    # The alert it was seen in, if any.
    Column("alert_id", String),
    Column("exported_at", UtcTime),
    Index("corrections_document", "document_id", "topic"),
    Index("corrections_alert", "alert_id"),
)

pushes = Table(
    "pushes",
    metadata,
    # The token's name; empty where no tokens are in use.
    Column("who", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    # What was answered; none while the request is under way.
    Column("ids", JSON(none_as_null=True)),
    Index("pushes_at", "at"),
)

forgotten = Table(
    "forgotten",
    metadata,
    # See alerts.erasure.
    Column("digest", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
)
