"""``barograph forget``: a document, or all that an author wrote, goes from SQL and from Kafka."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import Bootstrap, Config, Failure, database, settings_of
from stream.settings import Settings, SettingsError

if TYPE_CHECKING:
    from alerts.forgetting import Found, Subject

EXAMPLES = (
    "Examples: barograph forget --document wire-20260304-1187 --dry-run   |   "
    "barograph forget --author ana --yes"
)


def forget(
    document: Annotated[
        list[str] | None,
        typer.Option(help="Id of a document; may be repeated.", show_default=False),
    ] = None,
    author: Annotated[
        list[str] | None,
        typer.Option(
            help="Handle of an author, as feeds name it, or the hmac:… that stands for it; may be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    unseen: Annotated[
        bool,
        typer.Option("--unseen", help="Also what the database does not know: it never will."),
    ] = False,
    config: Config = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Forget documents and authors for good. Windows and alerts stay, without what showed them."""
    from kafka.errors import KafkaError

    from alerts import forgetting
    from stream.clients import BrokerUnreachable
    from stream.forgetting import ForgetError, tell_kafka
    from stream.reading import NoAnswer
    from stream.topics import TopicError

    settings = settings_of(config, bootstrap)
    subjects = _subjects(settings, document or [], author or [])
    with database(settings) as engine:
        with engine.connect() as connection:
            found = {name: forgetting.find(connection, each) for name, each in subjects.items()}
        for name, what in found.items():
            print(_line(name, what))
        unknown = [name for name, what in found.items() if what.empty and what.since is None]
        if unknown and not unseen:
            raise Failure(
                f"the database knows no {unknown[0]}: nothing was changed. It may be on Kafka "
                "alone; --unseen forgets it all the same, and keeps it out"
            )
        if dry_run:
            print(_kafka(settings))
            return
        if not yes:
            typer.confirm("Forget this for good?", abort=True)
        digests: set[str] = set()
        for each in subjects.values():
            done = forgetting.forget(engine, each, "command line", datetime.now(UTC))
            digests |= done.digests
    try:
        again = tell_kafka(settings, digests)
    except (BrokerUnreachable, ForgetError, KafkaError, NoAnswer, TopicError) as error:
        raise Failure(
            f"forgotten in the database, but not on Kafka: {error}; run the same command again"
        ) from error
    print(f"forgotten; {again} alerts that are over stand on Kafka anew without it")
    print(_kafka(settings))


def _subjects(settings: Settings, documents: list[str], authors: list[str]) -> dict[str, Subject]:
    from alerts.forgetting import Subject
    from stream.authors import hashed
    from stream.evidence import identity_of

    if not documents and not authors:
        raise SettingsError("say what to forget: --document ID or --author HANDLE")
    if "" in (*documents, *authors):
        raise SettingsError("an empty id or handle is nobody's")
    key = settings.author_key.get_secret_value().encode()
    found = {
        f"document {each}": Subject("document", tuple(dict.fromkeys((each, identity_of(each)))))
        for each in documents
    }
    return found | {f"author {each}": Subject("author", (hashed(each, key),)) for each in authors}


def _line(name: str, found: Found) -> str:
    if found.empty:
        since = "" if found.since is None else f", forgotten on {found.since:%F %H:%M} UTC"
        return f"{name}: no rows{since}"
    rows = ", ".join(f"{count} {table}" for table, count in found.rows.items() if count)
    waiting = f" ({found.waiting} not sent yet)" if found.waiting else ""
    told = f"; it was sent to {', '.join(sorted(found.told))}" if found.told else ""
    return f"{name}: {rows}{waiting}{told}"


def _kafka(settings: Settings) -> str:
    """What no command can take from Kafka, and for how long it stays."""
    topics, keep = settings.kafka.topics, settings.retention.topics
    kept = ", ".join(
        f"{getattr(topics, name)} {getattr(keep, name)}"
        for name in ("documents", "scored", "slices", "dead_letters")
    )
    return (
        f"What is on Kafka already stays until its topic lets go of it: {kept}, a day longer at "
        "most; see docs/data-protection.md"
    )
