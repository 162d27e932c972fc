"""The configuration of Alertmanager in a running one: what silences what, and where it goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import yaml

from tests.alerts.test_rules import ALERTMANAGER
from tests.servers import WebhookReceiver, eventually, program

MARKET = "watch:market"


@pytest.fixture
def manager(alertmanager, webhook_receiver: WebhookReceiver) -> Iterator[str]:
    """Alertmanager with the deployed configuration, quicker, and the test's receiver as relay."""
    config = yaml.safe_load((ALERTMANAGER / "alertmanager.yml").read_text())
    config["receivers"][0]["webhook_configs"][0]["url"] = webhook_receiver.url
    config["route"]["routes"][0].update(group_wait="0s", group_interval="1s")
    with alertmanager(yaml.safe_dump(config)) as url:
        yield url


def post(manager: str, topic: str, severity: str, *, over: bool = False) -> None:
    """What Prometheus would post."""
    now = datetime.now(UTC)
    labels = {
        "alertname": "SentimentSpike",
        "topic": topic,
        "severity": severity,
        "scope": "market" if topic == MARKET else "topic",
    }
    end = now if over else now + timedelta(minutes=10)
    alert = {
        "labels": labels,
        "startsAt": (now - timedelta(minutes=1)).isoformat(),
        "endsAt": end.isoformat(),
    }
    httpx.post(f"{manager}/api/v2/alerts", json=[alert]).raise_for_status()


def told(receiver: WebhookReceiver) -> list[tuple[str, str, str]]:
    return [
        (alert["labels"]["topic"], alert["labels"]["severity"], alert["status"])
        for request in receiver.requests
        for alert in json.loads(request.body)["alerts"]
    ]


def states(manager: str) -> dict[tuple[str, str], str]:
    return {
        (alert["labels"]["topic"], alert["labels"]["severity"]): alert["status"]["state"]
        for alert in httpx.get(f"{manager}/api/v2/alerts").json()
    }


def test_the_market_silences_single_topics_and_what_is_critical_only_when_it_is(
    manager: str, webhook_receiver: WebhookReceiver
) -> None:
    post(manager, MARKET, "warning")
    webhook_receiver.wait(1)
    post(manager, "class:macro", "warning")
    post(manager, "class:energy", "critical")
    eventually(lambda: states(manager).get(("class:macro", "warning")) == "suppressed")
    eventually(lambda: ("class:energy", "critical", "firing") in told(webhook_receiver))

    post(manager, MARKET, "critical")
    eventually(lambda: states(manager)["class:energy", "critical"] == "suppressed")
    # The market's own warning is told no more either, and it silences not itself.
    assert states(manager)[MARKET, "warning"] == "suppressed"
    assert states(manager)[MARKET, "critical"] == "active"

    post(manager, MARKET, "warning", over=True)
    post(manager, MARKET, "critical", over=True)
    eventually(lambda: ("class:macro", "warning", "firing") in told(webhook_receiver))
    order = [topic for topic, _, _ in told(webhook_receiver)]
    assert order.index("class:macro") > order.index(MARKET)


def test_critical_silences_the_warning_of_its_topic_alone(
    manager: str, webhook_receiver: WebhookReceiver
) -> None:
    post(manager, "class:macro", "critical")
    webhook_receiver.wait(1)
    post(manager, "class:macro", "warning")
    post(manager, "class:energy", "warning")
    eventually(lambda: states(manager).get(("class:macro", "warning")) == "suppressed")
    eventually(lambda: ("class:energy", "warning", "firing") in told(webhook_receiver))
    assert ("class:macro", "warning", "firing") not in told(webhook_receiver)


def test_each_topic_is_a_group_of_its_own(manager: str, webhook_receiver: WebhookReceiver) -> None:
    post(manager, "class:macro", "warning")
    post(manager, "class:energy", "warning")
    requests = [json.loads(request.body) for request in webhook_receiver.wait(2)]
    assert {request["version"] for request in requests} == {"4"}
    assert len({request["groupKey"] for request in requests}) == 2
    assert [len(request["alerts"]) for request in requests] == [1, 1]


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=SentimentSpike", "topic=class:macro", "severity=warning"), "barograph-relay"),
        (("alertname=SentimentSpike", f"topic={MARKET}", "scope=market"), "barograph-relay"),
        (("alertname=BarographDown", "severity=critical"), "operators"),
        (("alertname=ModelDrift", "input=sentiment"), "operators"),
        (("alertname=ConsumerLagHigh", "topic=barograph.slices"), "operators"),
    ],
)
def test_spikes_go_to_the_relay_and_all_else_to_the_operators(
    labels: tuple[str, ...], receiver: str
) -> None:
    command = [program("amtool", package="prometheus-alertmanager"), "config", "routes", "test"]
    command += ["--config.file=alertmanager.yml", f"--verify.receivers={receiver}", *labels]
    done = subprocess.run(command, cwd=ALERTMANAGER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
