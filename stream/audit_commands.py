"""``barograph audit …``: the record of what happened, exported and checked."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer

from stream.commands import Config, Failure, database
from stream.settings import load

app = typer.Typer(no_args_is_help=True, help="The record of what happened.")

Expect = Annotated[
    str | None,
    typer.Option(
        help="A head that an export or a check told earlier: it must still be in the chain.",
        show_default=False,
    ),
]


@app.command("export", epilog="Example: barograph audit export --output audit.jsonl")
def export(
    output: Annotated[Path | None, typer.Option(help="JSON lines; default: printed.")] = None,
    config: Config = None,
) -> None:
    """Write all rows as JSON lines. The last line on the terminal names the head: note it."""
    from alerts import audit

    with database(load(config)) as engine, _written(output) as file:
        found = audit.export(engine, file)
    if found.fault is not None:
        raise Failure(f"exported, but the chain is broken: {found.fault}")
    print(f"{found.rows} rows, head {found.head}", file=sys.stderr)


@app.command("verify", epilog="Example: barograph audit verify audit.jsonl --expect HEAD")
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(help="An export, - is standard input; default: the database."),
    ] = None,
    expect: Expect = None,
    config: Config = None,
) -> None:
    """Say whether every row is as it was written, and which is the first that is not."""
    from alerts import audit
    from alerts.chain import check

    if file is None:
        with database(load(config)) as engine:
            found = check(audit.entries(engine), expect)
    else:
        with _read(file) as lines:
            found = audit.check_lines(lines, expect)
    if found.fault is not None:
        raise Failure(f"the chain is broken after {found.rows} good rows: {found.fault}")
    print(f"{found.rows} rows, each as it was written, head {found.head}")


@contextlib.contextmanager
def _written(path: Path | None) -> Iterator[TextIO]:
    """Where to write; a file is there only once it is whole."""
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="ascii", newline="\n") as file:
        yield file
    os.replace(part, path)


@contextlib.contextmanager
def _read(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield sys.stdin
        return
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        yield file
