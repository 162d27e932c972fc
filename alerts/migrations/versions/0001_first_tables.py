"""The first tables, with an audit table that refuses changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.BigInteger


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "windows",
        sa.Column("topic", sa.String, primary_key=True),
        sa.Column("seconds", sa.Integer, primary_key=True),
        sa.Column("start", TIME, primary_key=True),
        sa.Column("documents", sa.BigInteger, nullable=False),
        sa.Column("stories", sa.BigInteger, nullable=False),
        sa.Column("sources", sa.BigInteger, nullable=False),
        sa.Column("negative", sa.BigInteger, nullable=False),
        sa.Column("neutral", sa.BigInteger, nullable=False),
        sa.Column("positive", sa.BigInteger, nullable=False),
        sa.Column("negative_stories", sa.BigInteger, nullable=False),
        sa.Column("mean_sentiment", sa.Float, nullable=False),
        sa.Column("expected_negative_stories", sa.Float),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Index("windows_seconds_start", "seconds", "start"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("detected_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("ends_at", TIME),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Index("alerts_starts_at", "starts_at"),
        sa.Index("alerts_topic_starts_at", "topic", "starts_at"),
    )
    op.create_table(
        "alert_transitions",
        sa.Column("alert_id", sa.String, sa.ForeignKey("alerts.id"), primary_key=True),
        sa.Column("state", sa.String, primary_key=True),
        sa.Column("at", TIME, primary_key=True),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("alert_id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("occurred_at", TIME, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", TIME, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("delivered_at", TIME),
        sa.Index("deliveries_due", "status", "target", "next_attempt_at"),
        sa.Index("deliveries_alert", "alert_id"),
    )
    op.create_table(
        "disabled_targets",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("url", sa.String, primary_key=True),
        sa.Column("at", TIME, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Index("audit_subject", "subject"),
    )
    _keep_audit()


def _keep_audit() -> None:
    """Let the database refuse changes to audit rows, whoever asks."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER audit_no_{change} BEFORE {change.upper()} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    )
