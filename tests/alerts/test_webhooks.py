from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from alerts.webhooks import (
    RETRIES,
    alert_body,
    alert_url,
    decode_secret,
    message_id,
    next_attempt,
    retry_after,
    signed_headers,
)
from tests.alerts.examples import NOON, OTHER_SECRET, SECRET, resolved, target


@given(st.text(max_size=300))
def test_the_reference_library_accepts_the_signature(text: str) -> None:
    body = json.dumps({"text": text}, ensure_ascii=True).encode()
    headers = signed_headers("msg_1", datetime.now(UTC), body, [SECRET])
    assert Webhook(SECRET).verify(body, headers) == {"text": text}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET).verify(body, headers)


def test_while_secrets_rotate_either_is_accepted() -> None:
    headers = signed_headers("msg_1", datetime.now(UTC), b"{}", [SECRET, OTHER_SECRET])
    for secret in (SECRET, OTHER_SECRET):
        assert Webhook(secret).verify(b"{}", headers) == {}


def test_the_body_says_what_happened() -> None:
    message = json.loads(alert_body(resolved(), "http://desk.example/"))
    assert message["type"] == "alert.resolved"
    assert message["timestamp"] == "2025-03-04T13:00:00Z"
    data = message["data"]
    assert data["dashboard_url"] == "http://desk.example/alerts/class%3Amacro-1741089600"
    assert data["summary"] == resolved().summary
    assert [story["id"] for story in data["evidence"]] == ["story-1", "story-2"]
    assert data["baseline"]["negative_stories"] == 2.2


def test_the_style_of_github() -> None:
    """The example of its documentation."""
    secret, text = "It's a Secret to Everybody", b"Hello, World!"
    headers = signed_headers("msg_1", NOON, text, [secret], "github")
    assert headers["x-hub-signature-256"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )
    assert headers["webhook-id"] == "msg_1"
    assert "webhook-signature" not in headers


def test_without_a_secret_nothing_is_signed() -> None:
    assert not [name for name in signed_headers("msg_1", NOON, b"", []) if "signature" in name]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"secret": None}, "target risk needs a secret"),
        ({"secret": None, "format": "json"}, "target risk needs a secret"),
        ({"format": "slack", "secret": "short"}, "whsec_"),
        ({"signature": "github", "secret": "short"}, "16 characters"),
        ({"signature": "github", "previous_secret": OTHER_SECRET}, "room for one signature"),
        ({"format": "xml"}, "standard"),
    ],
)
def test_a_target_that_cannot_sign_is_refused(changes: dict[str, str | None], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as error:
        target("https://risk.example/token", **changes)
    assert "token" not in str(error.value)


def test_a_chat_needs_no_secret() -> None:
    assert target(secret=None, format="slack").secrets == ()
    assert target(secret="any text of 16 letters", signature="github").secrets


def test_an_id_is_the_same_for_the_same_parts_only() -> None:
    assert message_id("a", "b") == message_id("a", "b")
    assert message_id("a", "b") != message_id("ab", "")


def test_an_alert_id_cannot_leave_its_place_in_the_address() -> None:
    assert alert_url("http://d", "a/../b?c#d") == "http://d/alerts/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize("secret", ["", "abc", "whsec_", "whsec_!!!", "whsec_YWJj", SECRET[6:]])
def test_a_bad_secret_is_refused_in_the_settings(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        decode_secret(secret)
    with pytest.raises(ValidationError, match="whsec_"):
        target(secret=secret)


def test_a_previous_secret_signs_too() -> None:
    assert target(previous_secret=OTHER_SECRET).secrets == (SECRET, OTHER_SECRET)
    assert target().secrets == (SECRET,)


def test_retries_back_off_and_end() -> None:
    waits = []
    for attempts in range(1, len(RETRIES) + 1):
        early = next_attempt(attempts, NOON, jitter=0)
        late = next_attempt(attempts, NOON, jitter=1)
        drawn = next_attempt(attempts, NOON)
        assert early is not None
        assert late is not None
        assert drawn is not None
        assert early <= drawn <= late
        waits.append(early - NOON)
    assert waits == sorted(waits)
    assert next_attempt(len(RETRIES) + 1, NOON) is None


def test_a_receiver_may_ask_for_more_time_but_not_for_ever() -> None:
    assert next_attempt(1, NOON, timedelta(minutes=3), 0) == NOON + timedelta(minutes=3)
    assert next_attempt(1, NOON, timedelta(days=30), 0) == NOON + timedelta(days=1)
    assert next_attempt(4, NOON, timedelta(seconds=1), 0) == NOON + RETRIES[3]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        ("Tue, 04 Mar 2025 12:01:00 GMT", 60),
        ("Tue, 04 Mar 2025 11:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after(header: str | None, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after(header, NOON) == expected
