"""Windows and alerts in SQL: upserts that any order and repetition leaves the same, and queries.

Functions that write take a connection inside a transaction, so that a caller joins several.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Row, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.pool import ConnectionPoolEntry

from alerts.chain import GENESIS, entry
from alerts.records import Alert, Window, utc
from alerts.tables import (
    alert_transitions,
    alerts,
    audit,
    deliveries,
    disabled_targets,
    standing,
    windows,
)
from alerts.transitions import changed_at

BUSY_TIMEOUT = 10
"""Seconds that a writer to SQLite waits for another one."""

CONNECT_TIMEOUT = 5
"""Seconds until a PostgreSQL that does not answer counts as down."""

AUDIT_LOCK = 0x61756469
"""Key of PostgreSQL's advisory lock ("audi") that whoever appends to the audit table holds."""


def open_engine(url: str) -> Engine:
    """Connections to the database behind ``url``, an SQLAlchemy URL; opens none yet.

    SQLite gets a write-ahead log, foreign keys, patience with other writers, and overwrites what is
    deleted; a PostgreSQL URL
    means psycopg 3, whichever driver it names or leaves out.

    Raises:
        sqlalchemy.exc.ArgumentError: the URL cannot be read, or is of another database.
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        engine = sa.create_engine(
            parsed, connect_args={"timeout": BUSY_TIMEOUT}, hide_parameters=True
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    if backend in ("postgresql", "postgres"):
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": CONNECT_TIMEOUT},
            pool_pre_ping=True,
            # Errors are logged, and would show texts.
            hide_parameters=True,
            # Whatever the server's default: who waits for a lock must then see what it guarded.
            isolation_level="READ COMMITTED",
        )
    raise sa.exc.ArgumentError(f"database_url must be of SQLite or PostgreSQL, not {backend}")


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Settings that SQLite keeps per connection."""
    cursor = connection.cursor()
    # The mode is the file's and stays; when two processes set it at once one is told "locked".
    with contextlib.suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten: a forgotten text is not to be found in the file.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that may say what to do on conflict."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def reachable(engine: Engine) -> bool:
    """Whether the database answers."""
    try:
        with engine.connect() as connection:
            connection.execute(sa.select(1))
    except sa.exc.SQLAlchemyError:
        return False
    return True


def put_windows(connection: Connection, batch: Iterable[Window]) -> None:
    """Store windows; one with a smaller (revision, final) than the stored changes nothing."""
    newest: dict[tuple[str, int, datetime], Window] = {}
    for window in batch:
        key = (window.topic, window.seconds, window.start)
        known = newest.get(key)
        if known is None or _rank(known) <= _rank(window):
            newest[key] = window
    if not newest:
        return
    statement = insert(connection, windows)
    offered = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=list(windows.primary_key),
        set_={
            column.name: offered[column.name]
            for column in windows.columns
            if not column.primary_key
        },
        where=sa.or_(
            offered.revision > windows.c.revision,
            sa.and_(
                offered.revision == windows.c.revision,
                sa.or_(offered.final, sa.not_(windows.c.final)),
            ),
        ),
    )
    # One order of keys in every process, or two that overlap could wait for each other for ever.
    connection.execute(
        statement,
        [
            {"seconds": seconds, **newest[topic, seconds, start].model_dump(exclude={"end"})}
            for topic, seconds, start in sorted(newest)
        ],
    )


def _rank(window: Window) -> tuple[int, bool]:
    return window.revision, window.final


def put_alert(connection: Connection, alert: Alert) -> bool:
    """Store one transition and, when it is the newest, the alert's present state.

    Returns:
        Whether the transition is new; a repeat changes nothing.
    """
    hold_audit(connection)
    at = changed_at(alert)
    state = {
        "id": alert.id,
        "topic": alert.topic,
        "rule": alert.rule,
        "severity": alert.severity,
        "state": alert.state,
        "starts_at": alert.starts_at,
        "detected_at": alert.detected_at,
        "changed_at": at,
        "ends_at": alert.ends_at,
        "payload": alert.model_dump_json(),
    }
    statement = insert(connection, alerts).values(state)
    offered = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[alerts.c.id],
            set_={name: offered[name] for name in state if name != "id"},
            # A resolved alert stays resolved, whatever arrives late; else the newer one counts.
            where=sa.or_(
                sa.and_(offered.state == "resolved", alerts.c.state == "firing"),
                sa.and_(offered.state == alerts.c.state, offered.changed_at > alerts.c.changed_at),
            ),
        )
    )
    added = connection.execute(
        insert(connection, alert_transitions)
        .values(
            alert_id=alert.id,
            state=alert.state,
            at=at,
            severity=alert.severity,
            payload=state["payload"],
        )
        .on_conflict_do_nothing()
        .returning(alert_transitions.c.alert_id)
    )
    if added.first() is None:
        return False
    put_audit(
        connection,
        at,
        f"alert.{alert.state}",
        alert.id,
        {"topic": alert.topic, "severity": alert.severity, "summary": alert.summary},
    )
    return True


def hold_audit(connection: Connection) -> None:
    """Keep other writers from the audit table until this transaction ends; twice is once.

    A chain has one end: two processes that append at a time would both go on from the same row.
    Whoever writes alerts or deliveries and audits it calls this before, so that all take their
    locks in one order and none waits for another that waits for it.
    """
    if connection.dialect.name == "sqlite":
        # Any change, even of nothing, takes the lock of the only writer.
        connection.execute(sa.update(disabled_targets).where(sa.false()).values(name=""))
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(AUDIT_LOCK)))


def put_audit(
    connection: Connection, at: datetime, kind: str, subject: str, detail: dict[str, Any]
) -> None:
    """Append a row to the audit table, which the database itself keeps from being changed.

    Args:
        connection: in a transaction; until it ends no other process appends.
        at: when it happened.
        kind: what happened, such as ``delivery.dead``.
        subject: what it happened to: an alert's id, a target's name.
        detail: more of it, in JSON's values; never a secret.
    """
    hold_audit(connection)
    last = connection.execute(
        sa.select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)
    ).first()
    number, previous = (1, GENESIS) if last is None else (last.id + 1, last.hash)
    row = entry(number, at, kind, subject, detail, previous)
    connection.execute(sa.insert(audit).values({**row, "at": at}))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook message to one target; ``id`` is its webhook-id and stays over retries."""

    id: str
    alert_id: str
    state: str
    target: str
    occurred_at: datetime
    payload: str
    status: str
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class AlertHistory:
    """An alert, its transitions and deliveries (oldest first)."""

    alert: Alert
    transitions: tuple[Alert, ...]
    deliveries: tuple[Delivery, ...]


def latest_windows(engine: Engine, seconds: int) -> list[Window]:
    """The newest window of that length of each topic, by topic."""
    newest = (
        sa.select(windows.c.topic, sa.func.max(windows.c.start).label("start"))
        .where(windows.c.seconds == seconds)
        .group_by(windows.c.topic)
        .subquery()
    )
    query = (
        sa.select(windows)
        .join(
            newest,
            sa.and_(windows.c.topic == newest.c.topic, windows.c.start == newest.c.start),
        )
        .where(windows.c.seconds == seconds)
        .order_by(windows.c.topic)
    )
    with engine.connect() as connection:
        return [_window(row) for row in connection.execute(query)]


def topic_windows(
    engine: Engine,
    topic: str,
    seconds: int,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 1000,
) -> list[Window]:
    """The newest ``limit`` windows of a topic that start in [since, until), oldest first."""
    query = sa.select(windows).where(windows.c.topic == topic, windows.c.seconds == seconds)
    if since is not None:
        query = query.where(windows.c.start >= since)
    if until is not None:
        query = query.where(windows.c.start < until)
    query = query.order_by(windows.c.start.desc()).limit(limit)
    with engine.connect() as connection:
        return [_window(row) for row in connection.execute(query)][::-1]


def list_alerts(
    engine: Engine,
    *,
    state: str | None = None,
    topics: Sequence[str] | None = None,
    before: str | None = None,
    limit: int | None = 100,
) -> list[Alert]:
    """Alerts in their present state, newest first.

    Args:
        engine: the database.
        state: only those in it.
        topics: only those of these topics.
        before: id of an alert; only those that follow it in this order. Of an unknown id, none.
        limit: at most so many; None: all.
    """
    query = sa.select(alerts.c.payload)
    if state is not None:
        query = query.where(alerts.c.state == state)
    if topics is not None:
        query = query.where(alerts.c.topic.in_(topics))
    if before is not None:
        began = sa.select(alerts.c.starts_at).where(alerts.c.id == before).scalar_subquery()
        same = sa.and_(alerts.c.starts_at == began, alerts.c.id > before)
        query = query.where(sa.or_(alerts.c.starts_at < began, same))
    query = query.order_by(alerts.c.starts_at.desc(), alerts.c.id).limit(limit)
    with engine.connect() as connection:
        return [Alert.model_validate_json(text) for text in connection.scalars(query)]


def alert_topics(engine: Engine) -> list[str]:
    """The topics of which an alert is known."""
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(alerts.c.topic).distinct()))


def last_firing(engine: Engine, alert_ids: Sequence[str]) -> dict[str, Alert]:
    """By id, the last transition that fired: at its end an alert's window is calm again."""
    query = (
        sa.select(alert_transitions.c.alert_id, alert_transitions.c.payload)
        .where(alert_transitions.c.state == "firing", alert_transitions.c.alert_id.in_(alert_ids))
        .order_by(alert_transitions.c.at)
    )
    with engine.connect() as connection:
        newest = {row.alert_id: row.payload for row in connection.execute(query)}
    return {alert_id: Alert.model_validate_json(payload) for alert_id, payload in newest.items()}


def find_alert(engine: Engine, alert_id: str) -> AlertHistory | None:
    """One alert with what became of it, or None."""
    with engine.connect() as connection:
        present = connection.scalar(sa.select(alerts.c.payload).where(alerts.c.id == alert_id))
        if present is None:
            return None
        transitions = connection.scalars(
            sa.select(alert_transitions.c.payload)
            .where(alert_transitions.c.alert_id == alert_id)
            .order_by(alert_transitions.c.at, alert_transitions.c.state)
        )
        sent = connection.execute(
            sa.select(deliveries)
            .where(deliveries.c.alert_id == alert_id)
            .order_by(deliveries.c.occurred_at, standing(deliveries.c.state), deliveries.c.target)
        )
        return AlertHistory(
            Alert.model_validate_json(present),
            tuple(Alert.model_validate_json(text) for text in transitions),
            tuple(Delivery(*row) for row in sent),
        )


def list_deliveries(
    engine: Engine, *, status: str | None = None, target: str | None = None, limit: int = 100
) -> list[Delivery]:
    """The newest ``limit`` deliveries, newest first."""
    query = sa.select(deliveries)
    if status is not None:
        query = query.where(deliveries.c.status == status)
    if target is not None:
        query = query.where(deliveries.c.target == target)
    query = query.order_by(deliveries.c.occurred_at.desc(), deliveries.c.id).limit(limit)
    with engine.connect() as connection:
        return [Delivery(*row) for row in connection.execute(query)]


def document_sums(engine: Engine, prefix: str) -> dict[int, int]:
    """Documents counted per window length (s), summed over the topics that begin with prefix."""
    query = (
        sa.select(windows.c.seconds, sa.func.sum(windows.c.documents))
        .where(windows.c.topic.startswith(prefix, autoescape=True))
        .group_by(windows.c.seconds)
    )
    with engine.connect() as connection:
        return {seconds: int(total) for seconds, total in connection.execute(query)}


def audit_rows(engine: Engine, subject: str) -> Sequence[Row[Any]]:
    """What the audit table says of a subject, oldest first."""
    query = sa.select(audit).where(audit.c.subject == subject).order_by(audit.c.id)
    with engine.connect() as connection:
        return connection.execute(query).all()


def _window(row: Row[Any]) -> Window:
    values = dict(row._mapping)
    end = utc(values["start"].timestamp() + values.pop("seconds"))
    return Window(end=end, **values)
