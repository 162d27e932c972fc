from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.store import audit_rows
from alerts.tables import metadata
from alerts.tokens import (
    PREFIX,
    SESSION,
    TokenError,
    any_live,
    close_session,
    create_token,
    ever_made,
    find_token,
    list_tokens,
    open_session,
    revoke_token,
    session_token,
)
from tests.alerts.examples import NOON


def test_a_token_is_known_until_it_is_revoked(any_engine: Engine) -> None:
    assert not ever_made(any_engine)
    secret = create_token(any_engine, "ana", "act", NOON)
    assert secret.startswith(PREFIX)
    assert any_live(any_engine)
    later = NOON + timedelta(hours=1)
    token = find_token(any_engine, secret, later)
    assert token is not None
    assert (token.name, token.role) == ("ana", "act")
    assert find_token(any_engine, f"{secret}x", later) is None
    assert find_token(any_engine, "", later) is None
    assert [(t.name, t.created_at, t.used_at) for t in list_tokens(any_engine)] == [
        ("ana", NOON, later)
    ]
    revoke_token(any_engine, "ana", later)
    assert find_token(any_engine, secret, later) is None
    assert ever_made(any_engine)
    assert not any_live(any_engine)
    assert [row.kind for row in audit_rows(any_engine, "ana")] == ["token.created", "token.revoked"]


def test_a_name_is_free_again_once_its_token_is_revoked(any_engine: Engine) -> None:
    first = create_token(any_engine, "ana", "read", NOON)
    with pytest.raises(TokenError, match="revoke it first"):
        create_token(any_engine, "ana", "read", NOON)
    revoke_token(any_engine, "ana", NOON)
    second = create_token(any_engine, "ana", "admin", NOON)
    assert first != second
    assert find_token(any_engine, first, NOON) is None
    found = find_token(any_engine, second, NOON)
    assert found is not None
    assert found.role == "admin"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_names_that_could_not_be_shown_are_refused(engine: Engine, name: str) -> None:
    with pytest.raises(TokenError):
        create_token(engine, name, "read", NOON)
    with pytest.raises(TokenError, match="no such role"):
        create_token(engine, "ana", "root", NOON)
    with pytest.raises(TokenError, match="no token is called"):
        revoke_token(engine, "ana", NOON)


def test_a_session_ends_by_time_by_leaving_and_with_its_token(any_engine: Engine) -> None:
    token = find_token(any_engine, create_token(any_engine, "ana", "act", NOON), NOON)
    assert token is not None
    first, second = (open_session(any_engine, token, NOON) for _ in range(2))
    assert session_token(any_engine, first, NOON) is not None
    assert session_token(any_engine, first, NOON + SESSION) is None
    assert session_token(any_engine, "other", NOON) is None
    with any_engine.begin() as connection:
        close_session(connection, first)
    assert session_token(any_engine, first, NOON) is None
    assert session_token(any_engine, second, NOON) is not None
    revoke_token(any_engine, "ana", NOON)
    assert session_token(any_engine, second, NOON) is None


def test_no_secret_is_in_the_database(engine: Engine) -> None:
    secret = create_token(engine, "ana", "act", NOON)
    token = find_token(engine, secret, NOON)
    assert token is not None
    session = open_session(engine, token, NOON)
    with engine.connect() as connection:
        stored = [
            repr(row)
            for table in metadata.sorted_tables
            for row in connection.execute(sa.select(table))
        ]
    assert stored
    assert not [row for row in stored if secret in row or session in row]
