"""What people do on the desk: acknowledgements, silences, corrections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "desk_acts"
down_revision = "access_tokens"
branch_labels = None
depends_on = None

TIME = sa.BigInteger
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "acknowledgements",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("alert_id", sa.String, sa.ForeignKey("alerts.id"), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Index("acknowledgements_alert", "alert_id"),
    )
    op.create_table(
        "silences",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("alert_id", sa.String, sa.ForeignKey("alerts.id"), nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("alertmanager_id", sa.String),
        sa.Column("error", sa.Text),
        sa.Index("silences_alert", "alert_id"),
        sa.Index("silences_topic", "topic", "until"),
    )
    op.create_table(
        "corrections",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("document_id", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("old", sa.String, nullable=False),
        sa.Column("new", sa.String, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("alert_id", sa.String),
        sa.Column("exported_at", TIME),
        sa.Index("corrections_document", "document_id", "topic"),
        sa.Index("corrections_alert", "alert_id"),
    )
