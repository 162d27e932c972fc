"""The outbox: messages wait in SQL beside the alerts they tell of, and are sent until taken.

Sending is at least once; ``webhook-id`` lets a receiver drop what comes twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import httpx
import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy import ColumnElement, Connection, Engine

from alerts.addresses import RefusedAddress, resolve
from alerts.formats import render
from alerts.records import Alert, Severity
from alerts.settings import WebhookTarget
from alerts.store import Delivery, hold_audit, insert, put_audit
from alerts.tables import deliveries, disabled_targets, standing
from alerts.transitions import changed_at
from alerts.webhooks import alert_body, message_id, next_attempt, retry_after, signed_headers

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
LEASE = timedelta(seconds=60)
"""A row in the hands of a process that died is taken up again after this."""

PASS = 32
"""Most attempts a target gets in one pass."""

DELIVERIES = Counter(
    "barograph_deliveries_total", "Attempts to deliver a webhook.", ["target", "outcome"]
)


Told = Literal["preliminary", "withdrawn", "firing", "resolved"]
"""What a message says of an alert; the first two come before there is a transition."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told, before it is known to whom.

    ``key`` names the event: the same key makes the same webhook-id, and is stored once.
    """

    key: tuple[str, ...]
    alert_id: str
    topic: str
    severity: Severity
    state: Told
    occurred_at: datetime
    payload: str


def transition_message(alert: Alert, dashboard_url: str) -> Message:
    """The message that tells of one transition of an alert, or of a preliminary one."""
    at = changed_at(alert)
    state = told_as(alert)
    # Of a preliminary alert there is one message of each kind; when it comes to be withdrawn may
    # differ after a crash.
    known_by = (alert.id, state) if alert.preliminary else (alert.id, state, at.isoformat())
    return Message(
        key=known_by,
        alert_id=alert.id,
        topic=alert.topic,
        severity=alert.severity,
        state=state,
        occurred_at=at,
        payload=alert_body(alert, dashboard_url),
    )


def told_as(alert: Alert) -> Told:
    """What a message of this record says."""
    if not alert.preliminary:
        return alert.state
    return "preliminary" if alert.state == "firing" else "withdrawn"


def enqueue(
    connection: Connection, targets: Iterable[WebhookTarget], message: Message, now: datetime
) -> int:
    """Put a message in the outbox for each target that wants it.

    Returns:
        How many rows are new; a message known already adds none.
    """
    added = 0
    for target in targets:
        if not wants(target, message):
            continue
        statement = insert(connection, deliveries).values(
            id=message_id(*message.key, target.name),
            alert_id=message.alert_id,
            state=message.state,
            target=target.name,
            occurred_at=message.occurred_at,
            payload=message.payload,
            status="pending",
            attempts=0,
            next_attempt_at=now,
        )
        row = connection.execute(
            statement.on_conflict_do_nothing().returning(deliveries.c.id)
        ).first()
        added += row is not None
    return added


def wants(target: WebhookTarget, message: Message) -> bool:
    """Whether a target is to hear of this topic at this severity."""
    return (not target.topics or message.topic in target.topics) and (
        message.severity == "critical" or target.min_severity == "warning"
    )


def open_client() -> httpx.Client:
    """The client to deliver with: no redirects, no proxy from the environment."""
    return httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False)


def deliver_due(
    engine: Engine, targets: Sequence[WebhookTarget], client: httpx.Client, now: datetime
) -> int:
    """Send what is due at ``now``; a target that fails gets no more in this pass.

    Returns:
        How many attempts were made.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    attempts = 0
    for target in targets:
        for _ in range(PASS):
            taken = deliver_next(engine, target, client, now)
            attempts += taken is not None
            if not taken:
                break
    return attempts


def deliver_next(
    engine: Engine, target: WebhookTarget, client: httpx.Client, now: datetime
) -> bool | None:
    """Send a target the next message that is due.

    Of one alert a target gets the messages in their order: a resolved one waits until the firing
    one was taken or given up, and that until the preliminary one was.

    Returns:
        Whether it was taken; None when nothing is due.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    if _disabled(engine, target):
        _bury(engine, target, now, "the target is disabled: it has answered 410")
        return None
    delivery = _claim(engine, target, now)
    return None if delivery is None else _attempt(engine, target, delivery, client, now)


def bury_strangers(engine: Engine, targets: Sequence[WebhookTarget], now: datetime) -> None:
    """Give up what waits for targets that the settings no longer name."""
    with engine.begin() as connection:
        names = [target.name for target in targets]
        _give_up(
            connection,
            deliveries.c.target.not_in(names),
            now,
            "the target is no longer in the settings",
        )


def _claim(engine: Engine, target: WebhookTarget, now: datetime) -> Delivery | None:
    """Take the next due row, so that no other process sends it meanwhile."""
    earlier = deliveries.alias()
    place = standing(deliveries.c.state)
    blocked = sa.exists().where(
        earlier.c.status == "pending",
        earlier.c.target == deliveries.c.target,
        earlier.c.alert_id == deliveries.c.alert_id,
        sa.or_(
            standing(earlier.c.state) < place,
            sa.and_(
                standing(earlier.c.state) == place,
                earlier.c.occurred_at < deliveries.c.occurred_at,
            ),
        ),
    )
    due = (
        sa.select(deliveries)
        .where(
            deliveries.c.status == "pending",
            deliveries.c.target == target.name,
            deliveries.c.next_attempt_at <= now,
            sa.not_(blocked),
        )
        .order_by(deliveries.c.next_attempt_at, deliveries.c.id)
        .limit(1)
    )
    while True:
        with engine.begin() as connection:
            row = connection.execute(due).first()
            if row is None:
                return None
            taken = connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.id == row.id,
                    deliveries.c.status == "pending",
                    deliveries.c.next_attempt_at == row.next_attempt_at,
                )
                .values(attempts=row.attempts + 1, next_attempt_at=now + LEASE)
            )
            if taken.rowcount == 1:
                return Delivery(**{**row._mapping, "attempts": row.attempts + 1})


def _attempt(
    engine: Engine, target: WebhookTarget, delivery: Delivery, client: httpx.Client, now: datetime
) -> bool:
    """Send once and write down how it went; whether it was taken."""
    status, error, wait = send(target, delivery, client, now)
    if status is not None and 200 <= status < 300:
        _settle(engine, delivery, now, "delivered", now, None, status)
        return True
    if status == 410:
        _settle(engine, delivery, now, "dead", now, error, status)
        with engine.begin() as connection:
            hold_audit(connection)
            row = insert(connection, disabled_targets).values(
                name=target.name, url=target.url, at=now
            )
            connection.execute(row.on_conflict_do_nothing())
            # The host alone: the address of a chat's webhook is a secret.
            detail = {"host": httpx.URL(target.url).host}
            put_audit(connection, now, "target.disabled", target.name, detail)
        return False
    again = next_attempt(delivery.attempts, now, wait)
    if again is None:
        _settle(engine, delivery, now, "dead", now, error, status)
    else:
        _settle(engine, delivery, now, "pending", again, error, status)
    return False


def send(
    target: WebhookTarget, delivery: Delivery, client: httpx.Client, now: datetime
) -> tuple[int | None, str | None, timedelta | None]:
    """Post a message once, signed and in the target's format.

    Returns:
        The status answered, or None; what went wrong, if anything; the wait asked for.
    """
    content = render(target.format, delivery.payload).encode()
    headers = signed_headers(delivery.id, now, content, target.secrets, target.signature)
    try:
        url = httpx.URL(target.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        address = resolve(url.host, port, internal=target.internal)
        # The request goes to the address that was checked; the certificate is that of the name.
        with client.stream(
            "POST",
            url.copy_with(host=address),
            content=content,
            headers={"host": url.netloc.decode(), **headers},
            extensions={"sni_hostname": url.host},
        ) as response:
            status = response.status_code
            wait = retry_after(response.headers.get("retry-after"), now)
    except RefusedAddress as error:
        return None, str(error), None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return None, f"{type(error).__name__}: {error}", None
    if 300 <= status < 400:
        return status, f"HTTP {status}: redirects are not followed", wait
    return status, f"HTTP {status}", wait


def _settle(
    engine: Engine,
    delivery: Delivery,
    now: datetime,
    status: str,
    next_attempt_at: datetime,
    error: str | None,
    answer: int | None,
) -> None:
    outcome = "failed" if status == "pending" else status
    with engine.begin() as connection:
        hold_audit(connection)
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery.id)
            .values(
                status=status,
                next_attempt_at=next_attempt_at,
                last_error=error,
                delivered_at=now if status == "delivered" else None,
            )
        )
        detail = {
            "delivery": delivery.id,
            "state": delivery.state,
            "target": delivery.target,
            "attempt": delivery.attempts,
            "answer": answer,
            "error": error,
        }
        put_audit(connection, now, f"delivery.{outcome}", delivery.alert_id, detail)
    DELIVERIES.labels(delivery.target, outcome).inc()


def _disabled(engine: Engine, target: WebhookTarget) -> bool:
    query = sa.select(disabled_targets.c.at).where(
        disabled_targets.c.name == target.name, disabled_targets.c.url == target.url
    )
    with engine.connect() as connection:
        return connection.scalar(query) is not None


def _bury(engine: Engine, target: WebhookTarget, now: datetime, reason: str) -> None:
    with engine.begin() as connection:
        _give_up(connection, deliveries.c.target == target.name, now, reason)


def _give_up(
    connection: Connection, which: ColumnElement[bool], now: datetime, reason: str
) -> None:
    hold_audit(connection)
    rows = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.status == "pending", which)
        .values(status="dead", last_error=reason)
        .returning(deliveries.c.id, deliveries.c.alert_id, deliveries.c.target)
    ).all()
    for row in rows:
        detail = {"delivery": row.id, "target": row.target, "error": reason}
        put_audit(connection, now, "delivery.dead", row.alert_id, detail)
        DELIVERIES.labels(row.target, "dead").inc()
