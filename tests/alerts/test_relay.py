from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.alertmanager import Notification
from alerts.records import Alert
from alerts.relay import FORGET_AFTER, WITHOUT_EVIDENCE_AFTER, Relayed, relay
from alerts.settings import DeliverySettings
from alerts.store import audit_rows, put_alert
from alerts.tables import deliveries
from tests.alerts.examples import NOON, alert, resolved, target, worse

DELIVERY = DeliverySettings(targets=(target(),))
SECOND = timedelta(seconds=1)
END = NOON + timedelta(hours=1)


def notice(status: str = "firing", severity: str = "warning", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "status": status,
        "labels": {"alertname": "SentimentSpike", "topic": "class:macro", "severity": severity},
        "annotations": {"summary": "macro is abnormally negative"},
        "startsAt": "2025-03-04T12:00:00.123456789Z",
        "endsAt": END.isoformat() if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example",
        "fingerprint": f"f-{severity}",
    }
    return {**values, **changes}


def post(engine: Engine, *notices: dict[str, Any], now: datetime = NOON + 2 * SECOND) -> Relayed:
    payload = {
        "version": "4",
        "groupKey": '{}:{topic="class:macro"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "barograph-relay",
        "groupLabels": {"topic": "class:macro"},
        "alerts": notices,
        "added-by-a-newer-version": True,
    }
    return relay(engine, DELIVERY, Notification.model_validate(payload), now)


def store(engine: Engine, *transitions: Alert) -> None:
    with engine.begin() as connection:
        for each in transitions:
            put_alert(connection, each)


def messages(engine: Engine) -> list[dict[str, Any]]:
    query = sa.select(deliveries.c.payload).order_by(deliveries.c.occurred_at)
    with engine.connect() as connection:
        return [json.loads(text) for text in connection.scalars(query)]


def test_a_notice_is_joined_with_its_evidence_once(any_engine: Engine) -> None:
    store(any_engine, alert(id="old", starts_at=NOON - 9 * SECOND, state="resolved"), alert())
    assert post(any_engine, notice()) == Relayed(1, ())
    assert post(any_engine, notice()) == Relayed(0, ())
    (message,) = messages(any_engine)
    assert message["type"] == "alert.firing"
    assert message["data"]["id"] == alert().id
    assert len(message["data"]["evidence"]) == 2


def test_firing_and_resolved_tell_of_the_same_alert(any_engine: Engine) -> None:
    store(any_engine, alert())
    post(any_engine, notice())
    store(any_engine, resolved(), alert(id="next", starts_at=END + SECOND))
    assert post(any_engine, notice("resolved"), now=END + SECOND) == Relayed(1, ())
    assert [(m["type"], m["data"]["id"]) for m in messages(any_engine)] == [
        ("alert.firing", alert().id),
        ("alert.resolved", alert().id),
    ]


def test_a_notice_ahead_of_sql_waits_then_goes_without_evidence(engine: Engine) -> None:
    relayed = post(engine, notice())
    assert relayed.queued == 0
    assert "no warning alert of class:macro" in relayed.waiting[0]
    late = NOON + WITHOUT_EVIDENCE_AFTER + SECOND
    assert post(engine, notice(), now=late) == Relayed(1, ())
    (message,) = messages(engine)
    assert message["data"]["summary"] == "macro is abnormally negative"
    assert message["data"]["evidence"] == []
    assert post(engine, notice("resolved"), now=END) == Relayed(1, ())


def test_one_notice_that_waits_does_not_hold_up_another(engine: Engine) -> None:
    store(engine, alert())
    other = notice(labels={"topic": "watch:x", "severity": "warning"}, fingerprint="x")
    relayed = post(engine, other, notice())
    assert (relayed.queued, len(relayed.waiting)) == (1, 1)


def test_an_alert_that_got_worse_is_not_resolved_by_that(engine: Engine) -> None:
    store(engine, alert())
    post(engine, notice())
    store(engine, worse())
    assert post(engine, notice("resolved"), notice(severity="critical")) == Relayed(1, ())
    store(engine, resolved(severity="critical"))
    assert post(engine, notice("resolved", "critical"), now=END) == Relayed(1, ())
    assert post(engine, notice("resolved"), now=END) == Relayed(0, ())
    assert [(m["type"], m["data"]["severity"]) for m in messages(engine)] == [
        ("alert.firing", "warning"),
        ("alert.firing", "critical"),
        ("alert.resolved", "critical"),
    ]


def test_a_late_warning_of_what_is_critical_by_now_is_left_out(engine: Engine) -> None:
    store(engine, alert(severity="critical"))
    assert post(engine, notice()) == Relayed(0, ())


def test_a_series_that_is_gone_ends_no_alert(engine: Engine) -> None:
    store(engine, alert())
    post(engine, notice())
    relayed = post(engine, notice("resolved"), now=END + SECOND)
    assert relayed == Relayed(0, (f"alert {alert().id} still fires by what is stored",))
    assert post(engine, notice("resolved"), now=END + FORGET_AFTER) == Relayed(0, ())
    assert audit_rows(engine, alert().id)[-1].kind == "relay.forgotten"


@pytest.mark.parametrize(
    "labels", [{}, {"alertname": "BarographDown", "severity": "critical"}, {"topic": "class:macro"}]
)
def test_what_is_of_no_topic_is_not_delivered(engine: Engine, labels: dict[str, str]) -> None:
    store(engine, alert())
    assert post(engine, notice(labels=labels)) == Relayed(0, ())
