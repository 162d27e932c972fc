"""Tables as workers of earlier versions left them.

Before the form of a table changes, its present one is kept:

    python -m tests.stream.states > tests/stream/states/VERSION-COMMIT.json

Each holds the panes and states of two topics after 8 hours of one stream (``documents``), in the
last of which both alert.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from alerts.records import ModelName
from alerts.settings import DetectorSettings
from stream.aggregator import Aggregator, AggregatorConfig
from stream.scorer import Raw, Scorer
from stream.watchlist import Entry, Watchlist
from tests.stream.factories import TinyClassifier

DAY0 = 20_000 * 86_400
"""A midnight."""

TOPICS = ("class:macro", "watch:acme")
STORED = 8
"""Hours that are in the tables; the rest of the stream comes after them, and is calm."""

HOURS = 12
BATCH = 8


def documents(first: int = 0, last: int = HOURS) -> Iterator[tuple[int, bytes]]:
    """Offsets and messages of the hours ``first`` to ``last``."""
    offset = 0
    for hour in range(HOURS):
        bad = hour == STORED - 1
        for number in range(12 if bad else 3):
            if first <= hour < last:
                mood = "bad" if bad or number == 0 else "good"
                row = {
                    "id": f"d{offset}",
                    "text": f"Acme: {mood} " + " ".join(f"w{offset * 7 + k}" for k in range(8)),
                    "source": f"wire-{number % 3}",
                    "published_at": DAY0 + hour * 3600 + number * 240,
                }
                yield offset, json.dumps(row).encode()
            offset += 1


def batches(first: int = 0, last: int = HOURS) -> Iterator[list[tuple[int, bytes]]]:
    """The same as they are scored together."""
    rows = list(documents(first, last))
    for at in range(0, len(rows), BATCH):
        yield rows[at : at + BATCH]


def scorer() -> Scorer:
    """Of the stream."""
    watchlist = Watchlist([Entry(id="acme", names=("Acme",))])
    return Scorer(TinyClassifier(), watchlist, b"key")


def aggregator() -> Aggregator:
    """Of the two topics, with nothing in it."""
    detector = DetectorSettings(
        false_alarms_per_topic_month=20, warm_up_hours=2, min_duration_minutes=5
    )
    model = ModelName(name="tiny", version="1")
    return Aggregator(0, AggregatorConfig(TOPICS, detector, model, "test"))


def written() -> dict[str, dict[str, Any]]:
    """The tables that the present code leaves."""
    made, score = aggregator(), scorer()
    panes: dict[str, Any] = {}
    states: dict[str, Any] = {}
    for batch in batches(0, STORED):
        scored = score.score([Raw(0, offset, value, None) for offset, value in batch], None)
        for message in (*scored.slices, scored.progress):
            assert message is not None
            output = made.handle(message)
            panes |= output.panes
            states |= output.states
    return {"panes": panes, "states": states}
