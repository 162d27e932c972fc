"""Tokens and the browser sessions opened with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "access_tokens"
down_revision = "0002_audit_chain"
branch_labels = None
depends_on = None

TIME = sa.BigInteger
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create both tables."""
    live = sa.text("revoked_at IS NULL")
    op.create_table(
        "tokens",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
        sa.Column("revoked_at", TIME),
        sa.Index("tokens_live_name", "name", unique=True, sqlite_where=live, postgresql_where=live),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("token_id", sa.BigInteger, sa.ForeignKey("tokens.id"), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
    )
