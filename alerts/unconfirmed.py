"""Preliminary alerts on their way to receivers: rows of the outbox and of the audit, nothing else.

They are no transitions, so no table of alerts holds them. The audit tells what has come before.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from alerts.outbox import enqueue, told_as, transition_message
from alerts.records import Alert
from alerts.settings import DeliverySettings
from alerts.silences import SILENCED, is_silenced
from alerts.store import hold_audit, put_audit
from alerts.tables import alerts, audit, deliveries

WORTH_TELLING = timedelta(minutes=5)
"""After so long it has been decided whether it is borne out, or will be any moment."""


def tell_preliminary(
    connection: Connection,
    delivery: DeliverySettings,
    alert: Alert,
    published_at: datetime,
    now: datetime,
) -> None:
    """Put a preliminary record in the outbox, once.

    What withdraws one goes to those who were told of it, whatever the settings say by now, so that
    nobody is left with an open incident.

    Args:
        connection: in a transaction.
        delivery: the settings.
        alert: the record; ``preliminary`` is set.
        published_at: when it was put on Kafka.
        now: the wall clock.
    """
    hold_audit(connection)
    told = told_as(alert)
    kind = f"alert.{told}"
    known = sa.exists().where(audit.c.subject == alert.id, audit.c.kind == kind)
    if connection.scalar(sa.select(known)):
        return
    targets = delivery.targets
    if told == "withdrawn":
        names = set(
            connection.scalars(
                sa.select(deliveries.c.target).where(deliveries.c.alert_id == alert.id)
            )
        )
        targets = tuple(target for target in targets if target.name in names)
        if not names:
            return
    elif not _wanted(delivery) or _has_begun(connection, alert.id):
        return
    put_audit(
        connection,
        now,
        kind,
        alert.id,
        {"topic": alert.topic, "severity": alert.severity, "summary": alert.summary},
    )
    if told == "preliminary":
        if now - published_at > WORTH_TELLING:
            put_audit(connection, now, "delivery.skipped", alert.id, {"state": told})
            return
        if is_silenced(connection, alert.topic, now):
            put_audit(connection, now, SILENCED, alert.id, {"state": told})
            return
    enqueue(connection, targets, transition_message(alert, delivery.dashboard_url), now)


def _wanted(delivery: DeliverySettings) -> bool:
    return delivery.mode == "direct" and delivery.preliminary


def _has_begun(connection: Connection, alert_id: str) -> bool:
    """Whether there is a transition already: then what preceded it is no news."""
    return bool(connection.scalar(sa.select(sa.exists().where(alerts.c.id == alert_id))))
