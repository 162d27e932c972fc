"""Signing in with a token, and out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import Engine

from alerts.desk.access import (
    SESSION_COOKIE,
    Access,
    Visitor,
    csrf_matches,
    csrf_of,
    refuse_other_sites,
    start_session,
)
from alerts.desk.forms import form
from alerts.tokens import MAY, close_session, find_token, open_session

LOGIN_COOKIE = "barograph_login"
"""Ties the form to the browser before there is a session, so that nobody is signed in unawares."""


def own_path(path: str) -> str:
    """Where to go on after signing in: a path of this desk, else its first page."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/"


def router(engine: Engine, access: Access, render: Callable[..., HTMLResponse]) -> APIRouter:
    """The routes; ``render(request, template, values, status_code)`` makes a page."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    signed_in = access.form("read")

    def page(request: Request, going: str, error: str = "", status: int = 200) -> Response:
        secret = request.cookies.get(LOGIN_COOKIE) or secrets.token_urlsafe(32)
        answer = render(
            request,
            "login.html",
            {"next": own_path(going), "error": error, "login_csrf": csrf_of(secret)},
            status_code=status,
        )
        answer.set_cookie(
            LOGIN_COOKIE, secret, max_age=3600, path="/login", httponly=True, samesite="strict"
        )
        return answer

    @routes.get("/login")
    def ask(request: Request, next: str = "/") -> Response:
        if access.is_open():
            return RedirectResponse("/", 303)
        return page(request, next)

    @routes.post("/login")
    def sign_in(request: Request, fields: dict[str, str] = Depends(form)) -> Response:
        refuse_other_sites(request)
        going = fields.get("next", "/")
        secret = request.cookies.get(LOGIN_COOKIE, "")
        if not secret or not csrf_matches(secret, fields.get("csrf", "")):
            return page(request, going, "login_again", 403)
        now = datetime.now(UTC)
        token = find_token(engine, fields.get("token", ""), now)
        if token is None:
            return page(request, going, "login_unknown", 403)
        if "read" not in MAY[token.role]:
            return page(request, going, "login_role", 403)
        answer = RedirectResponse(own_path(going), 303)
        start_session(request, answer, open_session(engine, token, now))
        answer.delete_cookie(LOGIN_COOKIE, path="/login", httponly=True, samesite="strict")
        return answer

    @routes.post("/logout")
    def sign_out(request: Request, visitor: Visitor = Depends(signed_in)) -> RedirectResponse:
        if visitor.token is None:
            raise HTTPException(404, "no token is in use, so nobody is signed in")
        with engine.begin() as connection:
            close_session(connection, request.cookies.get(SESSION_COOKIE, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return answer

    return routes
