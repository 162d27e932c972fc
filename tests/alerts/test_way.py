"""From Alertmanager through the relay in the desk to a receiver, and what the audit says of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
import yaml
from sqlalchemy import Engine
from standardwebhooks import Webhook

from alerts.audit import entries
from alerts.chain import check
from alerts.desk import create_app
from alerts.records import Alert
from alerts.settings import DeliverySettings
from alerts.store import audit_rows, put_alert
from tests.alerts.examples import SECRET, alert, resolved, target
from tests.alerts.test_rules import ALERTMANAGER
from tests.servers import WebhookReceiver, eventually


@contextmanager
def desk(engine: Engine, delivery: DeliverySettings) -> Iterator[str]:
    """The desk as it runs, on a port of its own; its base URL."""
    config = uvicorn.Config(
        create_app(engine, delivery, lambda: True), port=0, log_level="warning", lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def store(engine: Engine, transition: Alert) -> None:
    with engine.begin() as connection:
        put_alert(connection, transition)


def test_a_spike_is_delivered_signed_once_resolves_and_the_audit_verifies(
    any_engine: Engine, alertmanager: Any, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    delivery = DeliverySettings(targets=(there,))
    config = yaml.safe_load((ALERTMANAGER / "alertmanager.yml").read_text())
    hook = config["receivers"][0]["webhook_configs"][0]
    config["route"]["routes"][0].update(group_wait="0s", group_interval="1s")
    start = datetime.now(UTC)
    with desk(any_engine, delivery) as base:
        hook["url"] = base + "/api/v1/alertmanager"
        with alertmanager(yaml.safe_dump(config)) as manager:

            def post(end: datetime) -> None:
                labels = {
                    "alertname": "SentimentSpike",
                    "topic": "class:macro",
                    "severity": "warning",
                    "scope": "topic",
                }
                times = {"startsAt": start.isoformat(), "endsAt": end.isoformat()}
                body = [{"labels": labels, **times}]
                httpx.post(f"{manager}/api/v2/alerts", json=body).raise_for_status()

            # Prometheus is quicker than SQL: the relay refuses, and Alertmanager posts again.
            post(start + timedelta(minutes=5))
            webhook_receiver.statuses[:] = [503]
            store(any_engine, alert())
            webhook_receiver.wait(2)
            store(any_engine, resolved())
            post(datetime.now(UTC))
            webhook_receiver.wait(3)
            eventually(lambda: len(audit_rows(any_engine, alert().id)) == 5)
    requests = webhook_receiver.requests
    said = [Webhook(SECRET).verify(request.body, request.headers) for request in requests]
    assert [message["type"] for message in said] == [
        "alert.firing",
        "alert.firing",
        "alert.resolved",
    ]
    assert requests[0].headers["webhook-id"] == requests[1].headers["webhook-id"]
    assert len({request.headers["webhook-id"] for request in requests}) == 2
    assert len(said[0]["data"]["evidence"]) == 2
    kinds = sorted(row.kind for row in audit_rows(any_engine, alert().id))
    assert kinds == [
        "alert.firing",
        "alert.resolved",
        "delivery.delivered",
        "delivery.delivered",
        "delivery.failed",
    ]
    found = check(entries(any_engine))
    assert (found.rows, found.fault) == (5, None)
    assert json.loads(requests[0].body) == said[0]
