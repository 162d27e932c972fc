from __future__ import annotations

import pytest

from stream.broker import free_port
from stream.settings import Settings, load
from stream.topics import (
    BrokerUnreachable,
    TopicError,
    adjust,
    changelogs,
    create,
    describe,
    require,
)
from tests.conftest import settings_for
from tests.servers import eventually

DAY = 24 * 3600 * 1000
"""Milliseconds."""


def with_kafka(settings: Settings, **changes) -> Settings:
    kafka = settings.kafka.model_copy(update=changes)
    return settings.model_copy(update={"kafka": kafka})


def test_all_topics_are_made_once(broker_settings):
    names = list(broker_settings.kafka.topics.model_dump().values())
    names += [spec.name for spec in changelogs(broker_settings.kafka)]
    assert sorted(create(broker_settings)) == sorted(names)
    assert create(broker_settings) == []
    require(broker_settings.kafka.bootstrap, *names)


def test_they_are_described_as_they_are(broker_settings):
    assert not any(row.exists for row in describe(broker_settings))
    create(broker_settings)
    rows = {row.name: row for row in describe(broker_settings)}
    topics = broker_settings.kafka.topics
    assert rows[topics.documents].partitions == 2
    assert rows[topics.dead_letters].partitions == 1
    assert all(row.replication_factor == 1 for row in rows.values())


def test_retention_is_what_the_settings_say(kafka_settings):
    create(kafka_settings)
    rows = {row.name: row.retention_hours for row in describe(kafka_settings)}
    assert rows[kafka_settings.kafka.topics.slices] == 168
    assert rows[kafka_settings.kafka.topics.alerts] == 24 * 365
    assert rows[kafka_settings.kafka.topics.dead_letters] == 24 * 30


def test_topics_that_are_as_the_settings_say_are_left_alone(broker_settings):
    create(broker_settings)
    assert adjust(broker_settings) == []


def test_topics_that_exist_are_given_another_retention(kafka_settings):
    create(kafka_settings)
    retention = {"topics": {"alerts": "3d", "scored": "12h"}}
    changed = load(kafka=kafka_settings.kafka.model_dump(), retention=retention)
    names = changed.kafka.topics
    assert sorted(adjust(changed)) == sorted(
        f"{name}: {key} {old} -> {new}"
        for name, key, old, new in [
            (names.scored, "retention.ms", 7 * DAY, DAY // 2),
            (names.scored, "segment.ms", DAY, DAY // 2),
            (names.alerts, "retention.ms", 365 * DAY, 3 * DAY),
            (names.alerts, "min.compaction.lag.ms", 7 * DAY, 3 * DAY),
            (names.alerts, "max.compaction.lag.ms", 8 * DAY, 4 * DAY),
        ]
    )
    # The controller has it at once, the broker tells it a moment later.
    eventually(lambda: adjust(changed) == [])
    assert {row.name: row.retention_hours for row in describe(changed)}[names.scored] == 12
    assert adjust(kafka_settings) != []


def test_a_missing_one_is_added(broker_settings):
    create(broker_settings)
    topics = broker_settings.kafka.topics.model_copy(
        update={"alerts": f"{broker_settings.kafka.app_id}.more"}
    )
    assert create(with_kafka(broker_settings, topics=topics)) == [topics.alerts]


def test_another_number_of_partitions_is_an_error(broker_settings):
    create(broker_settings)
    with pytest.raises(TopicError, match=r"has 2 partitions .* 3: set kafka.partitions to 2"):
        create(with_kafka(broker_settings, partitions=3))


def test_what_the_broker_refuses_is_said(kafka_settings):
    with pytest.raises(TopicError, match="replicat"):
        create(with_kafka(kafka_settings, replication_factor=3))


def test_a_missing_topic_is_named(broker_settings):
    with pytest.raises(TopicError, match=r"nowhere does not exist: barograph topics create"):
        require(broker_settings.kafka.bootstrap, "nowhere")


def test_no_broker_is_said_in_one_line():
    settings = settings_for(f"127.0.0.1:{free_port()}")
    for action in (create, describe):
        with pytest.raises(BrokerUnreachable, match=r"^no Kafka broker answers at .*$"):
            action(settings)
