"""Tokens: who may do what at the desk. A token is shown when it is made, and only its hash kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from alerts.store import put_audit
from alerts.tables import sessions, tokens

Role = Literal["read", "act", "ingest", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

MAY: dict[str, frozenset[Role]] = {
    "read": frozenset({"read"}),
    "act": frozenset({"read", "act"}),
    "ingest": frozenset({"ingest"}),
    "admin": frozenset(ROLES),
}
"""What each role may do."""

PREFIX = "barograph_"
"""Begins every token, so that a scanner for secrets finds one that went astray."""

SESSION = timedelta(hours=12)
"""How long a browser stays signed in."""

NOTE_USE_EVERY = timedelta(minutes=10)
"""How exact ``used_at`` is, so that reading does not become writing."""


class TokenError(Exception):
    """A token cannot be made or revoked; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; not the token itself."""

    id: int
    name: str
    role: Role
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


_KNOWN = (
    tokens.c.id,
    tokens.c.name,
    tokens.c.role,
    tokens.c.created_at,
    tokens.c.used_at,
    tokens.c.revoked_at,
)


def digest_of(secret: str) -> str:
    """SHA-256 in hexadecimal; enough for 32 random bytes, which nobody can guess."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def create_token(engine: Engine, name: str, role: str, now: datetime) -> str:
    """Make a token and return it; nothing can show it again.

    Raises:
        TokenError: the name is taken by a token that is not revoked, is empty, over 100 characters
            or not printable, or there is no such role.
    """
    if role not in ROLES:
        raise TokenError(f"no such role: {role}; there are {', '.join(ROLES)}")
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise TokenError("a token's name has 1 to 100 printable characters")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = {"name": name, "role": role, "digest": digest_of(secret), "created_at": now}
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(tokens).values(row))
            put_audit(connection, now, "token.created", name, {"role": role})
    except IntegrityError:
        raise TokenError(
            f"there is a token {name} already: revoke it first (barograph tokens revoke {name})"
        ) from None
    return secret


def list_tokens(engine: Engine) -> list[Token]:
    """All tokens, revoked ones too, oldest first."""
    with engine.connect() as connection:
        return [_token(row) for row in connection.execute(sa.select(*_KNOWN).order_by(tokens.c.id))]


def revoke_token(engine: Engine, name: str, now: datetime) -> None:
    """End a token and every session opened with it, from the next request on.

    Raises:
        TokenError: no live token has that name.
    """
    with engine.begin() as connection:
        revoked = connection.scalar(
            sa.update(tokens)
            .where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(tokens.c.id)
        )
        if revoked is None:
            raise TokenError(f"no token is called {name}: barograph tokens list")
        connection.execute(sa.delete(sessions).where(sessions.c.token_id == revoked))
        put_audit(connection, now, "token.revoked", name, {})


def ever_made(engine: Engine) -> bool:
    """Whether any token exists, be it revoked."""
    with engine.connect() as connection:
        return connection.scalar(sa.select(tokens.c.id).limit(1)) is not None


def any_live(engine: Engine) -> bool:
    """Whether any token exists that is not revoked."""
    live = sa.select(tokens.c.id).where(tokens.c.revoked_at.is_(None)).limit(1)
    with engine.connect() as connection:
        return connection.scalar(live) is not None


def find_token(engine: Engine, secret: str, now: datetime) -> Token | None:
    """The live token of this secret, its use noted; else None."""
    query = sa.select(*_KNOWN).where(
        tokens.c.digest == digest_of(secret), tokens.c.revoked_at.is_(None)
    )
    with engine.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else _used(engine, _token(row), now)


def _used(engine: Engine, token: Token, now: datetime) -> Token:
    if token.used_at is None or now - token.used_at > NOTE_USE_EVERY:
        with engine.begin() as connection:
            connection.execute(sa.update(tokens).where(tokens.c.id == token.id).values(used_at=now))
    return token


def open_session(engine: Engine, token: Token, now: datetime) -> str:
    """Begin a browser's session; returns the secret for its cookie."""
    secret = secrets.token_urlsafe(32)
    with engine.begin() as connection:
        connection.execute(sa.delete(sessions).where(sessions.c.expires_at <= now))
        connection.execute(
            sa.insert(sessions).values(
                digest=digest_of(secret),
                token_id=token.id,
                created_at=now,
                expires_at=now + SESSION,
            )
        )
        put_audit(connection, now, "session.opened", token.name, {"role": token.role})
    return secret


def session_token(engine: Engine, secret: str, now: datetime) -> Token | None:
    """The token behind a session that is neither over nor revoked."""
    query = (
        sa.select(*_KNOWN)
        .join(sessions, sessions.c.token_id == tokens.c.id)
        .where(
            sessions.c.digest == digest_of(secret),
            sessions.c.expires_at > now,
            tokens.c.revoked_at.is_(None),
        )
    )
    with engine.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else _used(engine, _token(row), now)


def close_session(connection: Connection, secret: str) -> None:
    """End a browser's session; one that is over already is left so."""
    connection.execute(sa.delete(sessions).where(sessions.c.digest == digest_of(secret)))


def _token(row: Any) -> Token:
    return Token(**row._mapping)
