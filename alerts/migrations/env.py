"""What alembic runs for each upgrade; the connection comes from ``alerts.schema``."""

from __future__ import annotations

from alembic import context

from alerts.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
