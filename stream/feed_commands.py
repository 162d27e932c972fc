"""``barograph feed …``: documents from feeds, and what is wrong with a feeds file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from stream.commands import Bootstrap, Config, Failure, counted, settings_of

app = typer.Typer(no_args_is_help=True, help="Documents from feeds.")

Feeds = Annotated[Path, typer.Argument(help="The feeds file (YAML).", show_default=False)]


@app.command("run", epilog="Example: barograph feed run feeds.yaml --bootstrap kafka:9092")
def run(
    feeds: Feeds,
    state: Annotated[
        Path | None,
        typer.Option(help="Where positions are kept; default: FEEDS.state.db beside the file."),
    ] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Read the feeds and put what is new on the documents topic, until stopped."""
    from stream.feeds.service import run as service

    service(feeds, settings_of(config, bootstrap), state)


@app.command("check", epilog="Example: barograph feed check feeds.yaml --try")
def check(
    feeds: Feeds,
    attempt: Annotated[
        bool, typer.Option("--try", help="Read each feed once; nothing is published.")
    ] = False,
    config: Config = None,
) -> None:
    """Say what is wrong with a feeds file; status 1 when anything is."""
    from stream.feeds.listing import read_feeds
    from stream.feeds.trial import try_feeds

    listing = read_feeds(feeds)
    for problem in listing.problems:
        print(problem)
    failed = 0
    if attempt and listing.feeds:
        key = settings_of(config).author_key.get_secret_value().encode()
        for trial in asyncio.run(try_feeds(listing.feeds, key)):
            if trial.error is not None:
                failed += 1
                print(f"feed {trial.feed}: {trial.error}")
            else:
                read = counted(trial.documents, "document")
                print(f"feed {trial.feed}: {read}  {trial.newest}".rstrip())
            for reason in trial.bad[:5]:
                print(f"feed {trial.feed}: not a document: {reason}")
    if listing.problems or failed:
        problems, unread = counted(len(listing.problems), "problem"), counted(failed, "feed")
        raise Failure(f"{problems} in {feeds}, {unread} cannot be read")
    print(f"{counted(len(listing.feeds), 'feed')}, no problem in {feeds}")
