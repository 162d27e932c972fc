"""What the modules of commands share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file (YAML).", show_default=False)
]


class Failure(Exception):
    """A command could not do what it was asked; its message is one line for the user."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and what is counted: ``1 feed``, ``2 feeds``, ``2 entries``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[Engine]:
    """The database of the settings, for one command, which it must be ready for.

    Raises:
        alerts.schema.SchemaError: it has the tables of another version.
    """
    from alerts.schema import require
    from alerts.store import open_engine

    engine = open_engine(settings.database_url)
    try:
        require(engine)
        yield engine
    finally:
        engine.dispose()
