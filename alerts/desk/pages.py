"""The pages, rendered here; they hold no script."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from sqlalchemy import Engine

from alerts.desk.chart import draw
from alerts.desk.weather import outlook
from alerts.store import find_alert, latest_windows, list_alerts, topic_windows

HOUR = 3600
SPAN = timedelta(hours=48)
"""What a topic's chart shows."""

STALE = timedelta(hours=2)
"""A topic whose newest hour ended longer ago is shown as quiet."""


def safe_url(url: str | None) -> str | None:
    """The address of a story if it may be linked to: http or https, and nothing else."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def moment(time: datetime | None) -> str:
    """A time as people read it, in UTC."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def topic_name(topic: str) -> str:
    """A topic as people read it: ``class:stock-movement`` is "stock movement"."""
    kind, _, name = topic.partition(":")
    return name.replace("-", " ") if kind == "class" and name else name or topic


def router(engine: Engine) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
    templates.env.filters.update(safe_url=safe_url, moment=moment, topic_name=topic_name)

    @routes.get("/")
    def weather(request: Request) -> HTMLResponse:
        now = datetime.now(UTC)
        return templates.TemplateResponse(
            request,
            "weather.html",
            {
                "now": now,
                "firing": list_alerts(engine, state="firing"),
                "resolved": list_alerts(engine, state="resolved", limit=10),
                "outlook": outlook(latest_windows(engine, HOUR), now - STALE),
            },
        )

    @routes.get("/alerts/{alert_id:path}")
    def alert(request: Request, alert_id: str) -> HTMLResponse:
        history = find_alert(engine, alert_id)
        if history is None:
            return templates.TemplateResponse(
                request, "missing.html", {"what": f"alert {alert_id}"}, status_code=404
            )
        return templates.TemplateResponse(request, "alert.html", {"history": history})

    @routes.get("/topics/{topic:path}")
    def topic_page(request: Request, topic: str) -> HTMLResponse:
        newest = topic_windows(engine, topic, HOUR, limit=1)
        if not newest:
            return templates.TemplateResponse(
                request, "missing.html", {"what": f"topic {topic}"}, status_code=404
            )
        windows = topic_windows(engine, topic, HOUR, since=newest[0].end - SPAN)
        return templates.TemplateResponse(
            request,
            "topic.html",
            {
                "topic": topic,
                "windows": windows[::-1],
                "chart": draw(windows, newest[0].end - SPAN, newest[0].end),
                "alerts": list_alerts(engine, topic=topic, limit=10),
            },
        )

    return routes
