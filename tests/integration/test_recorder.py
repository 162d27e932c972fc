"""The recorder between a real Kafka and real databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from kafka import KafkaConsumer
from prometheus_client import REGISTRY
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from alerts.acts import Actor, silence
from alerts.recorder import Recorder
from alerts.records import Alert, Window
from alerts.schema import upgrade
from alerts.settings import DeliverySettings
from alerts.silences import SILENCED
from alerts.store import (
    audit_rows,
    document_sums,
    find_alert,
    list_alerts,
    open_engine,
    topic_windows,
)
from alerts.tables import alert_transitions, deliveries
from stream.clients import producer
from stream.settings import Settings
from stream.topics import create
from tests.alerts.examples import NOON, alert, resolved, target, window, worse
from tests.servers import WebhookReceiver, eventually


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_engine(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Engine]:
    url = (
        f"sqlite:///{tmp_path}/barograph.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(fresh_engine: Engine) -> Engine:
    upgrade(fresh_engine)
    return fresh_engine


@pytest.fixture
def settings(kafka_settings: Settings) -> Settings:
    create(kafka_settings)
    return kafka_settings


def make(settings: Settings, engine: Engine, delivery: DeliverySettings | None = None) -> Recorder:
    return Recorder(
        bootstrap=settings.kafka.bootstrap,
        windows=settings.kafka.topics.windows,
        alerts=settings.kafka.topics.alerts,
        engine=engine,
        group=f"{settings.kafka.app_id}-recorder",
        delivery=delivery or DeliverySettings(),
    )


@contextmanager
def running(recorder: Recorder) -> Iterator[Recorder]:
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            recorder.run(stop)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield recorder
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def publish(settings: Settings, *records: Window | Alert | bytes) -> None:
    topics = settings.kafka.topics
    with producer(settings.kafka.bootstrap) as kafka:
        for record in records:
            if isinstance(record, bytes):
                kafka.send(topics.windows, key=b"?", value=record)
                kafka.send(topics.alerts, key=b"?", value=record)
            elif isinstance(record, Window):
                kafka.send(topics.windows, key=record.topic.encode(), value=record.to_json())
            else:
                kafka.send(topics.alerts, key=record.id.encode(), value=record.to_json())


def counted(kind: str, outcome: str) -> float:
    labels = {"kind": kind, "outcome": outcome}
    return REGISTRY.get_sample_value("barograph_recorder_records_total", labels) or 0.0


def deliveries_of(engine: Engine) -> list[tuple[str, str]]:
    query = sa.select(deliveries.c.state, deliveries.c.status).order_by(deliveries.c.occurred_at)
    with engine.connect() as connection:
        return [(row.state, row.status) for row in connection.execute(query)]


def test_windows_and_alerts_arrive(settings: Settings, fresh_engine: Engine) -> None:
    revisions = [window(documents=n) for n in range(1, 40)]
    with running(make(settings, fresh_engine)) as recorder:
        publish(settings, *revisions, alert(), worse(), resolved(severity="critical"))
        eventually(lambda: recorder.ready())
        eventually(lambda: topic_windows(fresh_engine, "class:macro", 3600) == [revisions[-1]])
        eventually(lambda: [each.state for each in list_alerts(fresh_engine)] == ["resolved"])
    history = find_alert(fresh_engine, alert().id)
    assert history is not None
    assert len(history.transitions) == 3
    assert not recorder.ready()


def test_a_record_that_cannot_be_read_or_stored_is_skipped(
    settings: Settings, engine: Engine
) -> None:
    before = counted("window", "malformed"), counted("alert", "malformed")
    publish(
        settings,
        b"not json",
        b'{"topic": 1}',
        b"",
        window("class:huge", documents=10**30),
        alert(id="nul", topic="a\x00b"),
        window(documents=3),
        alert(),
    )
    with running(make(settings, engine)):
        eventually(lambda: document_sums(engine, "class:macro") == {3600: 3})
        eventually(lambda: alert().id in [each.id for each in list_alerts(engine)])
    assert counted("window", "malformed") == before[0] + 3
    assert counted("alert", "malformed") == before[1] + 3
    assert document_sums(engine, "class:huge") == {}


def test_killed_between_transaction_and_commit_nothing_counts_twice(
    settings: Settings,
    engine: Engine,
    webhook_receiver: WebhookReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    delivery = DeliverySettings(mode="direct", targets=(target(webhook_receiver.url),))
    publish(settings, window(documents=5), alert())
    with monkeypatch.context() as patch:
        patch.setattr(KafkaConsumer, "commit", die)
        with pytest.raises(Killed), running(make(settings, engine, delivery)):
            eventually(lambda: list_alerts(engine) or document_sums(engine, ""), timeout=30)
    with running(make(settings, engine, delivery)):
        publish(settings, window(documents=6), resolved())
        eventually(lambda: document_sums(engine, "") == {3600: 6}, timeout=40)
        eventually(
            lambda: deliveries_of(engine) == [("firing", "delivered"), ("resolved", "delivered")],
            timeout=40,
        )
    with engine.connect() as connection:
        transitions = sa.select(sa.func.count()).select_from(alert_transitions)
        assert connection.scalar(transitions) == 2
    assert len(webhook_receiver.requests) == 2


def test_in_direct_mode_a_silence_keeps_back_what_fires(
    settings: Settings, engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    delivery = DeliverySettings(mode="direct", targets=(target(webhook_receiver.url),))
    with running(make(settings, engine, delivery)):
        publish(settings, alert())
        webhook_receiver.wait(1)
        now = datetime.now(UTC)
        silence(engine, delivery, alert().id, Actor("Ana"), "", timedelta(hours=1), now)
        publish(settings, worse(), alert(id="second"), resolved(id="second"))
        publish(settings, resolved(severity="critical"))
        webhook_receiver.wait(2)
    # Of the first the end is told, as its beginning was; of the second nothing.
    assert deliveries_of(engine) == [("firing", "delivered"), ("resolved", "delivered")]
    kept = [row.detail for row in audit_rows(engine, "second") if row.kind == SILENCED]
    assert kept == [{"state": "firing"}, {"state": "resolved"}]


def test_what_is_preliminary_is_told_and_not_stored(
    settings: Settings, engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    delivery = DeliverySettings(mode="direct", targets=(target(webhook_receiver.url),))
    early = alert(preliminary=True)
    with running(make(settings, engine, delivery)):
        publish(settings, early, alert(id="other", preliminary=True))
        webhook_receiver.wait(2)
        assert list_alerts(engine) == []
        publish(settings, early, alert())
        publish(settings, resolved(id="other", preliminary=True))
        webhook_receiver.wait(4)
        eventually(lambda: {status for _, status in deliveries_of(engine)} == {"delivered"})
    assert sorted(state for state, _ in deliveries_of(engine)) == [
        "firing",
        "preliminary",
        "preliminary",
        "withdrawn",
    ]
    assert [each.id for each in list_alerts(engine)] == [alert().id]


def test_with_prometheus_what_is_preliminary_leaves_no_trace(
    settings: Settings, engine: Engine
) -> None:
    with running(make(settings, engine)):
        publish(settings, alert(id="early", preliminary=True), alert())
        eventually(lambda: [each.id for each in list_alerts(engine)] == [alert().id])
    assert deliveries_of(engine) == []
    assert not audit_rows(engine, "early")


def test_while_the_database_is_down_kafka_keeps(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = threading.Event()
    begin = engine.begin

    def maybe() -> Any:
        if down.is_set():
            raise OperationalError("select", {}, Exception("the database is down"))
        return begin()

    with running(make(settings, engine)) as recorder:
        eventually(lambda: recorder.ready())
        monkeypatch.setattr(engine, "begin", maybe)
        down.set()
        publish(settings, window(start=NOON, documents=4), alert())
        eventually(lambda: not recorder.ready())
        assert document_sums(engine, "") == {}
        down.clear()
        eventually(lambda: document_sums(engine, "") == {3600: 4})
        eventually(lambda: len(list_alerts(engine)) == 1)
        eventually(lambda: recorder.ready())


def test_a_stop_while_the_database_is_down_is_heard(settings: Settings, tmp_path: Any) -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none")
    recorder = make(settings, engine)
    with running(recorder):
        assert not recorder.ready()
