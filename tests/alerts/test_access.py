from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from starlette.testclient import TestClient

from alerts.acts import acknowledgements_of, silences_of
from alerts.corrections import list_corrections
from alerts.desk.access import FORWARDED, SESSION_COOKIE, is_loopback
from alerts.desk.login import own_path
from alerts.settings import DeliverySettings
from alerts.store import audit_rows
from alerts.tables import audit
from alerts.tokens import create_token, revoke_token
from tests.alerts.examples import alert, evidence, resolved, worse
from tests.alerts.test_desk import client, notification, store

DIRECT = DeliverySettings(mode="direct")
ALERT = f"/alerts/{quote(alert().id)}"
READS = ("/api/v1/topics", "/api/v1/alerts", "/api/v1/corrections", "/api/v1/windows?topic=x")
PAGES = ("/", "/alerts", ALERT, "/topics/class:macro", "/events")


def token(engine: Engine, role: str, name: str = "") -> str:
    return create_token(engine, name or role, role, datetime.now(UTC))


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', page)
    assert found, page
    return found[1]


def sign_in(desk: TestClient, secret: str) -> None:
    fields = {"csrf": csrf(desk.get("/login").text), "token": secret, "next": ALERT}
    answer = desk.post("/login", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, ALERT)


@pytest.fixture
def closed(engine: Engine) -> Iterator[TestClient]:
    """A desk in use with tokens."""
    store(engine, alert())
    token(engine, "admin", "first")
    with client(engine) as desk:
        yield desk


def test_once_a_token_exists_one_is_needed(engine: Engine) -> None:
    store(engine, alert())
    with client(engine) as desk:
        assert desk.get("/").status_code == 200
        assert desk.get("/api/v1/topics").status_code == 200
        assert desk.get("/login").headers["location"] == "/"
        secret = token(engine, "read")
        for path in PAGES:
            answer = desk.get(path)
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (
                303,
                "/login",
            )
        for path in READS:
            answer = desk.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert desk.get(path, headers=bearer(secret)).status_code == 200
            assert desk.get(path, headers=bearer(f"{secret}x")).status_code == 401
        # Without a live token nobody gets in, rather than everybody.
        revoke_token(engine, "read", datetime.now(UTC))
        assert desk.get("/api/v1/topics", headers=bearer(secret)).status_code == 401
        assert desk.get("/").status_code == 303
        for path in ("/healthz", "/readyz", "/metrics", "/login", "/static/desk.css"):
            assert desk.get(path).status_code == 200


def test_a_desk_that_others_reach_is_never_open(engine: Engine) -> None:
    with client(engine, local=False) as desk:
        assert desk.get("/").status_code == 303
        assert desk.get("/api/v1/topics").status_code == 401
        assert desk.post("/api/v1/alertmanager", json=notification()).status_code == 401


@pytest.mark.parametrize(
    ("role", "reads", "acts", "feeds"),
    [
        ("read", 200, 403, 403),
        ("act", 200, 201, 403),
        ("ingest", 403, 403, 503),  # allowed, and not connected to the stream
        ("admin", 200, 201, 503),
    ],
)
def test_roles(
    engine: Engine, closed: TestClient, role: str, reads: int, acts: int, feeds: int
) -> None:
    headers = bearer(token(engine, role))
    assert closed.get("/api/v1/alerts", headers=headers).status_code == reads
    path = f"/api/v1{ALERT}/acknowledge"
    assert closed.post(path, headers=headers, json={}).status_code == acts
    body = '{"text": "a", "source": "b"}'
    assert closed.post("/api/v1/documents", headers=headers, content=body).status_code == feeds


def test_a_session_is_opened_with_a_token_and_closed(engine: Engine, closed: TestClient) -> None:
    secret = token(engine, "act", "ana")
    sign_in(closed, secret)
    cookie = closed.cookies[SESSION_COOKIE]
    page = closed.get("/").text
    assert "signed in as ana" in page
    assert secret not in page
    assert cookie not in page
    # The API takes tokens only: no other site's form can use the cookie there.
    assert closed.post(f"/api/v1{ALERT}/acknowledge", json={}).status_code == 401
    answer = closed.post("/logout", data={"csrf": csrf(page)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    closed.cookies.set(SESSION_COOKIE, cookie)
    assert closed.get("/").status_code == 303
    kinds = [row.kind for row in audit_rows(engine, "ana")]
    assert kinds == ["token.created", "session.opened"]


def test_cookies_are_for_the_desk_alone(engine: Engine, closed: TestClient) -> None:
    page = closed.get("/login")
    fields = {"csrf": csrf(page.text), "token": token(engine, "read")}
    answer = closed.post("/login", data=fields)
    for cookie in (page.headers["set-cookie"], answer.headers.get_list("set-cookie")[0]):
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
    closed.base_url = "https://127.0.0.1"
    closed.cookies.clear()
    sign = {**fields, "csrf": csrf(closed.get("/login").text)}
    assert "Secure" in closed.post("/login", data=sign).headers["set-cookie"]


@pytest.mark.parametrize("given", ["", "wrong", "barograph_", "é"])
def test_a_wrong_token_opens_nothing(closed: TestClient, given: str) -> None:
    data = {"csrf": csrf(closed.get("/login").text), "token": given}
    answer = closed.post("/login", data=data)
    assert answer.status_code == 403
    assert "That token is unknown" in answer.text
    assert SESSION_COOKIE not in closed.cookies


def test_a_token_for_documents_opens_no_page(engine: Engine, closed: TestClient) -> None:
    secret = token(engine, "ingest")
    answer = closed.post("/login", data={"csrf": csrf(closed.get("/login").text), "token": secret})
    assert answer.status_code == 403
    assert secret not in answer.text


def test_nobody_is_signed_in_by_another_site(engine: Engine, closed: TestClient) -> None:
    secret = token(engine, "read")
    theirs = csrf(closed.get("/login").text)
    closed.cookies.clear()  # the other site's page has a form, and not the cookie with it
    assert closed.post("/login", data={"csrf": theirs, "token": secret}).status_code == 403
    ours = csrf(closed.get("/login").text)
    answer = closed.post(
        "/login",
        data={"csrf": ours, "token": secret},
        headers={"sec-fetch-site": "cross-site"},
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("act", ["acknowledge", "silence", "correct"])
def test_a_form_needs_its_csrf_token_and_the_role(
    engine: Engine, closed: TestClient, act: str
) -> None:
    fields = {"name": "Ana", "minutes": "60", "label": "neutral", "document": "story-1"}
    assert closed.post(f"{ALERT}/{act}", data=fields).headers["location"].startswith("/login")
    sign_in(closed, token(engine, "act"))
    for wrong in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}):
        assert closed.post(f"{ALERT}/{act}", data={**fields, **wrong}).status_code == 403
    right = csrf(closed.get(ALERT).text)
    done = closed.post(f"{ALERT}/{act}", data={**fields, "csrf": right})
    assert (done.status_code, done.headers["location"]) == (303, ALERT)
    closed.cookies.clear()
    sign_in(closed, token(engine, "read"))
    page = closed.get(ALERT).text
    assert f"{ALERT}/{act}" not in page
    assert closed.post(f"{ALERT}/{act}", data={**fields, "csrf": csrf(page)}).status_code == 403


def test_acting_from_the_page(engine: Engine) -> None:
    store(
        engine, alert(), worse(evidence=(evidence(1), evidence(3))), resolved(severity="critical")
    )
    with client(engine, DIRECT) as desk:
        right = {"csrf": csrf(desk.get(ALERT).text), "name": "Ana <i>"}
        desk.post(f"{ALERT}/acknowledge", data={**right, "comment": "mine\x00 <b>"})
        desk.post(f"{ALERT}/silence", data={**right, "minutes": "240"})
        desk.post(f"{ALERT}/correct", data={**right, "document": "story-3", "label": "positive"})
        page = desk.get(ALERT).text
        assert 'name="name" value="Ana &lt;i&gt;"' in page  # remembered
        assert "acknowledged by Ana &lt;i&gt;" in page
        assert "<q>mine &lt;b&gt;</q>" in page
        assert "silenced until" in page
        assert "End the silence" in page
        assert "corrected to positive by Ana" in page
        assert "1 correction waits for export" in page
        weather = desk.get("/").text
        assert weather.index("Lately resolved") < weather.index("acknowledged by Ana &lt;i&gt;")
    (seen,) = acknowledgements_of(engine, [alert().id])[alert().id]
    assert (seen.by, seen.comment) == ("Ana <i>", "mine <b>")
    (quiet,) = silences_of(engine, alert().id)
    assert (quiet.until - quiet.at).total_seconds() == 240 * 60
    with client(engine, DIRECT) as desk:
        again = {"csrf": csrf(desk.get(ALERT).text), "name": "Bo"}
        desk.post(f"{ALERT}/unsilence", data=again)
        assert "End the silence" not in desk.get(ALERT).text
    (fixed,) = list_corrections(engine)
    assert (fixed.text, fixed.old, fixed.new, fixed.alert_id) == (
        "Bank 3 halts withdrawals",
        "negative",
        "positive",
        alert().id,
    )


@pytest.mark.parametrize(
    ("act", "fields", "status"),
    [
        ("acknowledge", {"name": ""}, 422),
        ("acknowledge", {"name": "x" * 101}, 422),
        ("acknowledge", {"name": "a\nb"}, 422),
        ("acknowledge", {"name": "Ana", "comment": "x" * 2001}, 422),
        ("acknowledge", {"name": "Ana", "comment": "x" * 70_000}, 413),
        ("silence", {"name": "Ana", "minutes": "999999"}, 422),
        ("silence", {"name": "Ana"}, 422),
        ("correct", {"name": "Ana", "document": "story-1", "label": "odd"}, 422),
        ("correct", {"name": "Ana", "document": "story-9", "label": "neutral"}, 404),
    ],
)
def test_what_a_form_may_not_say(
    engine: Engine, act: str, fields: dict[str, str], status: int
) -> None:
    store(engine, alert())
    with client(engine) as desk:
        right = {"csrf": csrf(desk.get(ALERT).text)}
        assert desk.post(f"{ALERT}/{act}", data={**right, **fields}).status_code == status
        assert desk.post(f"/alerts/none/{act}", data={**right, "name": "Ana", "minutes": "60"})
        assert desk.post(f"{ALERT}/{act}", json={**right, **fields}).status_code == 415


def test_without_tokens_only_this_machine_is_answered(engine: Engine) -> None:
    store(engine, alert())
    with client(engine) as desk:
        for host in ("127.0.0.1:8080", "localhost", "[::1]:80"):
            assert desk.get("/", headers={"host": host}).status_code == 200
        for name in FORWARDED:
            answer = desk.get("/", headers={name: "10.0.0.1"})
            assert answer.status_code == 403
            assert "barograph tokens create" in answer.text
        # A page elsewhere whose name was led to this machine is still a page elsewhere.
        for host in ("evil.example", "127.0.0.1.evil.example", "[::1", ""):
            assert desk.get("/", headers={"host": host}).status_code == 403
            assert desk.get("/api/v1/topics", headers={"host": host}).status_code == 403
        post = {"url": f"/api/v1{ALERT}/acknowledge", "json": {}}
        assert desk.post(**post, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert desk.post(**post, headers={"sec-fetch-site": "same-origin"}).status_code == 201
        # No browser is asked where Alertmanager and Prometheus are.
        for path in ("/metrics", "/healthz"):
            assert desk.get(path, headers={"host": "barograph"}).status_code == 200
    with engine.connect() as connection:
        kinds = connection.scalars(sa.select(audit.c.kind)).all()
    assert kinds.count("alert.acknowledged") == 1


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("desk.example", False),
        ("", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_after_signing_in_one_stays_on_the_desk() -> None:
    assert own_path("/topics/watch:acme") == "/topics/watch:acme"
    for elsewhere in ("//evil.example", "/\\evil.example", "https://evil.example", "", "/\n/x"):
        assert own_path(elsewhere) == "/"
