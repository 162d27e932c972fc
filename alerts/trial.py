"""A message of no alert, to see whether a target takes what it is sent."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta

import httpx

from alerts.outbox import send
from alerts.records import Alert, AlertWindow, Evidence, Expectation, ModelName
from alerts.settings import WebhookTarget
from alerts.store import Delivery
from alerts.webhooks import alert_body

KIND = "test"
"""The ``type`` of the message, where the target's format has one."""

SUMMARY = "A test message of Barograph, sent by hand. Nothing has happened."


def trial_message(target: WebhookTarget, dashboard_url: str, now: datetime) -> Delivery:
    """What is sent: the form of an alert that is over, so that nothing is opened for it."""
    story = Evidence(
        id="test",
        text="The stories of an alert stand here",
        url=None,
        source="barograph",
        time=now,
        negative=0.0,
    )
    alert = Alert(
        id="test",
        topic="watch:test",
        rule="test",
        severity="warning",
        state="resolved",
        starts_at=now - timedelta(hours=1),
        detected_at=now,
        ends_at=now,
        window=AlertWindow(
            start=now - timedelta(hours=1),
            end=now,
            documents=0,
            stories=0,
            negative_stories=0,
            sources=0,
            mean_sentiment=0.0,
        ),
        baseline=Expectation(negative_stories=0.0, low=0.0, high=0.0, hours_learned=0),
        surprise={},
        evidence=(story,),
        model=ModelName(name="test", version="0"),
        config_version="test",
    )
    message = json.loads(alert_body(alert, dashboard_url))
    message["type"] = KIND
    message["data"] |= {"summary": SUMMARY, "dashboard_url": dashboard_url}
    return Delivery(
        id=f"msg_test_{secrets.token_hex(12)}",
        alert_id=alert.id,
        state=alert.state,
        target=target.name,
        occurred_at=now,
        payload=json.dumps(message, ensure_ascii=False, separators=(",", ":")),
        status="pending",
        attempts=1,
        next_attempt_at=now,
        last_error=None,
        delivered_at=None,
    )


def try_target(
    target: WebhookTarget, dashboard_url: str, client: httpx.Client, now: datetime
) -> tuple[bool, str]:
    """Send a target a test message, once; nothing is stored.

    Returns:
        Whether it was taken, and what was answered or went wrong.
    """
    message = trial_message(target, dashboard_url, now)
    status, error, _ = send(target, message, client, now)
    taken = status is not None and 200 <= status < 300
    return taken, error or f"HTTP {status}"
