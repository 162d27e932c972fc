"""Receivers that fail, are slow, or die: each notification arrives, in order, and is accounted for.

The clock is the test's: a minute of failures takes no minute.
"""

from __future__ import annotations

import http.server
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from alerts.audit import entries
from alerts.chain import check
from alerts.outbox import deliver_due, enqueue, open_client, transition_message
from alerts.settings import WebhookTarget
from alerts.store import audit_rows, list_deliveries
from alerts.webhooks import RETRIES
from tests.alerts.examples import NOON, alert, resolved, target, worse
from tests.servers import WebhookReceiver, serving

SECOND = timedelta(seconds=1)
NAMES = ("a", "b", "c")


def put(engine: Engine, there: WebhookTarget) -> None:
    """Three alerts that begin, get worse and end; what ends first is put in first."""
    with engine.begin() as connection:
        for change in (resolved, worse, alert):
            for name in NAMES:
                transition = change(id=name, severity="warning" if change is alert else "critical")
                message = transition_message(transition, "http://desk.example")
                enqueue(connection, [there], message, NOON)


def run(
    engine: Engine,
    there: WebhookTarget,
    client: httpx.Client,
    until: Callable[[datetime], bool],
    step: timedelta = SECOND,
) -> datetime:
    """Look into the outbox again and again until all is delivered; ``until`` sees each time."""
    now = NOON
    while any(row.status == "pending" for row in list_deliveries(engine)):
        deliver_due(engine, [there], client, now)
        now += step
        assert until(now), f"not delivered by {now}"
    return now


def all_is_told_in_order(engine: Engine, taken: list[tuple[str, bytes]]) -> None:
    """What the receiver took, repeats dropped by their webhook-id as a receiver does."""
    once = dict(taken)
    assert len(once) == 3 * len(NAMES)
    told: dict[str, list[tuple[str, str]]] = {}
    for body in once.values():
        message = json.loads(body)
        data = message["data"]
        told.setdefault(data["id"], []).append((message["type"], data["severity"]))
    expected = [
        ("alert.firing", "warning"),
        ("alert.firing", "critical"),
        ("alert.resolved", "critical"),
    ]
    assert told == dict.fromkeys(NAMES, expected)
    assert all(len(bodies) == 1 for bodies in by_id(taken).values())
    every_attempt_is_audited(engine)


def by_id(taken: list[tuple[str, bytes]]) -> dict[str, set[bytes]]:
    """The bodies that came with each id: a repeat must be the same."""
    found: dict[str, set[bytes]] = {}
    for identity, body in taken:
        found.setdefault(identity, set()).add(body)
    return found


def every_attempt_is_audited(engine: Engine) -> None:
    for row in list_deliveries(engine):
        kinds = [
            (each.kind, each.detail["attempt"])
            for each in audit_rows(engine, row.alert_id)
            if each.detail["delivery"] == row.id
        ]
        failed = [("delivery.failed", number) for number in range(1, row.attempts)]
        assert kinds == [*failed, ("delivery.delivered", row.attempts)]
    assert check(entries(engine)).fault is None


def received(receiver: WebhookReceiver) -> list[tuple[str, bytes]]:
    return [(request.headers["webhook-id"], request.body) for request in receiver.requests]


def test_a_receiver_that_fails_for_a_minute(
    any_engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    put(any_engine, there)
    back = NOON + timedelta(minutes=1)
    refused = 0

    def clock(now: datetime) -> bool:
        nonlocal refused
        if now == back:
            refused = len(webhook_receiver.requests)
        webhook_receiver.status = 503 if now < back else 200
        return now < NOON + timedelta(minutes=5)

    webhook_receiver.status = 503
    with open_client() as client:
        end = run(any_engine, there, client, clock)
    # Only what begins an alert is tried meanwhile, and less and less often.
    assert len(NAMES) < refused <= 4 * len(NAMES)
    taken = received(webhook_receiver)[refused:]
    assert Counter(identity for identity, _ in taken).most_common(1)[0][1] == 1
    all_is_told_in_order(any_engine, taken)
    # No longer than the wait after the fourth failure, with its jitter.
    assert end - back < 1.2 * RETRIES[3] + 5 * SECOND


def test_a_receiver_that_answers_too_late(
    engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    there = target(webhook_receiver.url)
    put(engine, there)
    webhook_receiver.hold.clear()

    def clock(now: datetime) -> bool:
        if now > NOON + 5 * SECOND:
            webhook_receiver.hold.set()
        return now < NOON + timedelta(minutes=5)

    with httpx.Client(timeout=0.2, trust_env=False) as client:
        run(engine, there, client, clock)
    # It took them though it answered too late: whoever looks at the id drops the repeats.
    assert len(webhook_receiver.requests) > 3 * len(NAMES)
    all_is_told_in_order(engine, received(webhook_receiver))


@dataclass
class Dying:
    """A receiver that ends in the middle of the first requests, each time somewhere else."""

    url: str = ""
    deaths: list[str] = field(default_factory=lambda: ["headers", "body", "answer", "reset"])
    died: list[str] = field(default_factory=list)
    taken: list[tuple[str, bytes]] = field(default_factory=list)


@contextmanager
def dying() -> Iterator[Dying]:
    state = Dying()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            how = state.deaths.pop(0) if state.deaths else ""
            if how:
                state.died.append(how)
                self.close_connection = True
            if how == "headers":
                return
            body = self.rfile.read(length // 2 if how == "body" else length)
            if how == "body":
                return
            if how == "reset":
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            if how == "answer":
                self.wfile.write(b"HTTP/1.1 20")
                return
            state.taken.append((self.headers["webhook-id"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler) as address:
        state.url = f"{address}/"
        yield state


def test_a_receiver_that_dies_in_the_middle(any_engine: Engine) -> None:
    with dying() as receiver:
        there = target(receiver.url)
        put(any_engine, there)
        with open_client() as client:
            run(any_engine, there, client, lambda now: now < NOON + timedelta(minutes=5))
    assert receiver.died == ["headers", "body", "answer", "reset"]
    assert len(receiver.taken) == 3 * len(NAMES)
    all_is_told_in_order(any_engine, receiver.taken)
    errors = [
        each.detail["error"]
        for name in NAMES
        for each in audit_rows(any_engine, name)
        if each.kind == "delivery.failed"
    ]
    assert len(errors) == 4
    assert all(errors)


@pytest.mark.parametrize("minutes", [5, 60 * 24])
def test_a_receiver_that_is_away_gets_it_when_it_is_back(engine: Engine, minutes: int) -> None:
    """Nobody listens at the port; then somebody does. A day is well within the schedule."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    there = target(f"http://127.0.0.1:{port}/")
    put(engine, there)
    away = NOON + timedelta(minutes=minutes)
    step = timedelta(minutes=minutes / 100)
    with open_client() as client:
        now = NOON
        while now < away:
            deliver_due(engine, [there], client, now)
            now += step
        with listening(port) as receiver:
            while any(row.status == "pending" for row in list_deliveries(engine)):
                deliver_due(engine, [there], client, now)
                now += step
                assert now < away + timedelta(days=2)
    all_is_told_in_order(engine, receiver)


@contextmanager
def listening(port: int) -> Iterator[list[tuple[str, bytes]]]:
    """A receiver at this very port; what it took."""
    taken: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append((self.headers["webhook-id"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler, port):
        yield taken
