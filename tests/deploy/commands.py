"""Whether words are a command line that ``barograph`` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer.main

from stream.cli import app

WRONG_USAGE = 2


class WrongCommand(Exception):
    """There is no such command or option, or something is missing or wrong."""


def check_command(words: Sequence[str]) -> str:
    """Parse the words as ``barograph WORDS``, without running anything.

    Returns:
        The command, such as ``tokens create``.

    Raises:
        WrongCommand: it would end with status 2.
    """
    command: Any = typer.main.get_command(app)
    left, path = list(words), []
    while hasattr(command, "commands"):
        name = left.pop(0) if left else ""
        path.append(name)
        if name not in command.commands:
            raise WrongCommand(f"no such command: barograph {' '.join(path)}")
        command = command.commands[name]
    try:
        command.make_context(path[-1], left)
    except Exception as error:
        if getattr(error, "exit_code", None) != WRONG_USAGE:
            raise
        raise WrongCommand(f"barograph {' '.join(words)}: {error}") from error
    return " ".join(path)
