"""The pages that are read; ``acting`` has the forms on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Engine

from alerts.acts import acknowledgements_of, silences_in_force, silences_of
from alerts.corrections import list_corrections
from alerts.desk import chart, texts
from alerts.desk.access import Access, Visitor
from alerts.desk.render import Render, language
from alerts.desk.weather import STATES, Readings, matching, outlook
from alerts.history import counted_to, sums_between, usual_shares, windows_between
from alerts.records import Alert
from alerts.settings import DeliverySettings
from alerts.store import (
    AlertHistory,
    alert_topics,
    find_alert,
    last_firing,
    latest_windows,
    list_alerts,
    topic_windows,
)
from alerts.transitions import changed_at

HOUR = 3600
DAY = 86400

SPANS: dict[str, tuple[timedelta, int]] = {
    "6h": (timedelta(hours=6), 300),
    "2d": (timedelta(days=2), HOUR),
    "7d": (timedelta(days=7), HOUR),
    "4w": (timedelta(weeks=4), DAY),
    "12w": (timedelta(weeks=12), DAY),
}
"""What a topic's page can show: how long, in windows of how many seconds."""

STALLED = timedelta(minutes=15)
"""When nothing has been counted for so long, the weather says that it is old."""

DURATIONS = (30, 60, 240, 480, 1440)
"""Minutes a silence may last, on the page."""

SHOWN = 200
"""Topics on a page, unless all are asked for: it is fetched anew whenever something changes."""

LISTED = 50
"""Alerts on a page of the list."""

ALERT_STATES = ("firing", "resolved")

TESTED = ("5m", "15m", "1h", "24h")


def router(engine: Engine, delivery: DeliverySettings, access: Access, render: Render) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    reader = access.page("read")

    @routes.get("/")
    def weather(
        request: Request,
        q: str = "",
        state: str = "",
        kind: str = "",
        all: bool = False,
        visitor: Visitor = Depends(reader),
    ) -> HTMLResponse:
        now = datetime.now(UTC)
        as_of = counted_to(engine) or now
        firing = sorted(
            list_alerts(engine, state="firing", limit=None),
            key=lambda alert: alert.severity != "critical",
        )
        resolved = list_alerts(engine, state="resolved", limit=8)
        topics = outlook(read(engine, as_of, firing), as_of)
        lang = language(request)
        found = [
            topic
            for topic in matching(topics, state, kind)
            if texts.is_called(topic.topic, q, lang)
        ]
        shown = found if all else found[:SHOWN]
        names_shown = None if all else [topic.topic for topic in shown]
        return render(
            request,
            "weather.html",
            {
                "as_of": as_of,
                "seen_at": min(as_of, now),
                "stalled": as_of < now - STALLED,
                "firing": firing,
                "resolved": resolved,
                **told(engine, [*firing, *resolved]),
                "silenced": silences_in_force(engine, now),
                "topics": shown,
                "trends": windows_between(
                    engine, HOUR, as_of - timedelta(hours=25), as_of, names_shown
                ),
                "found": len(found),
                "total": len(topics),
                "q": q,
                "state": state,
                "kind": kind,
                "states": ("alert", *STATES),
                "kinds": ("watch", "class"),
                "spark": chart.spark,
            },
            visitor=visitor,
        )

    @routes.get("/alerts")
    def all_alerts(
        request: Request,
        q: str = "",
        state: str = "",
        before: str = "",
        visitor: Visitor = Depends(reader),
    ) -> HTMLResponse:
        lang = language(request)
        called = None
        if q:
            called = [topic for topic in alert_topics(engine) if texts.is_called(topic, q, lang)]
        found = list_alerts(
            engine,
            state=state if state in ALERT_STATES else None,
            topics=called,
            before=before or None,
            limit=LISTED + 1,
        )
        alerts = found[:LISTED]
        return render(
            request,
            "alerts.html",
            {
                "alerts": alerts,
                **told(engine, alerts),
                "older": alerts[-1].id if len(found) > LISTED else None,
                "q": q,
                "state": state,
                "before": before,
                "states": ALERT_STATES,
            },
            visitor=visitor,
        )

    @routes.get("/alerts/{alert_id:path}")
    def alert(request: Request, alert_id: str, visitor: Visitor = Depends(reader)) -> HTMLResponse:
        history = find_alert(engine, alert_id)
        if history is None:
            return missing(request, f"alert {alert_id}", visitor)
        return render(
            request,
            "alert.html",
            alert_values(engine, delivery, history, language(request)),
            visitor=visitor,
        )

    @routes.get("/topics/{topic:path}")
    def topic_page(
        request: Request, topic: str, span: str = "2d", visitor: Visitor = Depends(reader)
    ) -> HTMLResponse:
        span = span if span in SPANS else "2d"
        length, seconds = SPANS[span]
        newest = topic_windows(engine, topic, seconds, limit=1)
        if not newest:
            return missing(request, f"topic {topic}", visitor)
        # The topic's own newest window, so that one that went quiet shows what it was like.
        end = newest[0].end
        windows = topic_windows(engine, topic, seconds, since=end - length, limit=10_000)
        alerts = [
            alert
            for alert in list_alerts(engine, topics=[topic], limit=200)
            if (alert.ends_at or end) >= end - length
        ]
        labels = {
            name: sum(getattr(window, name) for window in windows)
            for name in ("negative", "neutral", "positive")
        }
        return render(
            request,
            "topic.html",
            {
                "topic": topic,
                "span": span,
                "spans": SPANS,
                "seconds": seconds,
                "windows": windows[::-1],
                "chart": chart.draw(windows, end - length, end, alerts),
                "labels": labels,
                "documents": sum(labels.values()),
                "stories": sum(window.stories for window in windows),
                "sources": max(window.sources for window in windows),
                "alerts": alerts,
                **told(engine, alerts),
                "silenced": silences_in_force(engine, datetime.now(UTC)).get(topic),
                "newest": min(end, datetime.now(UTC)),
            },
            visitor=visitor,
        )

    def missing(request: Request, what: str, visitor: Visitor) -> HTMLResponse:
        return render(request, "missing.html", {"what": what}, status_code=404, visitor=visitor)

    return routes


def told(engine: Engine, alerts: Sequence[Alert]) -> dict[str, Any]:
    """What a list of alerts shows besides them: of those that are over, what had fired."""
    over = [alert.id for alert in alerts if alert.state != "firing"]
    return {
        "fired": last_firing(engine, over),
        "acknowledged": acknowledgements_of(engine, [alert.id for alert in alerts]),
    }


def read(engine: Engine, as_of: datetime, firing: list[Alert]) -> Readings:
    """What the weather is made of."""
    day = timedelta(days=1)
    return Readings(
        newest=latest_windows(engine, HOUR),
        sums=sums_between(engine, as_of - timedelta(hours=1), as_of),
        hours=windows_between(engine, HOUR, as_of - timedelta(hours=2), as_of),
        usual=usual_shares(engine, as_of - 8 * day, as_of - day),
        firing={alert.topic: alert for alert in reversed(firing)},
    )


@dataclass(frozen=True, slots=True)
class Event:
    """A line of an alert's history; ``what`` is the key of a text or a state."""

    at: datetime
    what: str
    values: dict[str, Any]
    by: str = ""
    comment: str = ""


def shown_transition(history: AlertHistory) -> Alert:
    """The transition a page tells of: the last that fired, as the end of an alert is calm."""
    firing = [step for step in history.transitions if step.state == "firing"]
    return firing[-1] if firing else history.alert


def alert_values(
    engine: Engine, delivery: DeliverySettings, history: AlertHistory, lang: str
) -> dict[str, Any]:
    """What the page of an alert shows."""
    shown = shown_transition(history)
    length = int((shown.window.end - shown.window.start).total_seconds())
    start, end = chart.span_of(shown)
    acknowledged = acknowledgements_of(engine, [shown.id]).get(shown.id, [])
    silences = silences_of(engine, shown.id)
    corrections = list_corrections(engine, alert_id=shown.id)
    t = texts.translator(lang)
    events = [Event(step.window.end, "transition", {"alert": step}) for step in history.transitions]
    events += [Event(a.at, "acknowledged", {}, a.by, a.comment) for a in acknowledged]
    events += [Event(s.at, "silenced", {"silence": s}, s.by, s.comment) for s in silences]
    events += [
        Event(
            c.at, "corrected", {"text": c.text, "old": t(c.old), "new": t(c.new)}, c.by, c.comment
        )
        for c in corrections
    ]
    steps: dict[tuple[str, datetime], Alert] = {
        (step.state, changed_at(step)): step for step in history.transitions
    }
    as_of = counted_to(engine) or end
    now = sums_between(engine, as_of - timedelta(hours=1), as_of, [shown.topic])
    windows = topic_windows(engine, shown.topic, chart.piece_of(length), start, end, limit=10_000)
    return {
        "alert": history.alert,
        "shown": shown,
        "length": length,
        "now": now.get(shown.topic) if history.alert.state == "firing" else None,
        "comparison": chart.compare(windows, shown, as_of),
        "tests": [
            (name, shown.surprise.get(f"count_{name}"), shown.surprise.get(f"share_{name}"))
            for name in TESTED
            if f"count_{name}" in shown.surprise
        ],
        "other_tests": {
            name: value
            for name, value in shown.surprise.items()
            if name.partition("_")[2] not in TESTED
        },
        "deliveries": [(d, steps.get((d.state, d.occurred_at))) for d in history.deliveries],
        "acknowledged": acknowledged,
        "silenced": silences_in_force(engine, datetime.now(UTC)).get(shown.topic),
        "corrections": {c.document_id: c for c in corrections},
        "events": sorted(events, key=lambda event: event.at),
        "durations": DURATIONS,
        "asks_alertmanager": delivery.mode == "prometheus" and bool(delivery.alertmanager_url),
        "by_alertmanager": delivery.mode == "prometheus",
    }
