"""Alerts that are over though Alertmanager never said so."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.outbox import enqueue, transition_message
from alerts.overdue import FORGOTTEN_AFTER, OVERDUE_AFTER, tell_overdue
from alerts.relay import Relayed
from alerts.settings import DeliverySettings
from alerts.store import audit_rows, find_alert, list_deliveries
from alerts.tables import deliveries
from tests.alerts.examples import NOON, alert, resolved, target
from tests.alerts.test_relay import DELIVERY, END, notice, post, store

LATER = END + OVERDUE_AFTER


def resolved_rows(engine: Engine) -> list[str]:
    return [row.target for row in list_deliveries(engine) if row.state == "resolved"]


def test_who_was_told_that_it_fires_is_told_once_that_it_is_over(any_engine: Engine) -> None:
    store(any_engine, alert())
    post(any_engine, notice())
    assert tell_overdue(any_engine, DELIVERY, LATER) == 0
    store(any_engine, resolved())
    assert tell_overdue(any_engine, DELIVERY, LATER - timedelta(seconds=1)) == 0
    assert tell_overdue(any_engine, DELIVERY, LATER) == 1
    assert tell_overdue(any_engine, DELIVERY, LATER) == 0
    assert resolved_rows(any_engine) == ["risk"]
    assert audit_rows(any_engine, alert().id)[-1].kind == "relay.overdue"
    history = find_alert(any_engine, alert().id)
    assert history is not None
    assert [row.state for row in history.deliveries] == ["firing", "resolved"]


def test_alertmanager_that_tells_it_after_all_tells_it_no_second_time(engine: Engine) -> None:
    store(engine, alert())
    post(engine, notice())
    store(engine, resolved())
    tell_overdue(engine, DELIVERY, LATER)
    assert post(engine, notice("resolved"), now=LATER) == Relayed(0, ())
    assert resolved_rows(engine) == ["risk"]


def test_what_alertmanager_has_told_is_left_alone(engine: Engine) -> None:
    store(engine, alert())
    post(engine, notice())
    store(engine, resolved())
    assert post(engine, notice("resolved"), now=END) == Relayed(1, ())
    assert tell_overdue(engine, DELIVERY, LATER) == 0


def test_who_was_not_told_that_it_fires_is_not_told_that_it_is_over(engine: Engine) -> None:
    both = DeliverySettings(targets=(target(), target(name="chat")))
    store(engine, alert(), resolved())
    assert tell_overdue(engine, both, LATER) == 0
    with engine.begin() as connection:
        enqueue(connection, [target(name="chat")], transition_message(alert(), "http://d"), NOON)
    assert tell_overdue(engine, both, LATER) == 1
    assert resolved_rows(engine) == ["chat"]


@pytest.mark.parametrize("now", [LATER + FORGOTTEN_AFTER, LATER])
def test_what_is_long_over_or_of_a_target_that_is_gone_is_not_told(engine: Engine, now) -> None:
    store(engine, alert())
    post(engine, notice())
    store(engine, resolved())
    if now == LATER:
        with engine.begin() as connection:
            connection.execute(sa.update(deliveries).values(target="gone"))
    assert tell_overdue(engine, DELIVERY, now) == 0
