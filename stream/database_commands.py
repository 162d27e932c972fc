"""``barograph db …``: the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from stream.commands import Config, database, settings_of

app = typer.Typer(no_args_is_help=True, help="The database.")


@app.command("upgrade")
def upgrade_database(config: Config = None) -> None:
    """Bring the database to this version."""
    from alerts.schema import upgrade

    settings = settings_of(config)
    upgrade(settings.database_url)
    print("the database is up to date")


@app.command("prune", epilog="Example: barograph db prune --dry-run")
def prune_database(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
    config: Config = None,
) -> None:
    """Delete what is older than retention.tables says, as the recorder does every hour."""
    from alerts.pruning import prune

    settings = settings_of(config)
    with database(settings) as engine:
        gone = prune(engine, settings.retention.tables, datetime.now(UTC), dry_run=dry_run)
    verb = "would go" if dry_run else "deleted"
    print("\n".join(f"{name:12} {rows:8} rows {verb}" for name, rows in gone.items()))
