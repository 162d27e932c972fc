"""Forgetting a document or an author in SQL: all that shows it goes, and does not come back.

What stays is a digest, by which the recorder leaves the document out of whatever comes later. The
audit table holds no text, so nothing in it has to change; that something was forgotten is a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Table

from alerts.erasure import (
    author_digest,
    digests_of_record,
    document_digest,
    evidence_in,
    without,
    without_text,
)
from alerts.records import Alert
from alerts.store import hold_audit, insert, put_audit
from alerts.tables import (
    alert_transitions,
    alerts,
    corrections,
    deliveries,
    forgotten,
    pushes,
)

HOLDERS = (alerts, alert_transitions, deliveries)
"""Tables with a ``payload`` that shows evidence."""

CLEANED = (*HOLDERS, corrections, pushes)

FETCH = 200
"""Rows held in memory at a time."""

FORGOTTEN = "forgotten"
"""Stands for an id in the answers of the push feed, and is the kind of the audit row."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom or what to forget.

    ``names`` are the spellings of a document's id (evidence has the beginning of a long one), or
    the keyed hash of an author.
    """

    kind: Literal["document", "author"]
    names: tuple[str, ...]

    @property
    def digests(self) -> tuple[str, ...]:
        """What it is remembered by."""
        make = document_digest if self.kind == "document" else author_digest
        return tuple(make(name) for name in self.names)


@dataclass
class Found:
    """What a subject has left in SQL, or had before it was forgotten."""

    since: datetime | None = None
    """when it was forgotten before"""
    rows: dict[str, int] = field(default_factory=dict)
    """rows that show it, by table"""
    waiting: int = 0
    """of the deliveries those not sent yet"""
    told: set[str] = field(default_factory=set)
    """targets that have been sent it, and keep it or not as they will"""
    digests: set[str] = field(default_factory=set)
    """of the subject, and of an author's documents that were met"""

    @property
    def empty(self) -> bool:
        """Whether no row shows it."""
        return not any(self.rows.values())


@dataclass
class _Changes:
    payloads: list[tuple[Table, tuple[Any, ...], str]] = field(default_factory=list)
    corrections: list[int] = field(default_factory=list)
    answers: list[tuple[str, str, list[str]]] = field(default_factory=list)


def find(connection: Connection, subject: Subject) -> Found:
    """What would go; changes nothing."""
    return _look(connection, subject)[0]


def forget(engine: Engine, subject: Subject, by: str, now: datetime) -> Found:
    """Take the subject out of every table, keep its digest, and audit that it was done.

    All in one transaction, which recorder, desk and relay wait for. Again it does what is left to
    do, which is nothing, and adds no row to the audit.

    Args:
        engine: the database.
        subject: what to forget.
        by: who wants it.
        now: the time of it.

    Returns:
        What has gone.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    with engine.begin() as connection:
        # Whoever stores or tells an alert holds this too, so none of them is halfway.
        hold_audit(connection)
        found, changes = _look(connection, subject)
        _remember(connection, found.digests, now)
        _apply(connection, changes)
        if found.since is None or not found.empty:
            detail = {"by": by, "what": subject.kind, "rows": found.rows}
            put_audit(connection, now, FORGOTTEN, subject.digests[0], detail)
    if not found.empty:
        _scrub(engine)
    return found


def without_forgotten(connection: Connection, alert: Alert) -> Alert:
    """The alert as it may be stored, in the transaction that stores it."""
    hold_audit(connection)
    asked = [digest for item in alert.evidence for digest in digests_of_record(item)]
    return without(alert, known(connection, asked)) if asked else alert


def known(connection: Connection, digests: Iterable[str]) -> set[str]:
    """Those of the digests that are forgotten."""
    query = sa.select(forgotten.c.digest).where(forgotten.c.digest.in_(list(digests)))
    return set(connection.scalars(query))


def _look(connection: Connection, subject: Subject) -> tuple[Found, _Changes]:
    query = sa.select(sa.func.min(forgotten.c.at)).where(forgotten.c.digest.in_(subject.digests))
    found, changes = Found(since=connection.scalar(query)), _Changes()
    found.digests = set(subject.digests)
    names = set(subject.names)
    if subject.kind == "author":
        names = _documents_of(connection, names)
        found.digests |= {document_digest(name) for name in names}
    for table in HOLDERS:
        found.rows[table.name] = 0
        for row in _rows(connection, table):
            text = without_text(row.payload, found.digests)
            if text is None:
                continue
            key = tuple(getattr(row, column.name) for column in table.primary_key)
            changes.payloads.append((table, key, text))
            found.rows[table.name] += 1
            if table is deliveries:
                found.waiting += row.status == "pending"
                # What was tried may have arrived, whatever was answered.
                found.told |= {row.target} if row.attempts else set()
    for correction in connection.execute(sa.select(corrections.c.id, corrections.c.document_id)):
        if document_digest(correction.document_id) in found.digests:
            changes.corrections.append(correction.id)
    for push in connection.execute(sa.select(pushes).where(pushes.c.ids.is_not(None))):
        ids = [FORGOTTEN if name in names else name for name in push.ids]
        if ids != push.ids:
            changes.answers.append((push.who, push.key, ids))
    found.rows[corrections.name] = len(changes.corrections)
    found.rows[pushes.name] = len(changes.answers)
    return found, changes


def _documents_of(connection: Connection, authors: set[str]) -> set[str]:
    """Ids of the documents that stand somewhere as evidence, and are by one of these authors."""
    return {
        str(item.get("id", ""))
        for table in (alerts, alert_transitions)
        for row in _rows(connection, table)
        for item in evidence_in(json.loads(row.payload))
        if item.get("author") in authors
    }


def _rows(connection: Connection, table: Table) -> Iterator[Any]:
    options = {"yield_per": FETCH}
    with connection.execute(sa.select(table), execution_options=options) as rows:
        yield from rows


def _remember(connection: Connection, digests: Iterable[str], now: datetime) -> None:
    for digest in sorted(digests):
        row = insert(connection, forgotten).values(digest=digest, at=now)
        connection.execute(row.on_conflict_do_nothing())


def _apply(connection: Connection, changes: _Changes) -> None:
    for table, key, text in changes.payloads:
        row = [column == value for column, value in zip(table.primary_key, key, strict=True)]
        connection.execute(sa.update(table).where(*row).values(payload=text))
    for number in changes.corrections:
        connection.execute(sa.delete(corrections).where(corrections.c.id == number))
    for who, name, ids in changes.answers:
        answered = [pushes.c.who == who, pushes.c.key == name]
        connection.execute(sa.update(pushes).where(*answered).values(ids=ids))


def _scrub(engine: Engine) -> None:
    """Have the database drop the old rows from its files, too, as far as it can at once."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        for table in CLEANED:
            connection.exec_driver_sql(f"VACUUM {table.name}")
