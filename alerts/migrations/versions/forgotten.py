"""Digests of what was forgotten, so that it stays so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "forgotten"
down_revision = "push_feed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "forgotten",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
