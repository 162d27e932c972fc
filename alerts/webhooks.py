"""What a webhook says and how it is signed, after https://www.standardwebhooks.com (v1).

Or as GitHub signs, for receivers that know only that:
https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries

Pure: no network, no clock.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote

from alerts.fitting import fitted
from alerts.records import Alert
from alerts.transitions import changed_at

PREFIX = "whsec_"
Signature = Literal["standard", "github"]

RETRIES = tuple(
    timedelta(seconds=seconds)
    for seconds in (2, 10, 30, 120, 600, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 24 * 3600)
)
"""Waits after each failed attempt; after the last one the delivery is dead (about 42 hours)."""


def decode_secret(secret: str) -> bytes:
    """The key behind ``whsec_…``.

    Raises:
        ValueError: it is not ``whsec_`` and base64 of 24 to 64 bytes.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(
            f"a webhook secret is {PREFIX} and base64 of 24 to 64 random bytes; make one with: "
            f'echo "{PREFIX}$(openssl rand -base64 32)"'
        )
    return key


def signed_headers(
    message_id: str,
    now: datetime,
    body: bytes,
    secrets: Sequence[str],
    style: Signature = "standard",
) -> dict[str, str]:
    """Headers of one attempt.

    Args:
        message_id: the same for every attempt.
        now: the time of this one.
        body: what is sent.
        secrets: what to sign with; with several a receiver may hold any of them; with none
            nothing is signed.
        style: ``github`` signs the body alone, with the first secret as it is written.

    Raises:
        ValueError: a secret is malformed.
    """
    timestamp = str(int(now.timestamp()))
    headers = {
        "content-type": "application/json",
        "user-agent": "Barograph",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
    }
    if not secrets:
        return headers
    if style == "github":
        digest = hmac.new(secrets[0].encode(), body, hashlib.sha256).hexdigest()
        return {**headers, "x-hub-signature-256": f"sha256={digest}"}
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    digests = [hmac.digest(decode_secret(secret), content, hashlib.sha256) for secret in secrets]
    signatures = (f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return {**headers, "webhook-signature": " ".join(signatures)}


def message_id(*parts: str) -> str:
    """A webhook-id that the same parts always give, so that a message made twice is one."""
    return "msg_" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def alert_url(dashboard_url: str, alert_id: str) -> str:
    """Where the desk shows an alert."""
    return f"{dashboard_url.rstrip('/')}/alerts/{quote(alert_id, safe='')}"


def topic_url(dashboard_url: str, topic: str) -> str:
    """Where the desk shows a topic."""
    return f"{dashboard_url.rstrip('/')}/topics/{quote(topic, safe='')}"


def alert_body(alert: Alert, dashboard_url: str) -> str:
    """The JSON text of an alert's message: the alert, its sentence and where to look."""
    # Who wrote a story is told to nobody, not even by a pseudonym.
    data = alert.model_dump(mode="json", exclude={"evidence": {"__all__": {"author"}}})
    data["summary"] = alert.summary
    # The desk has a page of an alert once that has begun to fire.
    data["dashboard_url"] = (
        topic_url(dashboard_url, alert.topic)
        if alert.preliminary
        else alert_url(dashboard_url, alert.id)
    )
    return body(alert.state, changed_at(alert), data)


def body(state: str, occurred_at: datetime, data: dict[str, Any]) -> str:
    """The JSON text of a message, 20 kB at most: see ``alerts.fitting``."""
    timestamp = occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def render(content: dict[str, Any]) -> str:
        message = {"type": f"alert.{state}", "timestamp": timestamp, "data": content}
        return json.dumps(message, ensure_ascii=False, separators=(",", ":"))

    return fitted({**data, "evidence": list(data.get("evidence", ()))}, render)


def next_attempt(
    attempts: int, now: datetime, retry_after: timedelta | None = None, jitter: float | None = None
) -> datetime | None:
    """When to try again after ``attempts`` failed ones; None: never.

    Args:
        attempts: attempts made so far, at least 1.
        now: the time of the failure.
        retry_after: what the receiver asked for; it may lengthen the wait to a day at most.
        jitter: 0 to 1, lengthens the wait by up to a fifth; None draws it, so that receivers
            that were down together are not all met at one moment.
    """
    if attempts > len(RETRIES):
        return None
    wait = RETRIES[attempts - 1] * (1 + 0.2 * (random.random() if jitter is None else jitter))
    if retry_after is not None:
        wait = max(wait, min(retry_after, RETRIES[-1]))
    return now + wait


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for (seconds or an HTTP date), if it says one."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return timedelta(seconds=min(int(header), 10**6))
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(at.replace(tzinfo=at.tzinfo or UTC) - now, timedelta(0))
