"""What people do about an alert; each act is a row of its own, and one in the audit table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine, Table

from alerts.settings import DeliverySettings
from alerts.silences import SilenceRefused, end_silence, in_force, post_silence
from alerts.store import find_alert, put_audit
from alerts.tables import acknowledgements, silences


class NoSuchAlert(Exception):
    """The database has no alert of that id."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the name given, and that of the token, where tokens are in use."""

    name: str
    token: str | None = None

    @property
    def detail(self) -> dict[str, str]:
        """For the audit table."""
        return {"by": self.name, **({} if self.token is None else {"token": self.token})}


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has seen an alert."""

    id: int
    alert_id: str
    at: datetime
    by: str
    comment: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A topic is not told of until then; with ``error``, Alertmanager goes on telling of it."""

    id: int
    alert_id: str
    topic: str
    at: datetime
    until: datetime
    by: str
    comment: str
    alertmanager_id: str | None
    error: str | None


def acknowledge(
    engine: Engine, alert_id: str, actor: Actor, comment: str, now: datetime
) -> Acknowledgement:
    """Note that somebody has seen the alert; doing so again adds a comment.

    Raises:
        NoSuchAlert: as it says.
    """
    _require(engine, alert_id)
    row = {"alert_id": alert_id, "at": now, "by": actor.name, "comment": comment}
    with engine.begin() as connection:
        put_audit(
            connection, now, "alert.acknowledged", alert_id, {**actor.detail, "comment": comment}
        )
        number = connection.scalar(
            sa.insert(acknowledgements).values(row).returning(acknowledgements.c.id)
        )
    return Acknowledgement(number or 0, **row)  # type: ignore[arg-type]


def silence(
    engine: Engine,
    delivery: DeliverySettings,
    alert_id: str,
    actor: Actor,
    comment: str,
    duration: timedelta,
    now: datetime,
) -> Silence:
    """Tell nobody of the alert's topic for a while, in Alertmanager too where it is in the way.

    It is recorded either way; ``error`` of the answer says so when Alertmanager did not take it.

    Raises:
        NoSuchAlert: as it says.
    """
    topic = _require(engine, alert_id)
    until = now + duration
    there: str | None = None
    error: str | None = None
    if delivery.mode == "prometheus" and delivery.alertmanager_url is None:
        error = "delivery.alertmanager_url is not set"
    elif delivery.mode == "prometheus" and delivery.alertmanager_url is not None:
        try:
            there = post_silence(
                delivery.alertmanager_url,
                topic,
                now,
                until,
                actor.name,
                comment or f"silenced on the desk: {alert_id}",
            )
        except SilenceRefused as reason:
            error = str(reason)
    row: dict[str, Any] = {
        "alert_id": alert_id,
        "topic": topic,
        "at": now,
        "until": until,
        "by": actor.name,
        "comment": comment,
        "alertmanager_id": there,
        "error": error,
    }
    with engine.begin() as connection:
        detail = {
            **actor.detail,
            "topic": topic,
            "until": until.isoformat(),
            "comment": comment,
            "alertmanager_id": there,
            "error": error,
        }
        put_audit(connection, now, "alert.silenced", alert_id, detail)
        number = connection.scalar(sa.insert(silences).values(row).returning(silences.c.id))
    return Silence(number or 0, **row)


def unsilence(
    engine: Engine, delivery: DeliverySettings, alert_id: str, actor: Actor, now: datetime
) -> int:
    """End the silences of the alert's topic that are in force; returns how many.

    Raises:
        NoSuchAlert: as it says.
        SilenceRefused: Alertmanager did not end one, so that it stays in force.
    """
    topic = _require(engine, alert_id)
    query = sa.select(silences).where(silences.c.topic == topic, in_force(now))
    with engine.connect() as connection:
        found = connection.execute(query).all()
    for row in found:
        if row.alertmanager_id is not None and delivery.alertmanager_url is not None:
            end_silence(delivery.alertmanager_url, row.alertmanager_id)
    with engine.begin() as connection:
        ended = [row.id for row in found]
        connection.execute(sa.update(silences).where(silences.c.id.in_(ended)).values(until=now))
        detail = {**actor.detail, "topic": topic, "silences": ended}
        put_audit(connection, now, "alert.unsilenced", alert_id, detail)
    return len(found)


def _require(engine: Engine, alert_id: str) -> str:
    """The topic of the alert."""
    history = find_alert(engine, alert_id)
    if history is None:
        raise NoSuchAlert(alert_id)
    return history.alert.topic


def acknowledgements_of(engine: Engine, alert_ids: list[str]) -> dict[str, list[Acknowledgement]]:
    """Acknowledgements by alert, oldest first."""
    found: dict[str, list[Acknowledgement]] = {}
    for row in _rows(engine, acknowledgements, alert_ids):
        entry = Acknowledgement(*row)
        found.setdefault(entry.alert_id, []).append(entry)
    return found


def silences_of(engine: Engine, alert_id: str) -> list[Silence]:
    """Silences made from an alert, oldest first."""
    return [Silence(*row) for row in _rows(engine, silences, [alert_id])]


def silences_in_force(engine: Engine, now: datetime) -> dict[str, datetime]:
    """The silenced topics, and until when."""
    query = (
        sa.select(silences.c.topic, sa.func.max(silences.c.until).label("until"))
        .where(in_force(now))
        .group_by(silences.c.topic)
    )
    with engine.connect() as connection:
        return {row.topic: row.until for row in connection.execute(query)}


def _rows(engine: Engine, table: Table, alert_ids: list[str]) -> Any:
    query = sa.select(table).where(table.c.alert_id.in_(alert_ids)).order_by(table.c.id)
    with engine.connect() as connection:
        return connection.execute(query).all()
