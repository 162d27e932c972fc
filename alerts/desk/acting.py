"""What the forms on the pages do; each ends with the page it was sent from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import RedirectResponse
from sqlalchemy import Engine

from alerts.acts import Actor, NoSuchAlert, acknowledge, silence, unsilence
from alerts.corrections import Sentiment, correct
from alerts.desk.access import Access, Visitor, remember_name
from alerts.desk.forms import form
from alerts.desk.pages import DURATIONS
from alerts.settings import DeliverySettings
from alerts.silences import SilenceRefused
from alerts.store import find_alert

MAX_NAME = 100
MAX_COMMENT = 2000
SENTIMENTS = ("negative", "neutral", "positive")


def router(engine: Engine, delivery: DeliverySettings, access: Access) -> APIRouter:
    """The routes of the forms."""
    routes = APIRouter(include_in_schema=False)
    acting = access.form("act")

    @routes.post("/alerts/{alert_id:path}/acknowledge")
    def acknowledged(
        alert_id: str,
        visitor: Visitor = Depends(acting),
        fields: dict[str, str] = Depends(form),
    ) -> RedirectResponse:
        actor, comment = _who(visitor, fields), _comment(fields)
        acknowledge(engine, alert_id, actor, comment, datetime.now(UTC))
        return _back(alert_id, actor)

    @routes.post("/alerts/{alert_id:path}/silence")
    def silenced(
        alert_id: str,
        visitor: Visitor = Depends(acting),
        fields: dict[str, str] = Depends(form),
    ) -> RedirectResponse:
        actor, comment = _who(visitor, fields), _comment(fields)
        minutes = fields.get("minutes", "")
        if minutes not in map(str, DURATIONS):
            raise HTTPException(422, "choose how long to silence the topic")
        duration = timedelta(minutes=int(minutes))
        now = datetime.now(UTC)
        silence(engine, delivery, alert_id, actor, comment, duration, now)
        return _back(alert_id, actor)

    @routes.post("/alerts/{alert_id:path}/unsilence")
    def unsilenced(
        alert_id: str,
        visitor: Visitor = Depends(acting),
        fields: dict[str, str] = Depends(form),
    ) -> RedirectResponse:
        actor = _who(visitor, fields)
        try:
            unsilence(engine, delivery, alert_id, actor, datetime.now(UTC))
        except SilenceRefused as reason:
            raise HTTPException(502, f"the silence goes on: {reason}") from None
        return _back(alert_id, actor)

    @routes.post("/alerts/{alert_id:path}/correct")
    def corrected(
        alert_id: str,
        visitor: Visitor = Depends(acting),
        fields: dict[str, str] = Depends(form),
    ) -> RedirectResponse:
        actor, comment = _who(visitor, fields), _comment(fields)
        history = find_alert(engine, alert_id)
        if history is None:
            raise NoSuchAlert(alert_id)
        stories = {story.id: story for step in history.transitions for story in step.evidence}
        story = stories.get(fields.get("document", ""))
        if story is None:
            raise HTTPException(404, "that document is not among the alert's evidence")
        label = fields.get("label", "")
        if label not in SENTIMENTS:
            raise HTTPException(422, f"the label must be one of {', '.join(SENTIMENTS)}")
        correct(
            engine,
            actor,
            datetime.now(UTC),
            document_id=story.id,
            text=story.text,
            topic=history.alert.topic,
            old="negative",  # only what counted as negative is evidence
            new=cast(Sentiment, label),
            comment=comment,
            alert_id=alert_id,
        )
        return _back(alert_id, actor)

    return routes


def _who(visitor: Visitor, fields: dict[str, str]) -> Actor:
    name = fields.get("name", "")
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise HTTPException(422, f"give your name, at most {MAX_NAME} characters")
    return visitor.actor(name)


def _comment(fields: dict[str, str]) -> str:
    comment = fields.get("comment", "")
    if len(comment) > MAX_COMMENT:
        raise HTTPException(422, f"a comment has at most {MAX_COMMENT} characters")
    return comment


def _back(alert_id: str, actor: Actor) -> RedirectResponse:
    answer = RedirectResponse(f"/alerts/{quote(alert_id)}", 303)
    remember_name(answer, actor.name)
    return answer
