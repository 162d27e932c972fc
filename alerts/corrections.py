"""Corrections: labels that a reader of the desk found wrong, kept to train on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from alerts.acts import Actor
from alerts.erasure import comment_digest, document_digest
from alerts.forgetting import known
from alerts.store import hold_audit, put_audit
from alerts.tables import corrections

Sentiment = Literal["negative", "neutral", "positive"]


class DocumentForgotten(Exception):
    """The document was forgotten: nothing is stored of it any more."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A document's sentiment towards a topic, as it was and as it should have been.

    ``exported_at`` is none while it waits.
    """

    id: int
    at: datetime
    document_id: str
    text: str
    topic: str
    old: Sentiment
    new: Sentiment
    by: str
    comment: str
    alert_id: str | None
    exported_at: datetime | None


def correct(
    engine: Engine,
    actor: Actor,
    now: datetime,
    *,
    document_id: str,
    text: str,
    topic: str,
    old: Sentiment,
    new: Sentiment,
    comment: str = "",
    alert_id: str | None = None,
) -> Correction:
    """Store a correction; a later one of the same document and topic stands in its place.

    The audit can forget nothing, so it gets digests of the document's id and of the comment.

    Raises:
        DocumentForgotten: as it says.
    """
    row: dict[str, Any] = {
        "at": now,
        "document_id": document_id,
        "text": text,
        "topic": topic,
        "old": old,
        "new": new,
        "by": actor.name,
        "comment": comment,
        "alert_id": alert_id,
        "exported_at": None,
    }
    digest = document_digest(document_id)
    with engine.begin() as connection:
        hold_audit(connection)
        if known(connection, [digest]):
            raise DocumentForgotten(document_id)
        number = connection.scalar(sa.insert(corrections).values(row).returning(corrections.c.id))
        detail = {**actor.detail, "topic": topic, "old": old, "new": new}
        put_audit(
            connection, now, "correction", digest, {**detail, "comment": comment_digest(comment)}
        )
    return Correction(number or 0, **row)


def list_corrections(
    engine: Engine,
    *,
    waiting: bool | None = None,
    alert_id: str | None = None,
    limit: int | None = None,
) -> list[Correction]:
    """Corrections that stand, oldest first.

    Args:
        engine: the database.
        waiting: only those not exported yet (True), or only those that were (False).
        alert_id: only those made from this alert.
        limit: the newest so many.
    """
    query = sa.select(corrections).where(_standing())
    if waiting is not None:
        unsent = corrections.c.exported_at.is_(None)
        query = query.where(unsent if waiting else sa.not_(unsent))
    if alert_id is not None:
        query = query.where(corrections.c.alert_id == alert_id)
    query = query.order_by(corrections.c.id.desc()).limit(limit)
    with engine.connect() as connection:
        return [Correction(*row) for row in connection.execute(query)][::-1]


def count_waiting(engine: Engine) -> int:
    """How many corrections no export holds yet."""
    query = (
        sa.select(sa.func.count())
        .select_from(corrections)
        .where(_standing(), corrections.c.exported_at.is_(None))
    )
    with engine.connect() as connection:
        return connection.scalar(query) or 0


def mark_exported(
    connection: Connection, exported: list[Correction], file: str, now: datetime
) -> None:
    """Note that an export holds these."""
    numbers = [correction.id for correction in exported]
    for start in range(0, len(numbers), 500):
        connection.execute(
            sa.update(corrections)
            .where(corrections.c.id.in_(numbers[start : start + 500]))
            .values(exported_at=now)
        )
    put_audit(connection, now, "feedback.exported", file, {"corrections": len(numbers)})


def _standing() -> sa.ColumnElement[bool]:
    """That no later correction of the same document and topic exists."""
    later = corrections.alias()
    return sa.not_(
        sa.exists().where(
            later.c.document_id == corrections.c.document_id,
            later.c.topic == corrections.c.topic,
            later.c.id > corrections.c.id,
        )
    )
