"""The HTTP API: JSON under ``/api/v1``, part of the public contract."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Engine

from alerts import acts
from alerts.acts import NoSuchAlert
from alerts.alertmanager import Notification
from alerts.corrections import Correction, Sentiment, correct, list_corrections
from alerts.desk import feeding
from alerts.desk.access import Access, Visitor
from alerts.desk.feeding import Publish, Rate
from alerts.records import Alert, State, Window
from alerts.relay import relay
from alerts.settings import DeliverySettings
from alerts.silences import SilenceRefused
from alerts.store import find_alert, latest_windows, list_alerts, topic_windows

Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$"
    ),
]
# PostgreSQL stores no null bytes.
Comment = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=r"^[^\x00]*$")
]
Identity = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=r"^[^\x00]+$")]
Key = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


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


class Act(BaseModel):
    """What every act brings along: who acts (else the token's name), and why."""

    model_config = ConfigDict(extra="forbid")

    by: Name | None = None
    comment: Comment = ""


class SilenceRequest(Act):
    """For how long a topic is not told of."""

    minutes: int = Field(ge=1, le=7 * 24 * 60)


class CorrectionRequest(Act):
    """A document's sentiment towards a topic, as it was and as it should have been."""

    document_id: Identity
    text: Text
    topic: Identity
    old: Sentiment
    new: Sentiment


class Ended(BaseModel):
    """How many silences were ended."""

    ended: int


class AlertView(BaseModel):
    """An alert, what became of it and what was done about it, oldest first."""

    alert: Alert
    transitions: list[Alert]
    deliveries: list[DeliveryView]
    acknowledgements: list[acts.Acknowledgement]
    silences: list[acts.Silence]


def router(
    engine: Engine,
    delivery: DeliverySettings,
    wake: Callable[[], None],
    access: Access,
    publish: Publish | None,
) -> APIRouter:
    """The routes; ``wake`` is called when something was put in the outbox."""
    routes = APIRouter()
    routes.include_router(_reading(engine, access))
    routes.include_router(_acting(engine, delivery, access))
    routes.include_router(feeding.router(engine, access, publish, Rate()))
    routes.include_router(_relaying(engine, delivery, wake, access))
    return routes


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "the body cannot be read as text"},
    401: {"description": "no bearer token, or one that is unknown or revoked"},
    403: {"description": "the token's role does not allow it"},
    503: {"description": "the database cannot be reached"},
}


def _reading(engine: Engine, access: Access) -> APIRouter:
    routes = APIRouter(
        prefix="/api/v1", dependencies=[Depends(access.api("read"))], responses=REFUSALS
    )

    @routes.get("/topics")
    def topics(seconds: Annotated[Seconds, Query()] = Seconds.HOUR) -> list[Window]:
        """The newest window of each topic."""
        return latest_windows(engine, seconds)

    @routes.get("/windows")
    def windows(
        topic: Key,
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
        topic: Key | None = None,
        before: Key | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[Alert]:
        """Alerts in their present state, newest first; those that follow the alert ``before``."""
        topics = None if topic is None else [topic]
        return list_alerts(engine, state=state, topics=topics, before=before, limit=limit)

    @routes.get("/alerts/{alert_id:path}", responses={404: {"description": "no such alert"}})
    def alert(alert_id: str) -> AlertView:
        """One alert, with its history."""
        history = find_alert(engine, alert_id)
        if history is None:
            raise NoSuchAlert(alert_id)
        return AlertView(
            alert=history.alert,
            transitions=list(history.transitions),
            deliveries=[
                DeliveryView.model_validate(row, from_attributes=True) for row in history.deliveries
            ],
            acknowledgements=list(acts.acknowledgements_of(engine, [alert_id]).get(alert_id, [])),
            silences=list(acts.silences_of(engine, alert_id)),
        )

    @routes.get("/corrections")
    def corrections(
        waiting: bool | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
    ) -> list[Correction]:
        """The newest corrections that stand, oldest first; ``waiting``: not exported yet."""
        return list(list_corrections(engine, waiting=waiting, limit=limit))

    return routes


def _acting(engine: Engine, delivery: DeliverySettings, access: Access) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", responses=REFUSALS)
    actor = access.api("act")
    unknown: dict[int | str, dict[str, Any]] = {404: {"description": "no such alert"}}

    @routes.post("/alerts/{alert_id:path}/acknowledge", status_code=201, responses=unknown)
    def acknowledge(
        alert_id: str, act: Act, visitor: Visitor = Depends(actor)
    ) -> acts.Acknowledgement:
        """Say that somebody has seen the alert."""
        return acts.acknowledge(
            engine, alert_id, visitor.actor(act.by or ""), act.comment, datetime.now(UTC)
        )

    @routes.post("/alerts/{alert_id:path}/silence", status_code=201, responses=unknown)
    def silence(
        alert_id: str, act: SilenceRequest, visitor: Visitor = Depends(actor)
    ) -> acts.Silence:
        """Tell nobody of the alert's topic for a while; see ``error`` of the answer."""
        return acts.silence(
            engine,
            delivery,
            alert_id,
            visitor.actor(act.by or ""),
            act.comment,
            timedelta(minutes=act.minutes),
            datetime.now(UTC),
        )

    @routes.delete(
        "/alerts/{alert_id:path}/silence",
        responses={**unknown, 502: {"description": "Alertmanager did not end it"}},
    )
    def unsilence(alert_id: str, visitor: Visitor = Depends(actor)) -> Ended:
        """Tell of the alert's topic again."""
        try:
            ended = acts.unsilence(engine, delivery, alert_id, visitor.actor(), datetime.now(UTC))
        except SilenceRefused as reason:
            raise HTTPException(502, str(reason)) from None
        return Ended(ended=ended)

    @routes.post(
        "/corrections",
        status_code=201,
        responses={410: {"description": "the document was forgotten"}},
    )
    def add_correction(act: CorrectionRequest, visitor: Visitor = Depends(actor)) -> Correction:
        """Store a correction; a later one of the same document and topic takes its place."""
        return correct(
            engine,
            visitor.actor(act.by or ""),
            datetime.now(UTC),
            document_id=act.document_id,
            text=act.text,
            topic=act.topic,
            old=act.old,
            new=act.new,
            comment=act.comment,
        )

    return routes


def _relaying(
    engine: Engine, delivery: DeliverySettings, wake: Callable[[], None], access: Access
) -> APIRouter:
    routes = APIRouter(prefix="/api/v1")

    @routes.post(
        "/alertmanager",
        responses={
            **REFUSALS,
            401: {"description": "the token of the relay is wrong or missing"},
            409: {"description": "delivery.mode is direct: the recorder delivers alerts"},
            503: {"description": "SQL is behind, or cannot be reached: post it again"},
        },
    )
    def alertmanager(
        notification: Notification, authorization: Annotated[str, Header()] = ""
    ) -> dict[str, int]:
        """Takes Alertmanager's webhook; 503 asks it to post again, as SQL is still behind."""
        if delivery.relay_token is not None:
            expected = f"Bearer {delivery.relay_token.get_secret_value()}"
            if not hmac.compare_digest(expected.encode(), authorization.encode()):
                raise HTTPException(401, "the bearer token is wrong or missing")
        elif not access.local:
            raise HTTPException(401, "other machines may post once delivery.relay_token is set")
        if delivery.mode != "prometheus":
            raise HTTPException(409, "delivery.mode is direct: the recorder delivers alerts")
        relayed = relay(engine, delivery, notification, datetime.now(UTC))
        if relayed.queued:
            wake()
        if relayed.waiting:
            raise HTTPException(503, "; ".join(relayed.waiting))
        return {"queued": relayed.queued}

    return routes
