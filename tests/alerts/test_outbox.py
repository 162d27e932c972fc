from __future__ import annotations

import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, Row
from standardwebhooks import Webhook

from alerts.courier import Courier
from alerts.outbox import (
    LEASE,
    bury_strangers,
    deliver_due,
    enqueue,
    open_client,
    transition_message,
)
from alerts.records import Alert
from alerts.settings import WebhookTarget
from alerts.store import audit_rows
from alerts.tables import deliveries
from alerts.webhooks import RETRIES
from tests.alerts.examples import NOON, OTHER_SECRET, SECRET, alert, resolved, target, worse
from tests.servers import WebhookReceiver, eventually

NEVER = timedelta(days=10)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with open_client() as client:
        yield client


def put(engine: Engine, targets: list[WebhookTarget], *transitions: Alert) -> int:
    with engine.begin() as connection:
        return sum(
            enqueue(connection, targets, transition_message(each, "http://desk.example"), NOON)
            for each in transitions
        )


def rows(engine: Engine) -> list[Row[Any]]:
    with engine.connect() as connection:
        query = sa.select(deliveries).order_by(deliveries.c.occurred_at, deliveries.c.target)
        return list(connection.execute(query))


def states(engine: Engine) -> list[tuple[str, str]]:
    return [(row.state, row.status) for row in rows(engine)]


def said(receiver: WebhookReceiver) -> list[str]:
    return [json.loads(request.body)["type"] for request in receiver.requests]


def test_a_message_is_signed_and_delivered_once(
    any_engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url + "hook?x=1", previous_secret=OTHER_SECRET)
    assert put(any_engine, [there], alert()) == 1
    assert put(any_engine, [there], alert()) == 0
    now = datetime.now(UTC)
    assert deliver_due(any_engine, [there], client, now) == 1
    assert deliver_due(any_engine, [there], client, now + NEVER) == 0
    (request,) = webhook_receiver.requests
    assert (request.method, request.path) == ("POST", "/hook?x=1")
    for secret in (SECRET, OTHER_SECRET):
        verified = Webhook(secret).verify(request.body, request.headers)
        assert verified["data"]["id"] == alert().id
    (row,) = rows(any_engine)
    assert request.headers["webhook-id"] == row.id
    assert (row.status, row.attempts, row.last_error) == ("delivered", 1, None)
    assert abs(row.delivered_at - now) < timedelta(milliseconds=1)
    (audited,) = audit_rows(any_engine, alert().id)
    assert audited.kind == "delivery.delivered"
    assert audited.detail["answer"] == 200


@pytest.mark.parametrize("form", ["standard", "json", "slack", "teams"])
def test_each_target_gets_its_format(
    engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver, form: str
) -> None:
    chat = form in ("slack", "teams")
    there = target(webhook_receiver.url, format=form, secret=None if chat else SECRET)
    put(engine, [there], alert())
    assert deliver_due(engine, [there], client, datetime.now(UTC)) == 1
    (request,) = webhook_receiver.requests
    body = json.loads(request.body)
    if not chat:
        assert Webhook(SECRET).verify(request.body, request.headers) == body
    if form == "standard":
        assert body["data"]["id"] == alert().id
    elif form == "json":
        assert (body["type"], body["id"]) == ("alert.firing", alert().id)
    elif form == "slack":
        assert next(block["type"] for block in body["blocks"]) == "header"
    else:
        assert body["attachments"][0]["content"]["type"] == "AdaptiveCard"
    assert request.headers["webhook-id"] == rows(engine)[0].id
    assert ("webhook-signature" in request.headers) is not chat


def test_a_receiver_may_want_the_signature_of_github(
    engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    secret = "It's a Secret to Everybody"
    there = target(webhook_receiver.url, secret=secret, signature="github")
    put(engine, [there], alert())
    deliver_due(engine, [there], client, NOON)
    (request,) = webhook_receiver.requests
    digest = hmac.new(secret.encode(), request.body, "sha256").hexdigest()
    assert request.headers["x-hub-signature-256"] == f"sha256={digest}"


def test_resolved_waits_for_firing(
    any_engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    put(any_engine, [there], resolved(severity="critical"), worse(), alert())
    webhook_receiver.statuses[:] = [500]
    assert deliver_due(any_engine, [there], client, NOON) == 1
    assert deliver_due(any_engine, [there], client, NOON + timedelta(seconds=1)) == 0
    assert states(any_engine) == [
        ("firing", "pending"),
        ("firing", "pending"),
        ("resolved", "pending"),
    ]
    assert deliver_due(any_engine, [there], client, NOON + timedelta(minutes=1)) == 3
    assert said(webhook_receiver) == ["alert.firing", *["alert.firing"] * 2, "alert.resolved"]
    severities = [json.loads(r.body)["data"]["severity"] for r in webhook_receiver.requests]
    assert severities == ["warning", "warning", "critical", "critical"]
    first, second = webhook_receiver.requests[:2]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_a_redirect_is_a_failure(
    engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    webhook_receiver.status = 302
    webhook_receiver.location = webhook_receiver.url + "elsewhere"
    put(engine, [there], alert())
    deliver_due(engine, [there], client, NOON)
    assert [request.path for request in webhook_receiver.requests] == ["/"]
    (row,) = rows(engine)
    assert (row.status, row.last_error) == ("pending", "HTTP 302: redirects are not followed")


def test_gone_disables_the_target_until_it_moves(
    any_engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    webhook_receiver.statuses[:] = [410]
    put(any_engine, [there], alert(), alert(id="other"))
    deliver_due(any_engine, [there], client, NOON)
    assert deliver_due(any_engine, [there], client, NOON) == 0
    assert {row.status for row in rows(any_engine)} == {"dead"}
    assert [row.kind for row in audit_rows(any_engine, "risk")] == ["target.disabled"]
    moved = target(webhook_receiver.url + "new")
    put(any_engine, [moved], resolved())
    assert deliver_due(any_engine, [moved], client, NOON) == 1
    assert len(webhook_receiver.requests) == 2


def test_attempts_back_off_and_end(
    engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    webhook_receiver.status = 503
    put(engine, [there], alert())
    now = NOON
    for wait in RETRIES:
        assert deliver_due(engine, [there], client, now) == 1
        assert deliver_due(engine, [there], client, now + wait * 0.99) == 0
        now += wait * 1.21
    assert deliver_due(engine, [there], client, now) == 1
    (row,) = rows(engine)
    assert (row.status, row.attempts, row.last_error) == ("dead", len(RETRIES) + 1, "HTTP 503")
    kinds = [row.kind for row in audit_rows(engine, alert().id)]
    assert kinds == ["delivery.failed"] * len(RETRIES) + ["delivery.dead"]


def test_the_receiver_may_ask_to_wait(engine: Engine, client: httpx.Client) -> None:
    class Busy(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(429)
            self.send_header("retry-after", "300")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        there = target(f"http://127.0.0.1:{server.server_port}/")
        put(engine, [there], alert())
        deliver_due(engine, [there], client, NOON)
        thread.join()
    (row,) = rows(engine)
    assert row.next_attempt_at == NOON + timedelta(minutes=5)


def test_a_private_address_is_not_sent_to(
    engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url, internal=False)
    put(engine, [there], alert())
    deliver_due(engine, [there], client, NOON)
    assert webhook_receiver.requests == []
    (row,) = rows(engine)
    assert row.status == "pending"
    assert "not a public address" in row.last_error


def test_a_name_is_sent_along_though_its_address_is_used(
    engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url.replace("127.0.0.1", "localhost"))
    put(engine, [there], alert())
    assert deliver_due(engine, [there], client, NOON) == 1
    assert webhook_receiver.requests[0].headers["host"].startswith("localhost:")


def test_a_receiver_that_is_not_there_is_tried_again(engine: Engine, client: httpx.Client) -> None:
    there = target("http://127.0.0.1:1/")
    put(engine, [there], alert(), alert(id="other"))
    # The rest of a failing target's messages wait for the next pass.
    assert deliver_due(engine, [there], client, NOON) == 1
    assert any("ConnectError" in (row.last_error or "") for row in rows(engine))


@pytest.mark.parametrize("url", ["http://[::1", "http://user@:99999/", "https://"])
def test_an_address_that_cannot_be_read_is_an_error_of_its_own(
    engine: Engine, client: httpx.Client, url: str
) -> None:
    there = target(url)
    put(engine, [there], alert())
    deliver_due(engine, [there], client, NOON)
    (row,) = rows(engine)
    assert row.status == "pending"
    assert row.last_error


def test_what_a_dead_process_held_is_taken_up_again(
    engine: Engine, client: httpx.Client, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    put(engine, [there], alert())
    with engine.begin() as connection:
        connection.execute(sa.update(deliveries).values(next_attempt_at=NOON + LEASE))
    assert deliver_due(engine, [there], client, NOON) == 0
    assert deliver_due(engine, [there], client, NOON + LEASE) == 1


def test_a_target_hears_of_its_topics_and_severities(engine: Engine) -> None:
    targets = [
        target(name="all"),
        target(name="macro", topics=("class:macro",)),
        target(name="other", topics=("watch:x",)),
        target(name="grave", min_severity="critical"),
    ]
    put(engine, targets, alert())
    assert [row.target for row in rows(engine)] == ["all", "macro"]
    put(engine, targets, alert(id="b", severity="critical"))
    assert sorted(row.target for row in rows(engine)) == ["all", "all", "grave", "macro", "macro"]


def test_a_target_no_longer_known_is_given_up(engine: Engine) -> None:
    put(engine, [target(name="gone"), target()], alert())
    bury_strangers(engine, [target()], NOON)
    assert {row.target: row.status for row in rows(engine)} == {"gone": "dead", "risk": "pending"}


def test_the_courier_delivers_and_a_slow_target_holds_up_no_other(
    engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    from tests.servers import webhook_receiver as another

    with another() as slow:
        slow.hold.clear()
        targets = [target(slow.url, name="slow"), target(webhook_receiver.url, name="quick")]
        courier = Courier(engine, targets)
        courier.start()
        put(engine, targets, alert(), resolved())
        courier.wake()
        webhook_receiver.wait(2)
        assert said(webhook_receiver) == ["alert.firing", "alert.resolved"]
        slow.hold.set()
        slow.wait(2)
        eventually(lambda: {row.status for row in rows(engine)} == {"delivered"})
        courier.stop()
