"""What all pages share: language, visitor, and the functions their templates use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from alerts.corrections import count_waiting
from alerts.desk import texts
from alerts.desk.access import Visitor
from alerts.history import mark

LANGUAGE_COOKIE = "barograph_lang"

Render = Callable[..., HTMLResponse]
"""``render(request, template, values, status_code=200, visitor=None)``"""


def safe_url(url: str | None) -> str | None:
    """The address of a story if it may be linked to: http or https, and nothing else."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def language(request: Request) -> str:
    """The language a page is to be in."""
    return texts.choose(
        request.query_params.get("lang"),
        request.cookies.get(LANGUAGE_COOKIE),
        request.headers.get("accept-language", ""),
    )


def renderer(engine: Engine) -> Render:
    """The function that makes pages."""
    templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
    templates.env.filters.update(
        safe_url=safe_url, moment=texts.moment, percent=texts.percent, count=texts.count
    )
    templates.env.trim_blocks = templates.env.lstrip_blocks = True

    def render(
        request: Request,
        template: str,
        values: Mapping[str, Any],
        status_code: int = 200,
        visitor: Visitor | None = None,
    ) -> HTMLResponse:
        lang = language(request)
        answer = templates.TemplateResponse(
            request,
            template,
            {
                "lang": lang,
                "t": texts.translator(lang),
                "counted": partial(texts.counted, lang),
                "named": partial(texts.topic_name, lang=lang),
                "sentence": partial(texts.sentence, lang=lang),
                "span_text": partial(texts.span, lang=lang),
                "mean_text": partial(texts.mean, lang=lang),
                "languages": {
                    code: (name, _asking(request, code)) for code, name in texts.LANGUAGES.items()
                },
                "visitor": visitor,
                "csrf": visitor.csrf if visitor else "",
                **(_state(engine) if visitor else {}),
                **values,
            },
            status_code=status_code,
            headers={"cache-control": "no-store", "vary": "accept-language, cookie"},
        )
        if request.query_params.get("lang") == lang:
            answer.set_cookie(
                LANGUAGE_COOKIE, lang, max_age=365 * 86400, httponly=True, samesite="strict"
            )
        return answer

    return render


def _state(engine: Engine) -> dict[str, Any]:
    """What the frame of a page shows; a page that says the database is down has none."""
    try:
        return {"mark": mark(engine), "waiting": count_waiting(engine)}
    except SQLAlchemyError:
        return {}


def _asking(request: Request, lang: str) -> str:
    """The same page in that language; a page that came of a form has no address of its own."""
    if request.method != "GET":
        return f"/?lang={lang}"
    query = {name: value for name, value in request.query_params.items() if name != "lang"}
    return f"?{urlencode({**query, 'lang': lang})}"
