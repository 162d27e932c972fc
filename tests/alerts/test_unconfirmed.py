"""Preliminary alerts in the outbox: told at once, in order, once, and to nobody in vain."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.acts import Actor, silence
from alerts.backtest import fired_first
from alerts.desk import texts
from alerts.formats import Format, render
from alerts.outbox import deliver_due, enqueue, open_client, transition_message
from alerts.records import Alert
from alerts.redelivery import retry
from alerts.settings import DeliverySettings
from alerts.silences import SILENCED
from alerts.store import audit_rows, find_alert, list_alerts, list_deliveries, put_alert
from alerts.tables import alert_transitions, deliveries
from alerts.unconfirmed import WORTH_TELLING, tell_preliminary
from alerts.webhooks import alert_body
from tests.alerts.examples import NOON, alert, resolved, target, worse
from tests.servers import WebhookReceiver

MINUTE = timedelta(minutes=1)


def early(**changes: Any) -> Alert:
    return alert(preliminary=True, **changes)


def withdrawn(**changes: Any) -> Alert:
    return early(state="resolved", ends_at=NOON, **changes)


def direct(*targets: Any, **changes: Any) -> DeliverySettings:
    return DeliverySettings(**{"mode": "direct", "targets": targets or (target(),), **changes})


def tell(
    engine: Engine, delivery: DeliverySettings, *records: Alert, age: timedelta = timedelta(0)
) -> None:
    """As the recorder does it, transitions too."""
    for record in records:
        with engine.begin() as connection:
            if record.preliminary:
                tell_preliminary(connection, delivery, record, NOON - age, NOON)
            elif put_alert(connection, record):
                message = transition_message(record, delivery.dashboard_url)
                enqueue(connection, delivery.targets, message, NOON)


def told(engine: Engine) -> set[tuple[str, str]]:
    return {(row.target, row.state) for row in list_deliveries(engine)}


def kinds(engine: Engine, identity: str = alert().id) -> list[str]:
    return [row.kind for row in audit_rows(engine, identity)]


def test_it_is_told_once_and_is_no_transition(any_engine: Engine) -> None:
    tell(any_engine, direct(), early(), early())
    (row,) = list_deliveries(any_engine)
    assert (row.state, row.alert_id) == ("preliminary", alert().id)
    message = json.loads(row.payload)
    assert message["type"] == "alert.firing"
    assert message["data"]["preliminary"] is True
    assert "preliminary" in message["data"]["summary"]
    # The desk has no page of it yet.
    assert message["data"]["dashboard_url"].endswith("/topics/class%3Amacro")
    assert kinds(any_engine) == ["alert.preliminary"]
    assert list_alerts(any_engine) == []
    assert find_alert(any_engine, alert().id) is None
    with any_engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(alert_transitions)) == 0


def test_what_bears_it_out_is_a_message_of_its_own_about_the_same_alert(engine: Engine) -> None:
    tell(engine, direct(), early(), alert())
    rows = list_deliveries(engine)
    assert len({row.id for row in rows}) == 2
    bodies = {row.state: json.loads(row.payload)["data"] for row in rows}
    assert bodies["firing"]["id"] == bodies["preliminary"]["id"]
    assert bodies["firing"]["preliminary"] is False
    assert kinds(engine) == ["alert.preliminary", "alert.firing"]


def test_each_comes_in_its_order_however_the_receiver_fails(
    any_engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    taken_back = {"id": "other"}
    tell(any_engine, direct(there), early(), early(**taken_back))
    tell(any_engine, direct(there), alert(), worse(), withdrawn(**taken_back))
    tell(any_engine, direct(there), resolved(severity="critical"))
    webhook_receiver.statuses[:] = [500] * 4
    now = NOON
    with open_client() as client:
        while any(row.status == "pending" for row in list_deliveries(any_engine)):
            deliver_due(any_engine, [there], client, now)
            now += MINUTE
            assert now < NOON + timedelta(hours=1)
    taken: dict[str, list[tuple[str, bool, str]]] = {}
    seen: set[str] = set()
    for request in webhook_receiver.requests[4:]:
        if request.headers["webhook-id"] not in seen:
            seen.add(request.headers["webhook-id"])
            data = json.loads(request.body)["data"]
            step = data["state"], data["preliminary"], data["severity"]
            taken.setdefault(data["id"], []).append(step)
    assert taken == {
        alert().id: [
            ("firing", True, "warning"),
            ("firing", False, "warning"),
            ("firing", False, "critical"),
            ("resolved", False, "critical"),
        ],
        "other": [("firing", True, "warning"), ("resolved", True, "warning")],
    }
    assert kinds(any_engine, "other")[:2] == ["alert.preliminary", "alert.withdrawn"]
    assert kinds(any_engine, "other").count("delivery.delivered") == 2
    history = find_alert(any_engine, alert().id)
    assert history is not None
    states = [row.state for row in history.deliveries]
    assert states == ["preliminary", "firing", "firing", "resolved"]


def test_only_those_who_were_told_hear_that_it_is_withdrawn(any_engine: Engine) -> None:
    tell(any_engine, direct(target(name="a")), early())
    tell(any_engine, direct(target(name="a"), target(name="b")), withdrawn(), withdrawn())
    assert told(any_engine) == {("a", "preliminary"), ("a", "withdrawn")}
    tell(any_engine, direct(), withdrawn(id="never told"))
    assert told(any_engine) == {("a", "preliminary"), ("a", "withdrawn")}
    assert kinds(any_engine, "never told") == []


@pytest.mark.parametrize("changes", [{"mode": "prometheus"}, {"preliminary": False}])
def test_where_it_is_not_wanted_only_what_was_told_is_withdrawn(
    engine: Engine, changes: dict[str, Any]
) -> None:
    tell(engine, direct(), early(id="before"))
    tell(engine, direct(**changes), early(), withdrawn(id="before"))
    assert {row.alert_id for row in list_deliveries(engine)} == {"before"}
    assert told(engine) == {("risk", "preliminary"), ("risk", "withdrawn")}


def test_what_has_begun_to_fire_is_not_told_as_preliminary(engine: Engine) -> None:
    tell(engine, direct(), alert(), early())
    assert told(engine) == {("risk", "firing")}


def test_what_was_published_long_ago_is_not_told(engine: Engine) -> None:
    tell(engine, direct(), early(), age=WORTH_TELLING + MINUTE)
    tell(engine, direct(), withdrawn())
    assert told(engine) == set()
    assert kinds(engine) == ["alert.preliminary", "delivery.skipped"]


def test_a_silence_keeps_it_back(engine: Engine) -> None:
    now = datetime.now(UTC)
    tell(engine, direct(), alert(id="known"))
    silence(engine, direct(), "known", Actor("Ana"), "", timedelta(hours=1), now - MINUTE)
    with engine.begin() as connection:
        tell_preliminary(connection, direct(), early(), now, now)
        tell_preliminary(connection, direct(), early(), now, now)
        tell_preliminary(connection, direct(), withdrawn(), now, now)
    assert [row for row in list_deliveries(engine) if row.alert_id != "known"] == []
    assert kinds(engine) == ["alert.preliminary", SILENCED]


def test_a_severity_filter_holds(engine: Engine) -> None:
    there = target(min_severity="critical")
    tell(engine, direct(there), early(), withdrawn(), early(id="b", severity="critical"))
    assert {row.alert_id for row in list_deliveries(engine)} == {"b"}


def test_a_dead_one_is_not_sent_again_once_the_receiver_knows_more(
    any_engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    tell(any_engine, direct(there), early())
    with any_engine.begin() as connection:
        connection.execute(sa.update(deliveries).values(status="dead"))
    tell(any_engine, direct(there), alert())
    with open_client() as client:
        deliver_due(any_engine, [there], client, NOON)
    (dead,) = list_deliveries(any_engine, status="dead")
    with any_engine.begin() as connection:
        (answer,) = retry(connection, [there], [dead.id], NOON, "someone")
    assert answer.refused == "risk has been told a later state of the alert"


@pytest.mark.parametrize("form", ["standard", "json", "slack", "teams"])
def test_every_format_says_so_plainly(form: Format) -> None:
    body = render(form, alert_body(early(), "http://desk.example"))
    assert "reliminary" in body
    assert "alerts/" not in body
    body = render(form, alert_body(withdrawn(), "http://desk.example"))
    assert "withdrawn" in body
    assert "reliminary" not in render(form, alert_body(alert(), "http://desk.example")).replace(
        '"preliminary":false', ""
    )


@pytest.mark.parametrize("state", ["preliminary", "withdrawn"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_desk_has_words_for_it(state: str, lang: str) -> None:
    assert texts.translator(lang)(f"state_{state}") != f"state_{state}"


def test_a_backtest_of_the_topic_as_it_is_on_kafka_counts_alerts_alone() -> None:
    taken_back = [early(id="b"), withdrawn(id="b")]
    assert fired_first([early(), alert(), *taken_back, resolved()]) == (alert(),)
