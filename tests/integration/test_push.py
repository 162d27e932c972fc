"""Documents posted to the desk, on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from alerts.desk.feeding import FeedDown, RowsRefused
from stream.push import Push
from stream.settings import KafkaSettings, Settings
from stream.topics import create
from tests.integration.reading import everything


@pytest.fixture
def push(broker_settings: Settings) -> Iterator[Push]:
    create(broker_settings)
    push = Push(broker_settings.kafka)
    yield push
    push.close()


def rows(*documents: object) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


def test_documents_arrive_under_their_ids(push: Push, broker_settings: Settings):
    given = rows({"text": "a", "source": "s", "id": "one"}, {"text": "b", "source": "s"})
    ids = push(given)
    assert ids[0] == "one"
    assert len(ids[1]) == 32
    assert push(given) == ids
    kafka = broker_settings.kafka
    messages = everything(kafka.bootstrap, kafka.topics.documents)
    expected = list(zip((b"one", b"s"), given, strict=True))
    assert sorted((m.key, m.value) for m in messages) == sorted(2 * expected)


def test_nothing_is_sent_when_a_row_is_no_document(push: Push, broker_settings: Settings):
    given = [*rows({"text": "a", "source": "s"}, {"text": ""}, ["x"]), b"{", b"\xff"]
    with pytest.raises(RowsRefused) as refused:
        push(given)
    assert list(refused.value.reasons) == [1, 2, 3, 4]
    assert "text" in refused.value.reasons[1]
    kafka = broker_settings.kafka
    assert everything(kafka.bootstrap, kafka.topics.documents) == []


def test_a_kafka_that_is_away_is_said_so():
    push = Push(KafkaSettings(bootstrap="127.0.0.1:1"))
    with pytest.raises(FeedDown):
        push(rows({"text": "a", "source": "s"}))
    push.close()
