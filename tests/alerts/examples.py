"""Records for the tests of this package."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.records import (
    Alert,
    AlertWindow,
    Evidence,
    Expectation,
    ModelName,
    Window,
)
from alerts.settings import WebhookTarget

NOON = datetime(2025, 3, 4, 12, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


def window(
    topic: str = "class:macro",
    start: datetime = NOON,
    seconds: int = 3600,
    documents: int = 12,
    **changes: Any,
) -> Window:
    values: dict[str, Any] = {
        "topic": topic,
        "start": start,
        "end": start + timedelta(seconds=seconds),
        "documents": documents,
        "stories": documents,
        "sources": 3,
        "negative": documents,
        "neutral": 0,
        "positive": 0,
        "negative_stories": documents,
        "mean_sentiment": -0.5,
        "expected_negative_stories": 2.5,
        "revision": documents,
    }
    return Window(**{**values, **changes})


def evidence(number: int = 0, **changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "id": f"story-{number}",
        "text": f"Bank {number} halts withdrawals",
        "url": f"https://news.example/{number}",
        "source": f"wire-{number}",
        "time": NOON,
        "negative": 0.97,
    }
    return Evidence(**{**values, **changes})


def alert(**changes: Any) -> Alert:
    values: dict[str, Any] = {
        "id": "class:macro-1741089600",
        "topic": "class:macro",
        "rule": "spike-1h",
        "severity": "warning",
        "state": "firing",
        "starts_at": NOON,
        "detected_at": NOON,
        "window": AlertWindow(
            start=NOON - timedelta(hours=1),
            end=NOON,
            documents=20,
            stories=14,
            negative_stories=12,
            sources=5,
            mean_sentiment=-0.6,
        ),
        "baseline": Expectation(negative_stories=2.2, low=0, high=6, hours_learned=200),
        "surprise": {"count": 5.1, "share": 4.2},
        "evidence": (evidence(1), evidence(2)),
        "model": ModelName(name="barograph-mini", version="1"),
        "config_version": "abc",
    }
    return Alert(**{**values, **changes})


def worse(minutes: float = 5, **changes: Any) -> Alert:
    """The same alert, critical since; detected_at stays."""
    end = NOON + timedelta(minutes=minutes)
    window = alert().window.model_copy(update={"end": end, "start": end - timedelta(hours=1)})
    return alert(**{"severity": "critical", "window": window, **changes})


def resolved(**changes: Any) -> Alert:
    """The same alert, over after an hour, its window calm again."""
    end = NOON + timedelta(hours=1)
    window = alert().window.model_copy(update={"end": end, "start": NOON, "negative_stories": 1})
    return alert(**{"state": "resolved", "window": window, "ends_at": end, **changes})


def target(url: str = "https://risk.example/hook", **changes: Any) -> WebhookTarget:
    values: dict[str, Any] = {"name": "risk", "url": url, "secret": SECRET, "internal": True}
    return WebhookTarget(**{**values, **changes})
