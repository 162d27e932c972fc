"""What the modules of commands share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.settings import Settings, load

if TYPE_CHECKING:
    from sqlalchemy import Engine

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file (YAML).", show_default=False)
]

Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", "-b", help="Kafka, host:port.", show_default=False),
]


class Failure(Exception):
    """A command could not do what it was asked; its message is one line for the user."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and what is counted: ``1 feed``, ``2 feeds``, ``2 entries``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def settings_of(config: Path | None, bootstrap: str | None = None, **options: Any) -> Settings:
    """The settings of the file, and over them what the command line says (None: nothing).

    Raises:
        stream.settings.SettingsError: they cannot be used.
    """
    if bootstrap is not None:
        options["kafka"] = {"bootstrap": bootstrap}
    return load(config, **{key: value for key, value in options.items() if value is not None})


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
