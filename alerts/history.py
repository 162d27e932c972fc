"""Windows of all topics at once, and a mark that changes when something did."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.records import Window
from alerts.store import window_of
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


def windows_between(
    engine: Engine, seconds: int, since: datetime, until: datetime
) -> dict[str, list[Window]]:
    """By topic, the windows of a length that start in [since, until), oldest first."""
    query = (
        sa.select(windows)
        .where(windows.c.seconds == seconds, windows.c.start >= since, windows.c.start < until)
        .order_by(windows.c.start)
    )
    found: dict[str, list[Window]] = defaultdict(list)
    with engine.connect() as connection:
        for row in connection.execute(query):
            found[row.topic].append(window_of(row))
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
