"""From documents on Kafka to a risk team and back, every part a process, every server real.

Pictures of the alert's page are left in ``build/pictures``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml
from standardwebhooks import Webhook

from alerts.settings import DeliverySettings, DetectorSettings
from alerts.store import audit_rows, find_alert, list_alerts
from stream.clients import producer
from stream.demo import BURST_MINUTES, WATCHLIST, DemoDocument, documents
from stream.settings import Settings
from tests import servers
from tests.alerts.examples import SECRET, target
from tests.browser import Browser
from tests.conftest import settings_for
from tests.deployed import deployed
from tests.pipeline import Pipeline
from tests.servers import ROOT, WebhookReceiver, eventually

PICTURES = ROOT / "build" / "pictures"
TOPIC = "watch:market"
NOW = datetime.now(UTC)
BURST = NOW - timedelta(days=2)
"""End of the bad quarter of an hour. It lies back so far that it can be over, by event time, as
soon as what was written since is sent."""

PATIENCE = 120.0
"""Seconds for what takes a few where nothing else runs."""


def before_and_burst() -> Iterable[DemoDocument]:
    """Five quiet days, enough to learn from, and the burst."""
    return (d for d in documents(BURST) if d.time > BURST - timedelta(days=5))


def since() -> Iterable[DemoDocument]:
    """The two quiet days after it."""
    end = NOW - timedelta(minutes=BURST_MINUTES)
    return (d for d in documents(NOW, seed=8) if BURST < d.time < end)


def send(settings: Settings, stream: Iterable[DemoDocument]) -> None:
    with producer(settings.kafka.bootstrap) as client:
        for document in stream:
            client.send(settings.kafka.topics.documents, value=document.value)
        client.flush()


def test_a_spike_is_seen_told_acknowledged_and_over(
    kafka: servers.Kafka,
    postgres_url: str,
    prometheus: Any,
    alertmanager: Any,
    browser: Browser,
    webhook_receiver: WebhookReceiver,
    tmp_path: Path,
) -> None:
    there = target(webhook_receiver.url, topics=(TOPIC,))
    settings = settings_for(
        kafka.bootstrap,
        partitions=2,
        watchlist=WATCHLIST,
        # One severity: an alert that gets worse is told again, as what it is then.
        detector=DetectorSettings(severity="critical"),
        delivery=DeliverySettings(targets=(there,)),
    )
    names = ("worker", "recorder", "desk")
    pipeline = Pipeline(settings, tmp_path, names, database_url=postgres_url)
    routes = deployed(pipeline)
    routes.spike_route["group_interval"] = "1s"
    with (
        pipeline,
        alertmanager(yaml.safe_dump(routes.alertmanager)) as manager,
        browser.page() as page,
    ):
        files = deployed(pipeline, manager)
        files.prometheus["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        files.rule("SentimentSpike")["keep_firing_for"] = "2s"
        rules = {"rules.yml": yaml.safe_dump(files.rules)}
        with prometheus(yaml.safe_dump(files.prometheus), files=rules) as base:
            page.view(1280)
            page.open(pipeline.url("desk"))
            page.run("window.__same = true")

            # It shows on a page that is open, without loading it again.
            send(pipeline.settings, before_and_burst())
            alert = eventually(
                lambda: next(iter(list_alerts(pipeline.engine, topics=[TOPIC])), None), PATIENCE
            )
            link = f"document.querySelector('#firing a[href=\"/alerts/{alert.id}\"]')"
            eventually(lambda: page.run(f"{link} !== null && window.__same"), PATIENCE)

            # It fires in Prometheus, and is delivered.
            webhook_receiver.wait(1, PATIENCE)
            assert (TOPIC, "firing") in states(base)

            # It is acknowledged by somebody who looks at it.
            page.run(f"window.__old = true; {link}.click()")
            page.loaded()
            assert "negative stories from" in page.text("h1")
            assert alert.evidence[0].text in page.text("#evidence")
            page.type("#a-name", "Ana Risk")
            page.type("#a-comment", "calling the desk")
            page.submit("#a-comment")
            assert "acknowledged by Ana Risk" in page.text("#summary")
            page.picture(PICTURES / "whole-1-acknowledged.png")
            page.run("window.__same = true")

            # It is over, by event time; the page that is open says so, and so does a webhook.
            send(pipeline.settings, since())
            eventually(
                lambda: page.run(
                    "window.__same && document.querySelector('#summary').innerText"
                    ".includes('resolved')"
                ),
                PATIENCE,
            )
            webhook_receiver.wait(2, PATIENCE)
            eventually(lambda: (TOPIC, "firing") not in states(base), PATIENCE)
            eventually(lambda: len(kinds(pipeline, alert.id)) >= 5, PATIENCE)
            page.picture(PICTURES / "whole-2-resolved.png")
            assert [each for each in page.complaints() if "favicon" not in each] == []
        history = find_alert(pipeline.engine, alert.id)
        audited = kinds(pipeline, alert.id)
        verified = subprocess.run(
            [sys.executable, "-m", "stream.cli", "audit", "verify", "--config", pipeline.config],
            capture_output=True,
            text=True,
            check=False,
        )

    # Signed, each once, and in order.
    said = [Webhook(SECRET).verify(r.body, r.headers) for r in webhook_receiver.requests]
    assert [message["type"] for message in said] == ["alert.firing", "alert.resolved"]
    assert [message["data"]["id"] for message in said] == [alert.id, alert.id]
    assert len({request.headers["webhook-id"] for request in webhook_receiver.requests}) == 2
    firing = said[0]["data"]
    assert alert.evidence
    assert [each["id"] for each in firing["evidence"]] == [each.id for each in alert.evidence]
    assert firing["window"]["negative_stories"] > firing["baseline"]["high"]
    assert history is not None
    assert [transition.state for transition in history.transitions] == ["firing", "resolved"]
    assert audited == [
        "alert.acknowledged",
        "alert.firing",
        "alert.resolved",
        "delivery.delivered",
        "delivery.delivered",
    ]
    assert verified.returncode == 0, verified.stderr
    assert "each as it was written" in verified.stdout


def states(prometheus: str) -> set[tuple[str, str]]:
    """The spikes that Prometheus knows, with their states."""
    answer = json.loads(httpx.get(f"{prometheus}/api/v1/alerts").text)
    return {
        (alert["labels"]["topic"], alert["state"])
        for alert in answer["data"]["alerts"]
        if alert["labels"]["alertname"] == "SentimentSpike"
    }


def kinds(pipeline: Pipeline, alert_id: str) -> list[str]:
    """What the audit has on an alert."""
    return sorted(row.kind for row in audit_rows(pipeline.engine, alert_id))
