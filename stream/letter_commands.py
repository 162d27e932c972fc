"""``barograph dead-letters …``: messages that were no documents."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.commands import Bootstrap, Config, settings_of

app = typer.Typer(no_args_is_help=True, help="Messages that were no documents.")


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    config: Config = None,
    bootstrap: Bootstrap = None,
) -> None:
    """List dead letters with their reasons."""
    from stream.dead_letters import list_dead_letters

    for letter in list_dead_letters(settings_of(config, bootstrap), limit):
        start = letter.value[:60].decode("utf-8", "replace")
        origin = f"{letter.topic}/{letter.partition}@{letter.offset}"
        print(f"{letter.number:8}  {letter.time:%F %T}  {origin}  {letter.reason}  {start!r}")


@app.command("replay")
def replay(
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    number: Annotated[list[int] | None, typer.Option(help="This one; may be repeated.")] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Send dead letters back to where they came from."""
    from stream.dead_letters import replay_dead_letters

    count = replay_dead_letters(settings_of(config, bootstrap), limit, number or None)
    print(f"{count} sent back")
