"""Keys of the push feed: what was answered to a request, so that it is done once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "push_feed"
down_revision = "desk_acts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "pushes",
        sa.Column("who", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("ids", sa.JSON(none_as_null=True)),
        sa.Index("pushes_at", "at"),
    )
