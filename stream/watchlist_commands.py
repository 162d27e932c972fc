"""``barograph watchlist …``: what is watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.commands import counted

app = typer.Typer(no_args_is_help=True, help="What is watched.")


@app.command("check")
def check(file: Annotated[Path, typer.Argument(help="Watchlist YAML.")]) -> None:
    """Say what in a watchlist is wrong, or probably not meant."""
    from stream.watchlist import collisions, load

    watchlist = load(file)
    found = collisions(watchlist)
    entries = counted(len(watchlist.entries), "entry", "entries")
    print("\n".join([*found, f"{entries}, {counted(len(found), 'remark')}"]))
