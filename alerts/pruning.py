"""What SQL has held long enough goes: in small batches, each a transaction of its own.

The audit table is kept whole, as every row speaks for all before it; it holds no document's text.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement, Connection, Engine, Table
from sqlalchemy.exc import SQLAlchemyError

from alerts.settings import TableRetention, span
from alerts.store import hold_audit, put_audit
from alerts.tables import (
    acknowledgements,
    alert_transitions,
    alerts,
    corrections,
    deliveries,
    pushes,
    sessions,
    silences,
    windows,
)

log = structlog.get_logger(__name__)

BATCH = 500
"""Rows deleted in one transaction; other writers wait for so long."""

INTERVAL = timedelta(hours=1)

SHORT, LONG = 300, (3600, 86400)
"""Seconds of the windows that are many, and of the others; each named, for the index's sake."""

KEEP_PUSHES = timedelta(hours=24)
"""How long the Idempotency-Key of a pushed request is known."""

PRUNED = Counter(
    "barograph_pruned_rows_total", "Rows deleted from SQL because of their age.", ["table"]
)


def prune(
    engine: Engine, keep: TableRetention, now: datetime, *, dry_run: bool = False
) -> dict[str, int]:
    """Delete what is older than the settings want it.

    Args:
        engine: the database.
        keep: for how long what is kept.
        now: the time that ages are counted to.
        dry_run: count only.

    Returns:
        Rows that went, or would go, by table.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached, or refuses.
    """
    gone: dict[str, int] = {}
    for table, old in _old(keep, now):
        count = _count(engine, table, old) if dry_run else _delete(engine, table, old, now)
        gone[table.name] = gone.get(table.name, 0) + count
    if not dry_run:
        for name, rows in gone.items():
            PRUNED.labels(name).inc(rows)
    return gone


def _old(keep: TableRetention, now: datetime) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Which rows of which tables are old enough."""
    if keep.short_windows is not None:
        before = now - span(keep.short_windows)
        yield windows, sa.and_(windows.c.seconds == SHORT, windows.c.start < before)
    if keep.windows is not None:
        before = now - span(keep.windows)
        yield windows, sa.and_(windows.c.seconds.in_(LONG), windows.c.start < before)
    if keep.alerts is not None:
        before = now - span(keep.alerts)
        yield alerts, _over(now, before)
        stored = sa.exists().where(alerts.c.id == deliveries.c.alert_id)
        yield (
            deliveries,
            sa.and_(
                deliveries.c.status != "pending",
                deliveries.c.occurred_at < before,
                sa.not_(stored),
            ),
        )
    if keep.corrections is not None:
        later = corrections.alias()
        replaced = sa.exists().where(
            later.c.document_id == corrections.c.document_id,
            later.c.topic == corrections.c.topic,
            later.c.id > corrections.c.id,
        )
        done = sa.or_(corrections.c.exported_at.is_not(None), replaced)
        yield corrections, sa.and_(done, corrections.c.at < now - span(keep.corrections))
    yield pushes, pushes.c.at < now - KEEP_PUSHES
    yield sessions, sessions.c.expires_at <= now


def _over(now: datetime, before: datetime) -> ColumnElement[bool]:
    """Alerts that ended before, and that nothing waits for."""
    waits = sa.exists().where(
        deliveries.c.alert_id == alerts.c.id, deliveries.c.status == "pending"
    )
    silent = sa.exists().where(silences.c.alert_id == alerts.c.id, silences.c.until > now)
    return sa.and_(
        alerts.c.state != "firing",
        alerts.c.changed_at < before,
        sa.not_(waits),
        sa.not_(silent),
    )


def _count(engine: Engine, table: Table, old: ColumnElement[bool]) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table).where(old)) or 0


def _delete(engine: Engine, table: Table, old: ColumnElement[bool], now: datetime) -> int:
    """Delete batch by batch; returns the number of the table's own rows."""
    total = 0
    while True:
        with engine.begin() as connection:
            count = _delete_some(connection, table, old, now)
        total += count
        if count < BATCH:
            return total


def _delete_some(
    connection: Connection, table: Table, old: ColumnElement[bool], now: datetime
) -> int:
    keys = list(table.primary_key)
    if table in (alerts, corrections):
        # Whoever acts on one of these holds this, too: nobody does while it goes.
        hold_audit(connection)
    found = connection.execute(sa.select(*keys).where(old).limit(BATCH)).all()
    if not found:
        return 0
    if table is alerts:
        ids = [row.id for row in found]
        for child in (alert_transitions, deliveries, acknowledgements, silences):
            connection.execute(sa.delete(child).where(child.c.alert_id.in_(ids)))
    which = sa.tuple_(*keys).in_([tuple(row) for row in found])
    gone = connection.execute(sa.delete(table).where(which)).rowcount
    if table in (alerts, corrections):
        put_audit(connection, now, "pruned", table.name, {"rows": gone})
    return gone


class Pruner:
    """Prunes every hour, from ``start`` to ``stop``, in a thread of its own."""

    def __init__(self, engine: Engine, keep: TableRetention) -> None:
        self._engine = engine
        self._keep = keep
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pruner", daemon=True)

    def start(self) -> None:
        """Begin, with a first round at once; the database must be up to date."""
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """End after the batch under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                gone = prune(self._engine, self._keep, datetime.now(UTC))
                if any(gone.values()):
                    log.info("pruned", **gone)
            except SQLAlchemyError as error:
                log.warning("not-pruned", error=str(getattr(error, "orig", error)))
            if self._stop.wait(INTERVAL.total_seconds()):
                return
