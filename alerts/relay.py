"""From Alertmanager to the outbox: finds the alert that a notice means, with its evidence.

Prometheus knows that a topic spikes; SQL knows why. The two may be seconds apart, so a notice that
SQL does not bear out yet is refused, and Alertmanager posts it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from alerts.alertmanager import Notice, Notification
from alerts.outbox import Message, enqueue
from alerts.records import Alert, Severity
from alerts.settings import DeliverySettings, WebhookTarget
from alerts.store import hold_audit, put_audit
from alerts.tables import alerts, deliveries
from alerts.webhooks import alert_body, body, message_id

WITHOUT_EVIDENCE_AFTER = timedelta(seconds=60)
"""A notice that SQL still knows nothing of is delivered without evidence: better than not."""

FORGET_AFTER = timedelta(hours=24)
"""A resolved notice is dropped when SQL says for so long that the alert fires on."""


class NotYet(Exception):
    """SQL does not bear the notice out yet; it is worth posting it again."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """What became of a notification."""

    queued: int
    waiting: tuple[str, ...]
    """Why some notices have to be posted again; empty when all is done."""


def relay(
    engine: Engine, delivery: DeliverySettings, notification: Notification, now: datetime
) -> Relayed:
    """Put the messages of a notification in the outbox; those there already are left alone.

    When this returns the transaction is committed.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    queued = 0
    waiting: list[str] = []
    with engine.begin() as connection:
        hold_audit(connection)
        for notice in notification.alerts:
            try:
                message = _message(connection, delivery, notification.group_key, notice, now)
            except NotYet as reason:
                waiting.append(str(reason))
                continue
            if message is not None:
                queued += enqueue(connection, delivery.targets, message, now)
    return Relayed(queued, tuple(waiting))


def _message(
    connection: Connection,
    delivery: DeliverySettings,
    group_key: str,
    notice: Notice,
    now: datetime,
) -> Message | None:
    """What to tell of a notice; None when it concerns no topic, or nobody needs to hear it.

    Raises:
        NotYet: SQL is behind.
    """
    topic, severity = notice.labels.get("topic"), notice.labels.get("severity")
    if topic is None or severity not in ("warning", "critical"):
        return None
    key = _key(group_key, notice, notice.status)
    if notice.status == "firing":
        alert = _newest(connection, topic, firing=True)
        payload = _firing_payload(alert, notice, delivery.dashboard_url, now)
    else:
        alert = _told_of(connection, delivery.targets, group_key, notice) or _newest(
            connection, topic, firing=False
        )
        payload = _resolved_payload(connection, alert, notice, delivery.dashboard_url, now)
    if payload is None:
        return None
    return Message(
        key=key,
        alert_id=_stand_in(notice) if alert is None else alert.id,
        topic=topic,
        severity=cast(Severity, severity),
        state=notice.status,
        occurred_at=notice.starts_at if notice.status == "firing" else notice.ends_at,
        payload=payload,
    )


def _firing_payload(
    alert: Alert | None, notice: Notice, dashboard_url: str, now: datetime
) -> str | None:
    severity = notice.labels["severity"]
    if alert is not None and alert.severity == severity:
        return alert_body(alert, dashboard_url)
    if alert is not None and alert.severity == "critical":
        # It has got worse since; the notice of that is on its way.
        return None
    if now - notice.starts_at < WITHOUT_EVIDENCE_AFTER:
        raise NotYet(f"no {severity} alert of {notice.labels['topic']} is stored yet")
    return _bare_body(notice, dashboard_url)


def _resolved_payload(
    connection: Connection,
    alert: Alert | None,
    notice: Notice,
    dashboard_url: str,
    now: datetime,
) -> str | None:
    if alert is None:
        return _bare_body(notice, dashboard_url)
    if alert.severity != notice.labels["severity"]:
        # The severity that was left behind when it got worse; the alert has not ended with it.
        return None
    if alert.state == "resolved":
        return None if _is_told(connection, alert.id) else alert_body(alert, dashboard_url)
    if now - notice.ends_at < FORGET_AFTER:
        # The series may be gone because a worker is: silence is no good news.
        raise NotYet(f"alert {alert.id} still fires by what is stored")
    put_audit(connection, now, "relay.forgotten", alert.id, {"ends_at": str(notice.ends_at)})
    return None


def _key(group_key: str, notice: Notice, status: str) -> tuple[str, ...]:
    return group_key, notice.fingerprint, status, notice.starts_at.isoformat()


def _stand_in(notice: Notice) -> str:
    """The id under which an alert that SQL does not know is delivered."""
    return f"alertmanager:{notice.fingerprint}:{int(notice.starts_at.timestamp())}"


def _newest(connection: Connection, topic: str, *, firing: bool) -> Alert | None:
    query = sa.select(alerts.c.payload).where(alerts.c.topic == topic)
    if firing:
        query = query.where(alerts.c.state == "firing")
    text = connection.scalar(query.order_by(alerts.c.starts_at.desc()).limit(1))
    return None if text is None else Alert.model_validate_json(text)


def _told_of(
    connection: Connection, targets: Sequence[WebhookTarget], group_key: str, notice: Notice
) -> Alert | None:
    """The alert that was delivered when this notice began to fire."""
    began = _key(group_key, notice, "firing")
    text = connection.scalar(
        sa.select(alerts.c.payload)
        .join(deliveries, deliveries.c.alert_id == alerts.c.id)
        .where(deliveries.c.id.in_([message_id(*began, target.name) for target in targets]))
        .limit(1)
    )
    return None if text is None else Alert.model_validate_json(text)


def _is_told(connection: Connection, alert_id: str) -> bool:
    """Whether somebody was told that the alert is over: see ``alerts.overdue``."""
    query = sa.select(deliveries.c.id).where(
        deliveries.c.alert_id == alert_id, deliveries.c.state == "resolved"
    )
    return connection.scalar(query.limit(1)) is not None


def _bare_body(notice: Notice, dashboard_url: str) -> str:
    """A message with what Alertmanager knows, and no evidence."""
    resolved = notice.status == "resolved"
    return body(
        notice.status,
        notice.ends_at if resolved else notice.starts_at,
        {
            "id": _stand_in(notice),
            "topic": notice.labels["topic"],
            "rule": notice.labels.get("alertname", ""),
            "severity": notice.labels["severity"],
            "state": notice.status,
            "starts_at": notice.starts_at.isoformat(),
            "ends_at": notice.ends_at.isoformat() if resolved else None,
            "summary": notice.annotations.get("summary", ""),
            "dashboard_url": dashboard_url,
        },
    )
