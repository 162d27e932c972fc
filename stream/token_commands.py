"""``barograph tokens …``: who may use the desk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import Config
from stream.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

app = typer.Typer(no_args_is_help=True, help="Who may use the desk.")


class Role(StrEnum):
    """What a token allows."""

    READ = "read"
    ACT = "act"
    INGEST = "ingest"
    ADMIN = "admin"


@contextmanager
def _database(config: Path | None) -> Iterator[Engine]:
    """The database, brought to this version: a desk for others wants a token before it starts."""
    from alerts.schema import upgrade
    from alerts.store import open_engine

    engine = open_engine(load(config).database_url)
    try:
        upgrade(engine)
        yield engine
    finally:
        engine.dispose()


@app.command("create", epilog="Example: barograph tokens create ana --role act")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is; stands in the audit table.")],
    role: Annotated[
        Role,
        typer.Option(
            help="read: look; act: also acknowledge, silence, correct; ingest: send documents; "
            "admin: all of it."
        ),
    ],
    config: Config = None,
) -> None:
    """Make a token, and print it: it is shown this once."""
    from alerts.tokens import create_token

    with _database(config) as engine:
        print(create_token(engine, name, role.value, datetime.now(UTC)))
    print("Keep it: only its hash is stored, and nothing shows it again.", file=sys.stderr)


@app.command("list")
def list_(config: Config = None) -> None:
    """List the tokens: name, role, when made, last used and revoked."""
    from alerts.tokens import list_tokens

    with _database(config) as engine:
        found = list_tokens(engine)
    for token in found:
        used = f"used {token.used_at:%F %H:%M}" if token.used_at else "never used"
        end = f"  revoked {token.revoked_at:%F %H:%M}" if token.revoked_at else ""
        print(f"{token.name:24}  {token.role:6}  made {token.created_at:%F %H:%M}  {used}{end}")
    if not found:
        print("no tokens: barograph tokens create NAME --role ROLE")


@app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="As the list shows it.")], config: Config = None
) -> None:
    """End a token, and the sessions opened with it."""
    from alerts.tokens import revoke_token

    with _database(config) as engine:
        revoke_token(engine, name, datetime.now(UTC))
    print(f"{name} is revoked")
