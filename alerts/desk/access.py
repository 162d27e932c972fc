"""Who asks, and what they may do.

On a loopback address and with no token ever made, whoever reaches the desk is on this machine and
may do everything. Otherwise the API wants a bearer token and the pages a session, which a token
opens.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlsplit

from fastapi import Depends, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine

from alerts.acts import Actor
from alerts.desk.forms import form
from alerts.tokens import MAY, ROLES, SESSION, Role, ever_made, find_token, session_token

SESSION_COOKIE = "barograph_session"
NAME_COOKIE = "barograph_name"
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
SAFE = ("GET", "HEAD", "OPTIONS")

bearer = HTTPBearer(auto_error=False, description="made by `barograph tokens create`")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def csrf_of(secret: str) -> str:
    """What a form must bring along to prove that it is from a page only this browser was given."""
    return hashlib.sha256(b"csrf:" + secret.encode("utf-8", "replace")).hexdigest()


def csrf_matches(secret: str, given: str) -> bool:
    """Whether a form brought what belongs to the secret."""
    return hmac.compare_digest(csrf_of(secret).encode(), given.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks; ``token`` is none where no tokens are in use."""

    may: frozenset[Role]
    csrf: str = ""
    token: str | None = None
    name: str = ""

    def actor(self, name: str = "") -> Actor:
        """The same as somebody who acts, under the name given or else the token's."""
        return Actor(name or self.token or "local", self.token)


class SignInNeeded(Exception):
    """A page is asked for without a session."""


class Access:
    """Tells visitors apart.

    Args:
        engine: where tokens and sessions are.
        local: whether the desk listens on a loopback address only.
    """

    def __init__(self, engine: Engine, local: bool) -> None:
        self._engine = engine
        self.local = local
        self._secret = secrets.token_urlsafe(32)

    def is_open(self) -> bool:
        """Whether no token is wanted."""
        return self.local and not ever_made(self._engine)

    def api(self, role: Role) -> Callable[..., Visitor]:
        """A dependency that lets in whoever may do this with a bearer token."""

        def visitor(
            request: Request,
            credentials: HTTPAuthorizationCredentials | None = Depends(bearer),
        ) -> Visitor:
            if self.is_open():
                return self._neighbour(request)
            if credentials is None:
                raise HTTPException(
                    401, "a bearer token is needed", headers={"www-authenticate": "Bearer"}
                )
            token = find_token(self._engine, credentials.credentials, datetime.now(UTC))
            if token is None:
                raise HTTPException(
                    401,
                    "the bearer token is unknown or revoked",
                    headers={"www-authenticate": "Bearer"},
                )
            if role not in MAY[token.role]:
                raise HTTPException(403, f"a token of role {token.role} may not do this")
            return Visitor(MAY[token.role], token=token.name, name=token.name)

        return visitor

    def page(self, role: Role) -> Callable[..., Visitor]:
        """A dependency that lets in whoever may do this with a session; see ``form`` for forms."""

        def visitor(request: Request) -> Visitor:
            found = self.visitor(request)
            if role not in found.may:
                raise HTTPException(403, "this token may look, and not act")
            return found

        return visitor

    def form(self, role: Role) -> Callable[..., Visitor]:
        """The same for a form that was sent, which must bring the page's CSRF token."""
        page = self.page(role)

        def visitor(
            found: Visitor = Depends(page), fields: dict[str, str] = Depends(form)
        ) -> Visitor:
            if not hmac.compare_digest(
                found.csrf.encode(), fields.get("csrf", "").encode("utf-8", "replace")
            ):
                raise HTTPException(403, "this form is from another session: load the page again")
            return found

        return visitor

    def visitor(self, request: Request) -> Visitor:
        """Whoever asks for a page.

        Raises:
            SignInNeeded: a token is wanted, and the browser has no session.
        """
        if self.is_open():
            return self._neighbour(request)
        secret = request.cookies.get(SESSION_COOKIE, "")
        token = session_token(self._engine, secret, datetime.now(UTC)) if secret else None
        if token is None:
            raise SignInNeeded
        return Visitor(
            MAY[token.role],
            csrf=csrf_of(secret),
            token=token.name,
            name=remembered_name(request) or token.name,
        )

    def _neighbour(self, request: Request) -> Visitor:
        """Somebody on this machine, unless another site has sent their browser here."""
        if not is_direct(request):
            raise HTTPException(
                403,
                "others than this machine need a token: barograph tokens create NAME --role act",
            )
        if request.method not in SAFE:
            refuse_other_sites(request)
        return Visitor(frozenset(ROLES), csrf=csrf_of(self._secret), name=remembered_name(request))


def is_direct(request: Request) -> bool:
    """Whether a request is to a loopback name, and no proxy says that it has passed it on.

    A page of another site whose name was made to lead to this machine has another name.
    """
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return is_loopback(host) and not any(name in request.headers for name in FORWARDED)


def refuse_other_sites(request: Request) -> None:
    """Raise 403 where the browser says that another site's page has sent this."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise HTTPException(403, "sent by a page of another site")


def remembered_name(request: Request) -> str:
    """The name that was last given in this browser."""
    return unquote(request.cookies.get(NAME_COOKIE, ""))[:100]


def remember_name(response: Response, name: str) -> None:
    """Fill in the name from now on."""
    response.set_cookie(
        NAME_COOKIE, quote(name), max_age=365 * 86400, httponly=True, samesite="strict"
    )


def start_session(request: Request, response: Response, secret: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=int(SESSION.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
