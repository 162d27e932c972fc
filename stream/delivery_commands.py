"""``barograph deliveries …``: what was told to whom, and what is to be told again."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from stream.commands import Config, Failure, counted, database
from stream.settings import SettingsError, load

app = typer.Typer(no_args_is_help=True, help="Webhooks sent, waiting, or given up.")


class Status(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@app.command("list", epilog="Example: barograph deliveries list --status dead")
def list_(
    status: Annotated[Status | None, typer.Option(help="Only those.")] = None,
    target: Annotated[str | None, typer.Option(help="Only to this target.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    config: Config = None,
) -> None:
    """List deliveries: id, time, status, target, attempts, what of, and the last error."""
    from alerts.store import list_deliveries

    with database(load(config)) as engine:
        found = list_deliveries(engine, status=status, target=target, limit=limit)
    for row in found:
        print(
            f"{row.id}  {row.occurred_at:%F %T}  {row.status:9}  {row.target}  x{row.attempts}  "
            f"{row.state}  {row.alert_id}  {row.last_error or ''}".rstrip()
        )


@app.command("retry", epilog="Example: barograph deliveries retry msg_5d41402abc4b2a76b9719d91")
def retry(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `list` shows them.")],
    enable: Annotated[
        bool, typer.Option("--enable", help="Also to a target that has answered 410: it is back.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also if the receiver knows a later state by now.")
    ] = False,
    config: Config = None,
) -> None:
    """Send dead deliveries again; the process that delivers takes them up within seconds."""
    from alerts import redelivery

    settings = load(config)
    with database(settings) as engine, engine.begin() as connection:
        results = redelivery.retry(
            connection,
            settings.delivery.targets,
            ids,
            datetime.now(UTC),
            "command line",
            enable=enable,
            force=force,
        )
    for result in results:
        print(f"{result.delivery}  {result.refused or 'waits to be sent'}")
    refused = sum(result.refused is not None for result in results)
    if refused:
        raise Failure(f"{refused} of {len(results)} are not sent again, see above")


@app.command("test", epilog="Example: barograph deliveries test risk-desk")
def attempt(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[TARGET]...", help="Names; none: all targets.")
    ] = None,
    config: Config = None,
) -> None:
    """Send targets a signed test message, once, and say what they answer; nothing is stored."""
    from alerts.outbox import open_client
    from alerts.trial import try_target

    delivery = load(config).delivery
    targets = {target.name: target for target in delivery.targets}
    if not targets:
        raise SettingsError("delivery.targets names no target: see docs/operating.md")
    if unknown := [name for name in names or () if name not in targets]:
        raise SettingsError(f"no target {unknown[0]}: there are {', '.join(targets)}")
    failed = 0
    with open_client() as client:
        for name in names or targets:
            taken, answer = try_target(
                targets[name], delivery.dashboard_url, client, datetime.now(UTC)
            )
            failed += not taken
            print(f"{name}  {'taken' if taken else 'not taken'}: {answer}")
    if failed:
        raise Failure(f"{counted(failed, 'target')} did not take the message")
