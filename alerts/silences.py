"""Silences: a topic whose spikes are not told of for a while.

Alertmanager keeps them where it sends the alerts; the direct path looks here.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

import httpx
import sqlalchemy as sa
from sqlalchemy import Connection

from alerts.records import Alert
from alerts.tables import audit, deliveries, silences

TIMEOUT = httpx.Timeout(5.0)
ALERTNAME = "SentimentSpike"
"""What ``deploy/prometheus/rules.yml`` calls a spike."""

SILENCED = "delivery.silenced"
"""Audit row of a transition that a silence kept back."""


class SilenceRefused(Exception):
    """Alertmanager did not take the silence; the message says why."""


def post_silence(
    url: str, topic: str, starts_at: datetime, ends_at: datetime, by: str, comment: str
) -> str:
    """Silence a topic's spikes in Alertmanager; returns the silence's id.

    Raises:
        SilenceRefused: it cannot be reached, or answers anything but an id.
    """
    matchers = {"alertname": ALERTNAME, "topic": topic}
    silence = {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in matchers.items()
        ],
        "startsAt": starts_at.isoformat(),
        "endsAt": ends_at.isoformat(),
        "createdBy": by,
        "comment": comment,
    }
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            answer = client.post(f"{url.rstrip('/')}/api/v2/silences", json=silence)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # The address may hold a password, so it is not repeated.
        raise SilenceRefused(f"Alertmanager cannot be reached ({type(error).__name__})") from None
    try:
        return str(answer.raise_for_status().json()["silenceID"])
    except (httpx.HTTPStatusError, ValueError, KeyError, TypeError):
        raise SilenceRefused(f"Alertmanager answered {answer.status_code}") from None


def end_silence(url: str, identity: str) -> None:
    """End a silence in Alertmanager; one that is over or unknown there is no fault.

    Raises:
        SilenceRefused: it cannot be reached, or refuses.
    """
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            answer = client.delete(f"{url.rstrip('/')}/api/v2/silence/{quote(identity, safe='')}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SilenceRefused(f"Alertmanager cannot be reached ({type(error).__name__})") from None
    if not answer.is_success and answer.status_code != 404:
        raise SilenceRefused(f"Alertmanager answered {answer.status_code}")


def in_force(now: datetime) -> sa.ColumnElement[bool]:
    """That a silence has begun, is not over, and was taken by whoever decides."""
    return sa.and_(silences.c.at <= now, silences.c.until > now, silences.c.error.is_(None))


def is_silenced(connection: Connection, topic: str, now: datetime) -> bool:
    """Whether a silence of the topic is in force."""
    query = sa.select(silences.c.id).where(silences.c.topic == topic, in_force(now))
    return connection.scalar(query.limit(1)) is not None


def keeps_back(connection: Connection, alert: Alert, now: datetime) -> bool:
    """Whether a transition is not to be delivered.

    A firing one is kept back while its topic is silenced; the resolved one of an alert nobody was
    told of is kept back too.
    """
    if alert.state == "firing":
        return is_silenced(connection, alert.topic, now)
    kept = sa.exists().where(audit.c.subject == alert.id, audit.c.kind == SILENCED)
    told = sa.exists().where(deliveries.c.alert_id == alert.id)
    return bool(connection.scalar(sa.select(sa.and_(kept, sa.not_(told)))))
