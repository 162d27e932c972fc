"""The direct path: a spike of now reaches a webhook while its minute is still open."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alerts.settings import DeliverySettings
from alerts.store import audit_rows, find_alert, list_alerts
from stream.clients import producer
from stream.demo import BURST_MINUTES, CORPUS, documents
from stream.settings import Settings, WorkerSettings
from tests import servers
from tests.alerts.examples import target
from tests.conftest import settings_for
from tests.pipeline import Pipeline
from tests.servers import WebhookReceiver, eventually

PATIENCE = 120.0
TOPIC = "watch:corvane"
WATCHLIST = "topics: [{id: corvane, keywords: [only as a tag]}]"

LATENESS = 100.0
"""Seconds: no minute closes while the test looks, unless it says so."""


def document(text: str, at: datetime, tag: str = "", source: str = "wire") -> bytes:
    row = {"text": text, "source": source, "published_at": at.isoformat()}
    return json.dumps({**row, "tags": [tag] if tag else []}).encode()


def send(settings: Settings, values: Iterable[bytes]) -> None:
    with producer(settings.kafka.bootstrap) as client:
        for value in values:
            client.send(settings.kafka.topics.documents, value=value)
        client.flush()


def test_a_spike_of_now_is_told_before_its_minute_closes_and_confirmed_then(
    kafka: servers.Kafka, webhook_receiver: WebhookReceiver, tmp_path: Path
) -> None:
    watchlist = tmp_path / "watchlist.yaml"
    watchlist.write_text(WATCHLIST)
    settings = settings_for(
        kafka.bootstrap,
        partitions=1,
        watchlist=watchlist,
        worker=WorkerSettings(allowed_lateness=LATENESS),
        delivery=DeliverySettings(
            mode="direct", targets=(target(webhook_receiver.url, topics=(TOPIC,)),)
        ),
    )
    now = datetime.now(UTC)
    history = [
        d.value
        for d in documents(now + timedelta(minutes=BURST_MINUTES))
        if now - timedelta(days=5) < d.time < now
    ]
    with Pipeline(settings, tmp_path) as pipeline:
        send(pipeline.settings, history)
        eventually(
            lambda: pipeline.metric("barograph_documents_read_total") == len(history), PATIENCE
        )
        # The worker dies with what it has told and not confirmed.
        now = datetime.now(UTC)
        spike = [
            document(text, now, "corvane", f"s{number % 7}")
            for number, text in enumerate(negative_texts(40))
        ]
        send(pipeline.settings, spike)
        webhook_receiver.wait(1, PATIENCE)
        early = said(webhook_receiver)[0]
        assert (early["state"], early["preliminary"]) == ("firing", True)
        assert early["topic"] == TOPIC
        assert early["evidence"]
        assert list_alerts(pipeline.engine) == []
        pipeline.children["worker"].kill()
        pipeline.start("worker")

        # Event time passes its minute.
        ahead = datetime.fromtimestamp(time.time() + LATENESS + 100, UTC)
        send(pipeline.settings, [document("Nothing happens", ahead)])
        webhook_receiver.wait(2, PATIENCE)
        (alert,) = eventually(lambda: list_alerts(pipeline.engine, topics=[TOPIC]), PATIENCE)
        eventually(lambda: outcomes(pipeline, "confirmed") >= 1, PATIENCE)
        assert outcomes(pipeline, "withdrawn") == 0
        history_of = find_alert(pipeline.engine, alert.id)
        kinds = [row.kind for row in audit_rows(pipeline.engine, alert.id)]
    assert history_of is not None
    told = [(row["id"], row["state"], row["preliminary"]) for row in said(webhook_receiver)]
    assert told == [(alert.id, "firing", True), (alert.id, "firing", False)]
    assert [(row.state, row.status) for row in history_of.deliveries] == [
        ("preliminary", "delivered"),
        ("firing", "delivered"),
    ]
    assert [step.preliminary for step in history_of.transitions] == [False]
    assert kinds == [
        "alert.preliminary",
        "delivery.delivered",
        "alert.firing",
        "delivery.delivered",
    ]


def outcomes(pipeline: Pipeline, outcome: str) -> float:
    """Of all topics: the classes of these texts may spike as well."""
    return pipeline.metric("barograph_preliminary_alerts_total", outcome=outcome)


def negative_texts(count: int) -> list[str]:
    lines = (CORPUS / "headlines_en.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows if row["sentiment"] == "negative"][:count]


def said(receiver: WebhookReceiver) -> list[dict[str, Any]]:
    return [json.loads(request.body)["data"] for request in receiver.requests]
