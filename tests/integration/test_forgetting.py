"""Forgetting on a real Kafka: what workers, the topic of alerts and its compaction make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from sqlalchemy import Engine

from alerts.erasure import author_digest, document_digest
from alerts.records import Alert
from alerts.schema import upgrade
from alerts.settings import DeliverySettings
from alerts.store import find_alert, list_alerts, open_engine
from stream.authors import digest
from stream.clients import admin, producer
from stream.forgetting import tell_kafka
from stream.settings import Settings
from stream.slices import Forget, decode
from stream.topics import adjust, changelogs, create
from tests import servers
from tests.alerts.examples import alert, evidence, resolved, target
from tests.conftest import settings_for
from tests.integration.reading import everything
from tests.integration.test_recorder import make, publish, running
from tests.pipeline import Pipeline
from tests.servers import WebhookReceiver, eventually
from tests.stream.test_cli import barograph

STORY = evidence(7, id="post-quillfeather", text="Mrs Quillfeather left", author="00aa11bb22cc33dd")
OTHER = evidence(8)
SHOWN = (STORY, OTHER)
DIGEST = document_digest(STORY.id)


@pytest.fixture
def settings(broker_settings: Settings) -> Settings:
    create(broker_settings)
    return broker_settings


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = (
        f"sqlite:///{tmp_path}/barograph.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    engine = open_engine(url)
    upgrade(engine)
    yield engine
    engine.dispose()


def on_alerts(settings: Settings) -> list[Any]:
    return everything(settings.kafka.bootstrap, settings.kafka.topics.alerts)


def newest(settings: Settings) -> dict[str, Alert]:
    found = {}
    for record in on_alerts(settings):
        found[record.key.decode()] = Alert.model_validate_json(record.value)
    return found


def test_an_alert_that_is_over_is_put_there_anew_and_workers_are_told(settings: Settings) -> None:
    over, fires = {"id": "over", "evidence": SHOWN}, {"id": "fires", "evidence": SHOWN}
    publish(settings, alert(**over), resolved(**over), alert(**fires))
    before = on_alerts(settings)
    assert tell_kafka(settings, [DIGEST]) == 1
    assert newest(settings) == {
        "over": resolved(id="over", evidence=(OTHER,)),
        # This is the worker's to put there again.
        "fires": alert(**fires),
    }
    (added,) = [r for r in on_alerts(settings) if b"resolved" in r.value and r not in before]
    (replaced,) = [r for r in before if b"resolved" in r.value]
    assert (added.key, added.partition) == (replaced.key, replaced.partition)
    assert added.timestamp == replaced.timestamp
    told = everything(settings.kafka.bootstrap, settings.kafka.topics.slices)
    assert [(r.partition, decode(r.value)) for r in told] == [
        (0, Forget((DIGEST,))),
        (1, Forget((DIGEST,))),
    ]
    # Again, by the author this time: there is nothing left to replace.
    assert tell_kafka(settings, [author_digest(str(STORY.author))]) == 0


def test_the_command_leaves_nothing_and_a_recorder_that_begins_anew_brings_nothing_back(
    kafka_settings: Settings,
    engine: Engine,
    tmp_path: Path,
    webhook_receiver: WebhookReceiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    create(kafka_settings)
    delivery = DeliverySettings(mode="direct", targets=(target(webhook_receiver.url),))
    with running(make(kafka_settings, engine)):
        publish(kafka_settings, alert(evidence=SHOWN), resolved(evidence=SHOWN))
        eventually(lambda: [a.state for a in list_alerts(engine)] == ["resolved"], 40)
    config = tmp_path / "settings.yaml"
    url = engine.url.render_as_string(hide_password=False)
    config.write_text(
        json.dumps({"database_url": url, "kafka": kafka_settings.kafka.model_dump(mode="json")})
    )
    wanted = ("forget", "--document", STORY.id, "--yes", "-c", str(config))
    assert barograph(monkeypatch, *wanted) == 0
    told = capsys.readouterr().out
    assert "1 alerts, 2 alert_transitions" in told
    assert "1 alerts that are over stand on Kafka anew" in told
    # A group that has read nothing yet gets all of it, the old messages too.
    again = make(kafka_settings, engine, delivery)
    again._consumer_options["group_id"] = f"{kafka_settings.kafka.app_id}-again"
    with running(again):
        publish(kafka_settings, alert(id="late", evidence=SHOWN))
        webhook_receiver.wait(1, 40)
    bodies = b"".join(request.body for request in webhook_receiver.requests)
    assert b"Quillfeather" not in bodies
    assert OTHER.text.encode() in bodies
    for identity in (alert().id, "late"):
        history = find_alert(engine, identity)
        assert history is not None
        for step in (history.alert, *history.transitions):
            assert [story.id for story in step.evidence] == [OTHER.id]
    # Nobody was told once more of what the recorder knew.
    assert len(webhook_receiver.requests) == 1


def test_kafka_drops_the_older_messages_of_an_alert(kafka_settings: Settings) -> None:
    create(kafka_settings)
    publish(kafka_settings, alert(evidence=SHOWN), resolved(evidence=SHOWN))
    assert tell_kafka(kafka_settings, [DIGEST]) == 1
    soon = {
        "segment.ms": "100",
        "min.compaction.lag.ms": "0",
        "max.compaction.lag.ms": "1000",
        "min.cleanable.dirty.ratio": "0.001",
    }
    with admin(kafka_settings.kafka) as client:
        topic = kafka_settings.kafka.topics.alerts
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, soon)])

    def gone() -> bool:
        # Other alerts come, as without them Kafka begins no new segment.
        publish(kafka_settings, *(alert(id=f"other-{n}", evidence=()) for n in range(8)))
        return not any(b"Quillfeather" in record.value for record in on_alerts(kafka_settings))

    eventually(gone, 120, interval=1.0)
    assert newest(kafka_settings)[alert().id] == resolved(evidence=(OTHER,))


def test_the_tables_of_a_worker_show_it_no_more(kafka: servers.Kafka, tmp_path: Path) -> None:
    settings = settings_for(kafka.bootstrap)
    panes = changelogs(settings.kafka)[0].name

    def kept() -> str:
        """The newest records of the panes."""
        records = everything(settings.kafka.bootstrap, panes)
        return "".join((r.value or b"").decode() for r in {r.key: r for r in records}.values())

    with Pipeline(settings, tmp_path, names=("worker",)) as pipeline:
        # Faust made its topics as topics create would have them.
        assert adjust(pipeline.settings) == []
        texts = {
            "ana": "Shares of Quillfeather plunge after a profit warning",
            "bob": "Regulator fines the bank Quillfeather over lost customer money",
        }
        with producer(settings.kafka) as client:
            for author, text in texts.items():
                document = {"id": author, "text": text, "source": "wire", "author": author}
                client.send(settings.kafka.topics.documents, value=json.dumps(document).encode())
        ana, bob = (digest(name, b"barograph") for name in texts)
        eventually(lambda: ana in kept() and bob in kept(), 60)
        tell_kafka(pipeline.settings, [author_digest(ana)])
        eventually(lambda: ana not in kept(), 60)
        assert bob in kept()
        tell_kafka(pipeline.settings, [document_digest("bob")])
        eventually(lambda: "Quillfeather" not in kept(), 60)
