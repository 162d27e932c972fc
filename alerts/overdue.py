"""Tells that an alert is over where Alertmanager does not.

What resolves while it is inhibited or silenced, Alertmanager does not report as resolved, though it
did report that it fires (tried with 0.25): the receivers would take it to fire for ever.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.outbox import enqueue, transition_message
from alerts.records import Alert
from alerts.settings import DeliverySettings
from alerts.store import hold_audit, put_audit
from alerts.tables import alerts, deliveries

OVERDUE_AFTER = timedelta(minutes=15)
"""Longer than the rules keep an alert firing: so long Alertmanager may take to tell it itself."""

FORGOTTEN_AFTER = timedelta(days=7)
"""What ended longer ago is told no more, such as after the change to a new database."""


def tell_overdue(engine: Engine, delivery: DeliverySettings, now: datetime) -> int:
    """Put in the outbox what is over, for the targets that were told that it fires and no more.

    Returns:
        How many messages are new.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    over = deliveries.alias()
    told = sa.exists().where(
        over.c.alert_id == deliveries.c.alert_id,
        over.c.target == deliveries.c.target,
        over.c.state == "resolved",
    )
    query = (
        sa.select(alerts.c.payload, deliveries.c.target)
        .join(deliveries, deliveries.c.alert_id == alerts.c.id)
        .where(
            alerts.c.state == "resolved",
            alerts.c.changed_at > now - FORGOTTEN_AFTER,
            alerts.c.changed_at <= now - OVERDUE_AFTER,
            deliveries.c.state == "firing",
            sa.not_(told),
        )
        .distinct()
    )
    targets = {target.name: target for target in delivery.targets}
    with engine.connect() as connection:
        if connection.execute(query).first() is None:
            return 0
    added = 0
    with engine.begin() as connection:
        hold_audit(connection)
        for row in connection.execute(query).all():
            if (target := targets.get(row.target)) is None:
                continue
            alert = Alert.model_validate_json(row.payload)
            message = transition_message(alert, delivery.dashboard_url)
            if enqueue(connection, [target], message, now):
                added += 1
                put_audit(connection, now, "relay.overdue", alert.id, {"target": row.target})
    return added
