"""Dead deliveries that a person sends again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.outbox import deliver_due, enqueue, open_client, transition_message
from alerts.records import Alert
from alerts.redelivery import Retry, retry
from alerts.settings import WebhookTarget
from alerts.store import Delivery, audit_rows, list_deliveries
from alerts.tables import deliveries
from tests.alerts.examples import NOON, alert, resolved, target
from tests.servers import WebhookReceiver

LATER = NOON + timedelta(days=3)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with open_client() as client:
        yield client


def put(engine: Engine, there: WebhookTarget, *transitions: Alert) -> None:
    with engine.begin() as connection:
        for each in transitions:
            enqueue(connection, [there], transition_message(each, "http://desk.example"), NOON)


def kill(engine: Engine, state: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.state == state)
            .values(status="dead", attempts=11, last_error="HTTP 500")
        )


def one(engine: Engine, state: str) -> Delivery:
    (found,) = [row for row in list_deliveries(engine) if row.state == state]
    return found


def again(engine: Engine, there: WebhookTarget, *ids: str, **options: Any) -> list[Retry]:
    with engine.begin() as connection:
        return retry(connection, [there], ids, LATER, "someone", **options)


def test_a_dead_delivery_is_sent_again_with_all_its_attempts(
    any_engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    put(any_engine, there, alert())
    kill(any_engine, "firing")
    dead = one(any_engine, "firing")
    assert deliver_due(any_engine, [there], client, LATER) == 0
    assert again(any_engine, there, dead.id, dead.id) == [Retry(dead.id)]
    webhook_receiver.statuses[:] = [503]
    assert deliver_due(any_engine, [there], client, LATER) == 1
    assert one(any_engine, "firing").status == "pending"
    assert deliver_due(any_engine, [there], client, LATER + timedelta(minutes=1)) == 1
    assert one(any_engine, "firing").status == "delivered"
    assert {r.headers["webhook-id"] for r in webhook_receiver.requests} == {dead.id}
    rows = audit_rows(any_engine, alert().id)
    assert [row.kind for row in rows] == [
        "delivery.retried",
        "delivery.failed",
        "delivery.delivered",
    ]
    assert rows[0].detail == {
        "delivery": dead.id,
        "target": "risk",
        "attempts": 11,
        "by": "someone",
    }
    assert rows[2].detail["attempt"] == 2


def test_firing_still_comes_before_resolved(
    engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    put(engine, there, alert(), resolved())
    kill(engine, "firing")
    kill(engine, "resolved")
    firing, over = one(engine, "firing"), one(engine, "resolved")
    again(engine, there, over.id, firing.id)
    assert deliver_due(engine, [there], client, LATER) == 2
    sent = [request.headers["webhook-id"] for request in webhook_receiver.requests]
    assert sent == [firing.id, over.id]


def test_what_the_receiver_knows_better_by_now_is_sent_only_by_force(engine: Engine) -> None:
    there = target()
    put(engine, there, alert(), resolved())
    kill(engine, "firing")
    with engine.begin() as connection:
        connection.execute(
            sa.update(deliveries).where(deliveries.c.state == "resolved").values(status="delivered")
        )
    dead = one(engine, "firing").id
    assert again(engine, there, dead) == [
        Retry(dead, "risk has been told a later state of the alert")
    ]
    assert again(engine, there, dead, force=True) == [Retry(dead)]


def test_a_disabled_target_has_to_be_enabled(
    any_engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    put(any_engine, there, alert())
    webhook_receiver.statuses[:] = [410]
    deliver_due(any_engine, [there], client, NOON)
    dead = one(any_engine, "firing").id
    assert again(any_engine, there, dead) == [Retry(dead, "risk is disabled: it has answered 410")]
    assert again(any_engine, there, dead, enable=True) == [Retry(dead)]
    assert deliver_due(any_engine, [there], client, LATER) == 1
    assert one(any_engine, "firing").status == "delivered"
    kinds = [row.kind for row in audit_rows(any_engine, "risk")]
    assert kinds == ["target.disabled", "target.enabled"]


def test_nothing_else_is_sent_again(engine: Engine) -> None:
    put(engine, target(), alert())
    waiting = one(engine, "firing").id
    assert again(engine, target(), waiting, "msg_none") == [
        Retry(waiting, "it is pending, not dead"),
        Retry("msg_none", "there is no such delivery"),
    ]
    kill(engine, "firing")
    assert again(engine, target(name="other"), waiting) == [
        Retry(waiting, "the settings name no target risk")
    ]
    assert audit_rows(engine, alert().id) == []


def test_deliveries_are_listed_newest_first(engine: Engine) -> None:
    put(engine, target(), alert(), resolved())
    put(engine, target(name="chat"), alert())
    kill(engine, "firing")
    assert [row.state for row in list_deliveries(engine)] == ["resolved", "firing", "firing"]
    assert [row.target for row in list_deliveries(engine, status="dead", target="chat")] == ["chat"]
    assert len(list_deliveries(engine, limit=1)) == 1
