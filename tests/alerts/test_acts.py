from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import Engine

from alerts.acts import (
    Actor,
    NoSuchAlert,
    acknowledge,
    acknowledgements_of,
    silence,
    silences_in_force,
    silences_of,
    unsilence,
)
from alerts.corrections import correct, count_waiting, list_corrections, mark_exported
from alerts.erasure import document_digest
from alerts.outbox import enqueue, transition_message
from alerts.settings import DeliverySettings
from alerts.silences import SILENCED, SilenceRefused, is_silenced, keeps_back
from alerts.store import audit_rows, put_alert, put_audit
from tests.alerts.examples import NOON, alert, resolved, target, worse
from tests.servers import WebhookReceiver

ANA = Actor("Ana", "risk-desk")
HOUR = timedelta(hours=1)
DIRECT = DeliverySettings(mode="direct")


def stored(engine: Engine) -> str:
    with engine.begin() as connection:
        put_alert(connection, alert())
    return alert().id


def test_acknowledgements_add_up_and_are_audited(any_engine: Engine) -> None:
    identity = stored(any_engine)
    first = acknowledge(any_engine, identity, ANA, "looking", NOON)
    second = acknowledge(any_engine, identity, Actor("Bo"), "", NOON + HOUR)
    assert acknowledgements_of(any_engine, [identity, "other"]) == {identity: [first, second]}
    rows = [row for row in audit_rows(any_engine, identity) if row.kind == "alert.acknowledged"]
    assert [row.detail for row in rows] == [
        {"by": "Ana", "token": "risk-desk", "comment": "looking"},
        {"by": "Bo", "comment": ""},
    ]
    with pytest.raises(NoSuchAlert):
        acknowledge(any_engine, "none", ANA, "", NOON)
    with pytest.raises(NoSuchAlert):
        silence(any_engine, DIRECT, "none", ANA, "", HOUR, NOON)


def test_a_silence_lasts_its_time(any_engine: Engine) -> None:
    identity = stored(any_engine)
    made = silence(any_engine, DIRECT, identity, ANA, "known", HOUR, NOON)
    assert (made.topic, made.until, made.alertmanager_id, made.error) == (
        alert().topic,
        NOON + HOUR,
        None,
        None,
    )
    assert silences_of(any_engine, identity) == [made]
    assert silences_in_force(any_engine, NOON) == {alert().topic: NOON + HOUR}
    assert silences_in_force(any_engine, NOON + HOUR) == {}
    with any_engine.connect() as connection:
        assert is_silenced(connection, alert().topic, NOON)
        assert not is_silenced(connection, "class:other", NOON)
        assert not is_silenced(connection, alert().topic, NOON - HOUR)
    assert [row.kind for row in audit_rows(any_engine, identity)][-1] == "alert.silenced"
    assert unsilence(any_engine, DIRECT, identity, ANA, NOON + HOUR / 2) == 1
    assert silences_in_force(any_engine, NOON + HOUR / 2) == {}
    assert unsilence(any_engine, DIRECT, identity, ANA, NOON + HOUR / 2) == 0
    assert [row.kind for row in audit_rows(any_engine, identity)][-1] == "alert.unsilenced"


def test_what_a_silence_keeps_back(engine: Engine) -> None:
    identity = stored(engine)
    with engine.begin() as connection:
        assert not keeps_back(connection, alert(), NOON)
    silence(engine, DIRECT, identity, ANA, "", HOUR, NOON)
    with engine.begin() as connection:
        assert keeps_back(connection, worse(), NOON)
        put_audit(connection, NOON, SILENCED, identity, {})
        # Nobody was told that it fires, so nobody needs to hear that it ended.
        assert keeps_back(connection, resolved(), NOON + 2 * HOUR)
        message = transition_message(alert(), "http://127.0.0.1")
        enqueue(connection, [target()], message, NOON)
        assert not keeps_back(connection, resolved(), NOON + 2 * HOUR)


def test_alertmanager_is_told_of_a_silence(
    engine: Engine, alertmanager: Callable[[str], AbstractContextManager[str]]
) -> None:
    identity = stored(engine)
    now = datetime.now(UTC)
    with alertmanager("route: {receiver: none}\nreceivers: [{name: none}]") as url:
        delivery = DeliverySettings(alertmanager_url=f"{url}/")
        made = silence(engine, delivery, identity, ANA, "known", HOUR, now)
        assert made.error is None
        found = httpx.get(f"{url}/api/v2/silence/{made.alertmanager_id}").json()
        assert found["status"]["state"] == "active"
        assert unsilence(engine, delivery, identity, ANA, now) == 1
        ended = httpx.get(f"{url}/api/v2/silence/{made.alertmanager_id}").json()
        assert ended["status"]["state"] == "expired"
    assert (found["createdBy"], found["comment"]) == ("Ana", "known")
    assert {m["name"]: m["value"] for m in found["matchers"]} == {
        "alertname": "SentimentSpike",
        "topic": alert().topic,
    }


def test_a_silence_that_alertmanager_refuses_says_so(
    engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    identity = stored(engine)
    webhook_receiver.status = 400
    delivery = DeliverySettings(alertmanager_url=webhook_receiver.url)
    assert silence(engine, delivery, identity, ANA, "", HOUR, NOON).error == (
        "Alertmanager answered 400"
    )
    webhook_receiver.status = 200  # an answer, and no id in it
    assert silence(engine, delivery, identity, ANA, "", HOUR, NOON).error is not None
    away = DeliverySettings(alertmanager_url="http://name:hidden@127.0.0.1:1")
    error = silence(engine, away, identity, ANA, "", HOUR, NOON).error
    assert error == "Alertmanager cannot be reached (ConnectError)"
    unset = silence(engine, DeliverySettings(), identity, ANA, "", HOUR, NOON).error
    assert unset == "delivery.alertmanager_url is not set"
    # None of them is in force: nobody is to believe in a silence that is none.
    assert silences_in_force(engine, NOON) == {}
    # In direct mode it is not in the way.
    direct = DeliverySettings(mode="direct", alertmanager_url="http://127.0.0.1:1")
    assert silence(engine, direct, identity, ANA, "", HOUR, NOON).error is None
    assert len(silences_of(engine, identity)) == 5


def test_a_silence_that_alertmanager_does_not_end_goes_on(
    engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    identity = stored(engine)
    webhook_receiver.body = b'{"silenceID": "s/1"}'
    delivery = DeliverySettings(alertmanager_url=webhook_receiver.url)
    assert silence(engine, delivery, identity, ANA, "", HOUR, NOON).alertmanager_id == "s/1"
    webhook_receiver.status = 500
    with pytest.raises(SilenceRefused, match="500"):
        unsilence(engine, delivery, identity, ANA, NOON)
    assert silences_in_force(engine, NOON)
    webhook_receiver.status = 404
    assert unsilence(engine, delivery, identity, ANA, NOON) == 1
    assert webhook_receiver.requests[-1].path == "/api/v2/silence/s%2F1"


def test_the_last_correction_of_a_document_stands(any_engine: Engine) -> None:
    def add(document: str, new: str, topic: str = "class:macro") -> None:
        correct(
            any_engine,
            ANA,
            NOON,
            document_id=document,
            text="Bank halts withdrawals",
            topic=topic,
            old="negative",
            new=new,  # type: ignore[arg-type]
            alert_id="a",
        )

    add("d1", "neutral")
    add("d2", "neutral")
    add("d1", "positive")
    add("d1", "neutral", "watch:bank")
    found = list_corrections(any_engine)
    assert [(c.document_id, c.topic, c.new) for c in found] == [
        ("d2", "class:macro", "neutral"),
        ("d1", "class:macro", "positive"),
        ("d1", "watch:bank", "neutral"),
    ]
    assert list_corrections(any_engine, limit=1) == found[-1:]
    assert list_corrections(any_engine, alert_id="b") == []
    assert count_waiting(any_engine) == 3
    with any_engine.begin() as connection:
        mark_exported(connection, found[:2], "out.jsonl", NOON)
    assert count_waiting(any_engine) == 1
    assert [c.document_id for c in list_corrections(any_engine, waiting=True)] == ["d1"]
    assert len(list_corrections(any_engine, waiting=False)) == 2
    # One that is corrected once more waits again.
    add("d2", "positive")
    assert count_waiting(any_engine) == 2
    assert [row.kind for row in audit_rows(any_engine, document_digest("d1"))] == ["correction"] * 3
