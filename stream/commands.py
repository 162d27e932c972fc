"""What the modules of commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file (YAML).", show_default=False)
]


class Failure(Exception):
    """A command could not do what it was asked; its message is one line for the user."""
