"""The HTTP API: JSON under ``/api/v1``, part of the public contract."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Engine

from alerts.alertmanager import Notification
from alerts.records import Alert, State, Window
from alerts.relay import relay
from alerts.settings import DeliverySettings
from alerts.store import find_alert, latest_windows, list_alerts, topic_windows


class Seconds(IntEnum):
    """Lengths of the windows that are published."""

    MINUTES_5 = 300
    HOUR = 3600
    DAY = 86400


class DeliveryView(BaseModel):
    """How far a webhook message has come; ``id`` is its webhook-id."""

    id: str
    state: str
    target: str
    status: str
    attempts: int
    last_error: str | None
    next_attempt_at: datetime
    delivered_at: datetime | None


class AlertView(BaseModel):
    """An alert, its transitions and deliveries, oldest first."""

    alert: Alert
    transitions: list[Alert]
    deliveries: list[DeliveryView]


def router(engine: Engine, delivery: DeliverySettings, wake: Callable[[], None]) -> APIRouter:
    """The routes; ``wake`` is called when something was put in the outbox."""
    routes = APIRouter(prefix="/api/v1")

    @routes.get("/topics")
    def topics(seconds: Annotated[Seconds, Query()] = Seconds.HOUR) -> list[Window]:
        """The newest window of each topic."""
        return latest_windows(engine, seconds)

    @routes.get("/windows")
    def windows(
        topic: str,
        seconds: Annotated[Seconds, Query()] = Seconds.HOUR,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> list[Window]:
        """The newest windows of a topic that start in [since, until), oldest first."""
        return topic_windows(engine, topic, seconds, since, until, limit)

    @routes.get("/alerts")
    def alerts(
        state: State | None = None,
        topic: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[Alert]:
        """Alerts in their present state, newest first."""
        return list_alerts(engine, state=state, topic=topic, limit=limit)

    @routes.get("/alerts/{alert_id:path}")
    def alert(alert_id: str) -> AlertView:
        """One alert, with its history."""
        history = find_alert(engine, alert_id)
        if history is None:
            raise HTTPException(404, "no such alert")
        return AlertView(
            alert=history.alert,
            transitions=list(history.transitions),
            deliveries=[
                DeliveryView.model_validate(row, from_attributes=True) for row in history.deliveries
            ],
        )

    @routes.post("/alertmanager")
    def alertmanager(
        notification: Notification, authorization: Annotated[str, Header()] = ""
    ) -> dict[str, int]:
        """Takes Alertmanager's webhook; 503 asks it to post again, as SQL is still behind."""
        if delivery.relay_token is not None:
            expected = f"Bearer {delivery.relay_token.get_secret_value()}"
            if not hmac.compare_digest(expected.encode(), authorization.encode()):
                raise HTTPException(401, "the bearer token is wrong or missing")
        if delivery.mode != "prometheus":
            raise HTTPException(409, "delivery.mode is direct: the recorder delivers alerts")
        relayed = relay(engine, delivery, notification, datetime.now(UTC))
        if relayed.queued:
            wake()
        if relayed.waiting:
            raise HTTPException(503, "; ".join(relayed.waiting))
        return {"queued": relayed.queued}

    return routes
