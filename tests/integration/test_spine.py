"""The whole way: real Kafka, a worker and a recorder as processes, real posts of a real crash."""

from __future__ import annotations

import contextlib
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from alerts.store import document_sums, topic_windows
from stream.clients import producer
from stream.dead_letters import list_dead_letters
from stream.demo import WATCHLIST, documents
from stream.replay import Replay, replay
from stream.rows import read_rows
from stream.send import send
from stream.settings import Settings, WorkerSettings
from stream.worker import build_scorer, config_of
from tests import servers
from tests.conftest import settings_for
from tests.pipeline import Pipeline, comparable
from tests.servers import eventually

CRASH = "2021-05-19"


@pytest.fixture(scope="session")
def crash_week(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five days of posts around the crash: three to learn from, the day itself, and the next."""
    path = tmp_path_factory.mktemp("crash") / "crash.jsonl"
    with gzip.open(data / "reddit_crypto" / "2021-05_crash.jsonl.gz", "rt") as rows:
        kept = [row for row in rows if "2021-05-16" <= json.loads(row)["time"] < "2021-05-21"]
    path.write_text("".join(kept))
    return path


def test_a_worker_killed_three_times_counts_once_and_equals_the_replay(
    kafka: servers.Kafka, crash_week: Path, tmp_path: Path
) -> None:
    settings = settings_for(kafka.bootstrap, partitions=3, watchlist=WATCHLIST)
    rows = list(read_rows(crash_week))
    with Pipeline(settings, tmp_path) as pipeline:
        report = send(crash_week, pipeline.settings, progress=False)
        assert report.sent == len(rows)
        for share in (0.1, 0.4, 0.7):
            assert eventually(lambda share=share: recorded(pipeline) > share * len(rows), 180), (
                f"stuck at {recorded(pipeline)} of {len(rows)}"
            )
            pipeline.children["worker"].kill()
            pipeline.start("worker")
        assert eventually(lambda: recorded(pipeline) >= len(rows), 240), recorded(pipeline)
        assert eventually(lambda: pipeline.metric("barograph_consumer_lag") == 0, 60)
        again = equals_the_replay(pipeline, rows)
    crash = [a for a in again.alerts if a.detected_at.date().isoformat() == CRASH]
    assert crash
    assert all(a.evidence for a in crash)


def test_partitions_move_between_workers_and_every_document_counts_once(
    kafka: servers.Kafka, crash_week: Path, tmp_path: Path
) -> None:
    settings = settings_for(kafka.bootstrap, partitions=3, watchlist=WATCHLIST)
    rows = list(read_rows(crash_week))
    with Pipeline(settings, tmp_path) as pipeline:
        send(crash_week, pipeline.settings, progress=False)
        assert eventually(lambda: recorded(pipeline) > 0.1 * len(rows), 180)
        second = pipeline.join()
        assert eventually(lambda: reads(pipeline, second), 120)
        assert eventually(lambda: recorded(pipeline) > 0.5 * len(rows), 180)
        pipeline.children["worker"].kill()
        assert eventually(lambda: recorded(pipeline) > 0.7 * len(rows), 180)
        pipeline.start("worker")
        pipeline.ready("worker")
        pipeline.children["second"].stop()
        assert eventually(lambda: recorded(pipeline) >= len(rows), 240), recorded(pipeline)
        assert eventually(lambda: pipeline.metric("barograph_consumer_lag") == 0, 60)
        equals_the_replay(pipeline, rows)


def reads(pipeline: Pipeline, url: str) -> bool:
    """Whether the worker at that address has been given documents."""
    with contextlib.suppress(httpx.HTTPError):
        return pipeline.metric("barograph_documents_read_total", url) > 0
    return False


def equals_the_replay(pipeline: Pipeline, rows: list[tuple[int, bytes]]) -> Replay:
    """Every document once, and windows and alerts as in the replay, which is returned."""
    sums = document_sums(pipeline.engine, "class:")
    assert sums == {300: len(rows), 3600: len(rows), 86400: len(rows)}

    scorer = build_scorer(pipeline.settings)
    again = replay(rows, scorer, config_of(pipeline.settings, scorer, 1))
    assert {key: comparable(w) for key, w in pipeline.windows().items()} == {
        (topic, seconds, float(start)): comparable(w)
        for (topic, seconds, start), w in again.windows.items()
    }

    # The last hours are left out: how far the watermark came there depends on the partitions.
    end = datetime(2021, 5, 20, 18, tzinfo=UTC)
    assert [a.model_dump() for a in ordered(pipeline.transitions()) if a.window.end < end] == [
        a.model_dump() for a in ordered(again.alerts) if a.window.end < end
    ]
    return again


def recorded(pipeline: Pipeline) -> int:
    """Documents in the hourly windows of all class topics."""
    return document_sums(pipeline.engine, "class:").get(3600, 0)


def ordered(alerts):
    return sorted(alerts, key=lambda a: (a.window.end, a.topic, a.state, a.severity))


GOOD = [
    {
        "text": f"Shares of Corvane fall {i}%",
        "source": "wire",
        "published_at": f"2024-05-01T10:{i}Z",
    }
    for i in range(10, 40)
]
BAD = [
    b'{"text": "cut off',
    b'{"text": 5, "source": "wire"}',
    b'{"text": "", "source": "wire"}',
    json.dumps({"text": "x" * 20_001, "source": "wire"}).encode(),
    b'{"text": "\xff\xfe", "source": "wire"}',
    b'{"text": "no zone", "source": "wire", "published_at": "2024-05-01T10:00:00"}',
    b'{"text": "far", "source": "wire", "published_at": "9999-01-01T00:00:00Z"}',
    b"[]",
    b"",
]


def test_bad_messages_become_dead_letters_and_the_good_ones_all_count(
    broker, tmp_path: Path
) -> None:
    settings = settings_for(broker.bootstrap, partitions=1)
    embedded = not isinstance(broker, servers.Kafka)
    if embedded:  # it waits this long for a group
        fast = settings.kafka.model_copy(update={"rebalance_timeout": 3.0})
        settings = settings.model_copy(update={"kafka": fast})
    null = {"text": "a null\u0000byte", "source": "wire", "published_at": "2024-05-01T11:00:00Z"}
    twice = {**GOOD[0], "id": "same"}
    good = [json.dumps(row).encode() for row in [*GOOD, null, twice, twice]]
    with Pipeline(settings, tmp_path, second_try=embedded) as pipeline:
        with producer(settings.kafka.bootstrap) as client:
            for i, value in enumerate(good):
                client.send(settings.kafka.topics.documents, value=value)
                if i < len(BAD):
                    client.send(settings.kafka.topics.documents, value=BAD[i])
            client.flush()
        assert eventually(lambda: recorded(pipeline) >= len(good), 90), recorded(pipeline)
        assert recorded(pipeline) == len(good)
        assert pipeline.metric("barograph_dead_letters_total") == len(BAD)
        letters = list_dead_letters(pipeline.settings)
    assert [letter.value for letter in letters] == BAD
    assert all(letter.reason and letter.topic.endswith("documents") for letter in letters)


def test_an_edited_watchlist_is_taken_up_without_a_restart(
    kafka: servers.Kafka, tmp_path: Path
) -> None:
    path = tmp_path / "watchlist.yaml"
    path.write_text("topics: [{id: acme, names: [Acme]}]")
    settings = settings_for(kafka.bootstrap, partitions=1, watchlist=path)
    with Pipeline(settings, tmp_path) as pipeline:

        def logged(event: str) -> bool:
            return event in pipeline.children["worker"].log()

        path.write_text("topics: [{id: acme}]")
        assert eventually(lambda: logged("watchlist-not-taken"), 30)
        path.write_text("topics: [{id: acme, names: [Acme]}, {id: bolt, names: [Bolt]}]")
        assert eventually(lambda: logged("watchlist-taken "), 30)
        row = {"text": "Bolt falls", "source": "wire", "published_at": "2024-05-01T10:00Z"}
        with producer(settings.kafka.bootstrap) as client:
            client.send(settings.kafka.topics.documents, value=json.dumps(row).encode())
            client.flush()
        assert eventually(lambda: topic_windows(pipeline.engine, "watch:bolt", 3600), 60)


def test_a_spike_goes_through_prometheus_and_alertmanager_to_a_webhook(
    kafka: servers.Kafka, prometheus, alertmanager, webhook_receiver, tmp_path: Path
) -> None:
    settings = settings_for(
        kafka.bootstrap,
        partitions=1,
        watchlist=WATCHLIST,
        worker=WorkerSettings(allowed_lateness=0.0, idle_after=4.0),
    )
    rules = (servers.ROOT / "deploy" / "prometheus" / "rules.yml").read_text()
    routes = f"""
route: {{receiver: hook, group_by: [topic], group_wait: 1s}}
receivers: [{{name: hook, webhook_configs: [{{url: '{webhook_receiver.url}'}}]}}]
"""
    with Pipeline(settings, tmp_path) as pipeline, alertmanager(routes) as manager:
        target = pipeline.url("worker").removeprefix("http://")
        config = f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{manager[7:]}']}}]}}]}}
scrape_configs: [{{job_name: barograph-worker, static_configs: [{{targets: ['{target}']}}]}}]
"""
        with prometheus(config, files={"rules.yml": rules}):
            now = datetime.now(UTC) - timedelta(seconds=60)
            with producer(settings.kafka.bootstrap) as client:
                for document in documents(now):
                    client.send(settings.kafka.topics.documents, value=document.value)
                client.flush()
            assert eventually(
                lambda: pipeline.metric("barograph_spike_active", topic="watch:market") == 1, 90
            )

            def told() -> list[dict[str, dict[str, str]]]:
                return [
                    alert
                    for request in webhook_receiver.requests
                    for alert in json.loads(request.body)["alerts"]
                    if alert["labels"].get("topic") == "watch:market"
                ]

            assert eventually(told, 60)
            alert = told()[0]
    assert alert["labels"]["alertname"] == "SentimentSpike"
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert set(alert["annotations"]) == {"summary", "description", "dashboard_url", "runbook_url"}


def test_health_says_what_is_missing(kafka: servers.Kafka, tmp_path: Path) -> None:
    settings: Settings = settings_for(kafka.bootstrap, partitions=1)
    with Pipeline(settings, tmp_path, ("worker", "recorder", "desk")) as pipeline:
        for name in pipeline.names:
            assert httpx.get(f"{pipeline.url(name)}/healthz").status_code == 200
            assert httpx.get(f"{pipeline.url(name)}/readyz").status_code == 200
            assert "# HELP" in httpx.get(f"{pipeline.url(name)}/metrics").text
