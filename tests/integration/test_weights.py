"""Weights through a real worker, against the replay of the same documents."""

from __future__ import annotations

import json
from pathlib import Path

from stream.clients import producer
from stream.replay import replay
from stream.worker import build_scorer, config_of
from tests import servers
from tests.conftest import settings_for
from tests.pipeline import Pipeline, comparable
from tests.servers import eventually

HEADLINES = (
    "Corvane warns on profit as orders dry up",
    "Dunmere raises its outlook after a strong quarter",
    "Regulator fines Pendry over lost customer money",
    "Tarnwick refinery halts after a fire",
    "Ostrella pays its first dividend",
)
SOURCES = ("wire", "forum", "noise", "wire", "blog")


def rows() -> list[tuple[int, bytes]]:
    """Documents of four sources within an hour; the blog's name their weight themselves."""
    found = []
    for number in range(40):
        source = SOURCES[number * 3 % 5]
        document = {
            "text": f"{HEADLINES[number % 5]} ({number} of {number * 37 + 11})",
            "source": source,
            "published_at": f"2024-05-01T10:{10 + number}:00Z",
            **({"weight": 3} if source == "blog" else {}),
        }
        found.append((number, json.dumps(document).encode()))
    return found


def test_weights_count_the_same_live_and_in_replay(kafka: servers.Kafka, tmp_path: Path) -> None:
    weights = {"noise": 0, "forum": 0.25}
    settings = settings_for(kafka.bootstrap, partitions=1, weights=weights)
    scorer = build_scorer(settings)
    again = replay(rows(), scorer, config_of(settings, scorer, 1))
    expected = {
        (topic, seconds, float(start)): comparable(window)
        for (topic, seconds, start), window in again.windows.items()
    }
    plain = build_scorer(settings.model_copy(update={"weights": {}}))
    unweighted = replay(rows(), plain, config_of(settings, plain, 1)).windows
    assert any(
        window.mean_sentiment != unweighted[key].mean_sentiment
        for key, window in again.windows.items()
    )
    assert any(window.stories < unweighted[key].stories for key, window in again.windows.items())
    with Pipeline(settings, tmp_path) as pipeline:
        with producer(settings.kafka.bootstrap) as client:
            for _, value in rows():
                client.send(settings.kafka.topics.documents, value=value)
        eventually(
            lambda: {key: comparable(w) for key, w in pipeline.windows().items()} == expected, 120
        )
