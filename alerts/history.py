"""Windows of all topics at once, and a mark that changes when something did."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.records import Window
from alerts.tables import audit, windows

PIECE = 300
"""Seconds of the shortest windows."""

DAY = 86400


def counted_to(engine: Engine) -> datetime | None:
    """The end of the newest window of any topic; None when there is none."""
    query = sa.select(sa.func.max(windows.c.start)).where(windows.c.seconds == PIECE)
    with engine.connect() as connection:
        newest = connection.scalar(query)
    return None if newest is None else newest + timedelta(seconds=PIECE)


@dataclass(frozen=True, slots=True)
class Sums:
    """What some windows of a topic hold together; ``mood`` is the mean sentiment, -1 to 1."""

    documents: int
    stories: int
    negative: int
    mood: float


def sums_between(
    engine: Engine, since: datetime, until: datetime, topics: Sequence[str] | None = None
) -> dict[str, Sums]:
    """By topic (only these), the sums of the shortest windows that start in [since, until)."""
    documents = sa.func.sum(windows.c.documents)
    query = (
        sa.select(
            windows.c.topic,
            documents,
            sa.func.sum(windows.c.stories),
            sa.func.sum(windows.c.negative_stories),
            sa.func.sum(windows.c.mean_sentiment * windows.c.documents),
        )
        .where(windows.c.seconds == PIECE, windows.c.start >= since, windows.c.start < until)
        .group_by(windows.c.topic)
    )
    if topics is not None:
        query = query.where(windows.c.topic.in_(topics))
    with engine.connect() as connection:
        return {
            topic: Sums(
                int(count), int(stories), int(negative), mood / int(count) if count else 0.0
            )
            for topic, count, stories, negative, mood in connection.execute(query)
        }


def windows_between(
    engine: Engine,
    seconds: int,
    since: datetime,
    until: datetime,
    topics: Sequence[str] | None = None,
) -> dict[str, list[Window]]:
    """By topic, the windows of a length that start in [since, until), oldest first.

    Args:
        engine: the database.
        seconds: length of the windows.
        since: first start.
        until: start that is not among them any more.
        topics: only these.
    """
    query = (
        sa.select(windows)
        .where(windows.c.seconds == seconds, windows.c.start >= since, windows.c.start < until)
        .order_by(windows.c.start)
    )
    if topics is not None:
        query = query.where(windows.c.topic.in_(topics))
    found: dict[str, list[Window]] = defaultdict(list)
    with engine.connect() as connection:
        for row in connection.execute(query):
            values = dict(row._mapping)
            end = row.start + timedelta(seconds=values.pop("seconds"))
            found[row.topic].append(Window(end=end, **values))
    return found


def usual_shares(engine: Engine, since: datetime, until: datetime) -> dict[str, float]:
    """By topic, negative stories over all stories, 0 to 1, of the days that start in between."""
    negative, stories = sa.func.sum(windows.c.negative_stories), sa.func.sum(windows.c.stories)
    query = (
        sa.select(windows.c.topic, negative, stories)
        .where(windows.c.seconds == DAY, windows.c.start >= since, windows.c.start < until)
        .group_by(windows.c.topic)
    )
    with engine.connect() as connection:
        return {
            topic: int(bad) / int(total) for topic, bad, total in connection.execute(query) if total
        }


def mark(engine: Engine) -> str:
    """A short text that is another one once a window, an alert, a delivery or an act is new."""
    newest = counted_to(engine)
    recent = sa.select(sa.func.coalesce(sa.func.sum(windows.c.revision), 0), sa.func.count()).where(
        windows.c.seconds == PIECE,
        sa.false() if newest is None else windows.c.start >= newest - timedelta(hours=1),
    )
    with engine.connect() as connection:
        sums = connection.execute(recent).one()
        acts = connection.scalar(sa.select(sa.func.max(audit.c.id)))
    parts = (newest, int(sums[0]), sums[1], acts)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
