"""Every query of every dashboard, asked of a Prometheus that watches a live stream."""

from __future__ import annotations

import base64
import math
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import yaml

from alerts.settings import DeliverySettings, WebhookTarget
from stream.clients import producer
from stream.demo import WATCHLIST, documents
from stream.settings import WorkerSettings
from stream.topics import create
from tests import servers
from tests.conftest import settings_for
from tests.deploy.boards import Query, queries, variables
from tests.integration.test_feeds import Process
from tests.pipeline import Pipeline
from tests.servers import ROOT, eventually
from tests.stream.feeds.test_rss import item, rss
from tests.stream.feeds.web import web_server

pytestmark = pytest.mark.server

PROMETHEUS = ROOT / "deploy" / "prometheus"
EMPTY_HERE = {
    # None until 5,000 documents were scored.
    "operations: Drift": "barograph_model_drift",
    # No process is down, and nothing else is wrong either.
    "operations: Alerts": "ALERTS",
}
"""Panels that rightly show nothing, and the series that they ask for."""


@dataclass(frozen=True)
class Live:
    """A Prometheus, and what the variables of the dashboards stand for."""

    url: str
    values: dict[str, str]

    def get(self, path: str, **parameters: Any) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def data(self, expression: str, instant: bool) -> list[Any]:
        """The series that have a number somewhere."""
        now = time.time()
        if instant:
            found = self.get("query", query=expression)["result"]
        else:
            found = self.get("query_range", query=expression, start=now - 300, end=now, step=5)
            found = found["result"]
        return [
            series
            for series in found
            if any(
                math.isfinite(float(value))
                for _, value in series.get("values", [series.get("value")])
            )
        ]


def configuration(pipeline: Pipeline, feed_port: int) -> str:
    """The one that is deployed, with the ports of these processes, and quicker."""
    made = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    made["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    del made["alerting"]
    for job in made["scrape_configs"]:
        name = job["job_name"].removeprefix("barograph-")
        job["static_configs"] = [{"targets": [pipeline.url(name).removeprefix("http://")]}]
    # As the lines say that are commented out there.
    made["scrape_configs"].append(
        {
            "job_name": "barograph-feed",
            "static_configs": [{"targets": [f"127.0.0.1:{feed_port}"]}],
        }
    )
    return yaml.safe_dump(made)


@pytest.fixture(scope="module")
def feeds(kafka: servers.Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A feed that is read and one that fails, to topics of their own: they are no part of it."""
    settings = settings_for(kafka.bootstrap)
    create(settings)
    with web_server() as web:
        web.answer("/wire", rss(item(2), item(1)))
        common = {"type": "rss", "internal": True, "interval": 1}
        process = Process(
            tmp_path_factory.mktemp("feeds"),
            settings,
            {"id": "wire", "url": f"{web.url}/wire", **common},
            {"id": "down", "url": f"{web.url}/none", **common},
        )
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def live(
    kafka: servers.Kafka, feeds: Process, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Worker, recorder and desk on the demonstration's stream, which ends in an alert."""
    folder = tmp_path_factory.mktemp("dashboards")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with servers.webhook_receiver() as receiver:
        target = WebhookTarget(name="desk", url=receiver.url, secret=secret, internal=True)
        settings = settings_for(
            kafka.bootstrap,
            partitions=1,
            watchlist=WATCHLIST,
            worker=WorkerSettings(idle_after=4, allowed_lateness=0),
            delivery=DeliverySettings(mode="direct", targets=(target,)),
        )
        with Pipeline(settings, folder, ("worker", "recorder", "desk")) as pipeline:
            rules = {"rules.yml": (PROMETHEUS / "rules.yml").read_text()}
            config = configuration(pipeline, feeds.port)
            with servers.prometheus(config, folder / "prometheus", rules) as url:
                watching = Live(url, {"__rate_interval": "30s", "window": "1h"})
                # All counters are seen before they count: a rate wants two values.
                eventually(lambda: watching.data("barograph_documents_read_total", True), 60)
                with producer(kafka.bootstrap) as client:
                    for document in documents(datetime.now(UTC)):
                        client.send(settings.kafka.topics.documents, value=document.value)
                    client.flush()
                fires = 'ALERTS{alertname="SentimentSpike",alertstate="firing"}'
                found = eventually(lambda: watching.data(fires, True), 150)
                watching.values["topic"] = found[0]["metric"]["topic"]
                receiver.wait()
                yield watching


@pytest.mark.parametrize("query", list(queries()), ids=str)
def test_the_query_returns_data(live: Live, query: Query) -> None:
    expression = query.filled(live.values)
    if metric := EMPTY_HERE.get(str(query)):
        assert metric in expression
        live.data(expression, query.instant)  # it parses
        if metric != "ALERTS":
            assert live.get("targets/metadata", metric=metric), f"{metric} is not exported"
        return
    assert eventually(lambda: live.data(expression, query.instant), 40, what=expression)


@pytest.mark.parametrize("window", ["5m", "15m", "1h", "24h"])
def test_every_length_of_window_has_data(live: Live, window: str) -> None:
    values = {**live.values, "window": window}
    asked = [query for query in queries() if "$window" in query.expression]
    assert asked
    for query in asked:
        assert live.data(query.filled(values), query.instant), query


def test_every_variable_has_values(live: Live) -> None:
    for _, variable in variables():
        match variable["type"]:
            case "query":
                asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
                assert asked, variable["query"]
                found = live.get(f"label/{asked[2]}/values", **{"match[]": asked[1]})
                assert live.values[variable["name"]] in found
            case "custom":
                assert variable["current"]["value"] in variable["query"].split(",")
            case "textbox":
                assert variable["query"].startswith("http://")
            case kind:
                assert (kind, variable["query"]) == ("datasource", "prometheus")
