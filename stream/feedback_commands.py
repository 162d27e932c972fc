"""``barograph feedback …``: labels that were corrected on the desk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.commands import Config, database
from stream.settings import load

app = typer.Typer(no_args_is_help=True, help="Labels that were corrected on the desk.")


@app.callback()
def group() -> None:
    """Labels that were corrected on the desk."""


@app.command(
    "export",
    epilog="Example: barograph feedback export corrections.jsonl && "
    "barograph train --train corrections.jsonl",
)
def export(
    file: Annotated[Path, typer.Argument(help="JSON lines, written anew.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was exported before.")
    ] = False,
    config: Config = None,
) -> None:
    """Write corrections made on the desk as rows that train takes."""
    from stream import feedback
    from stream.watchlist import load as load_watchlist

    settings = load(config)
    watchlist = load_watchlist(settings.watchlist)
    with database(settings) as engine:
        count = feedback.export(engine, watchlist, file, everything=everything)
    print(f"{count} corrections written to {file}")
