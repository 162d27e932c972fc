"""A chain of hashes over the audit rows, those that are there included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from alerts.chain import GENESIS, entry

revision = "0002_audit_chain"
down_revision = "0001"
branch_labels = None
depends_on = None

AUDIT = sa.table(
    "audit",
    sa.column("id", sa.BigInteger),
    sa.column("at", sa.BigInteger),
    sa.column("kind", sa.String),
    sa.column("subject", sa.String),
    sa.column("detail", sa.JSON),
    sa.column("previous", sa.String),
    sa.column("hash", sa.String),
)
BATCH = 1000


def upgrade() -> None:
    """Add the columns, and chain what is there; the table refuses changes but these."""
    for name in ("previous", "hash"):
        op.add_column("audit", sa.Column(name, sa.String, nullable=False, server_default=""))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_no_update")
        _chain()
        op.execute(
            "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
            "BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END"
        )
        return
    op.execute("ALTER TABLE audit DISABLE TRIGGER audit_append_only")
    _chain()
    op.execute("ALTER TABLE audit ENABLE TRIGGER audit_append_only")


def _chain() -> None:
    connection = op.get_bind()
    change = (
        sa.update(AUDIT)
        .where(AUDIT.c.id == sa.bindparam("number"))
        .values(previous=sa.bindparam("before"), hash=sa.bindparam("own"))
    )
    last, previous = 0, GENESIS
    while True:
        rows = connection.execute(
            sa.select(AUDIT).where(AUDIT.c.id > last).order_by(AUDIT.c.id).limit(BATCH)
        ).all()
        if not rows:
            return
        changes = []
        for row in rows:
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row.at)
            own = entry(row.id, at, row.kind, row.subject, row.detail, previous)["hash"]
            changes.append({"number": row.id, "before": previous, "own": own})
            last, previous = row.id, own
        connection.execute(change, changes)
