from __future__ import annotations

import pytest

from stream.clients import producer
from stream.dead_letters import headers, list_dead_letters, replay_dead_letters
from stream.topics import TopicError, create
from tests.integration.reading import everything


def bury(settings, *values: bytes, first: int = 0) -> None:
    """Write dead letters as the worker does."""
    topics = settings.kafka.topics
    with producer(settings.kafka.bootstrap) as client:
        for offset, value in enumerate(values, start=first):
            client.send(
                topics.dead_letters,
                value=value,
                key=b"key",
                headers=headers("text: too short", topics.documents, 1, offset),
            )


def sent_back(settings) -> list[bytes]:
    records = everything(settings.kafka.bootstrap, settings.kafka.topics.documents)
    return sorted(record.value for record in records)


@pytest.fixture
def settings(broker_settings):
    create(broker_settings)
    return broker_settings


def test_there_may_be_none(settings):
    assert list_dead_letters(settings) == []
    assert replay_dead_letters(settings) == 0


def test_they_are_listed_with_reason_and_origin(settings):
    bury(settings, b"one", b"\xff two")
    first, second = list_dead_letters(settings)
    assert (first.value, second.value) == (b"one", b"\xff two")
    assert first.reason == "text: too short"
    assert (second.topic, second.partition, second.offset) == (
        settings.kafka.topics.documents,
        1,
        1,
    )
    assert second.key == b"key"
    assert first.time.tzinfo is not None


def test_the_newest_are_listed(settings):
    bury(settings, *(str(n).encode() for n in range(10)))
    assert [letter.value for letter in list_dead_letters(settings, limit=3)] == [b"7", b"8", b"9"]


def test_they_are_sent_back_once(settings):
    bury(settings, b"a", b"b")
    assert replay_dead_letters(settings) == 2
    assert sent_back(settings) == [b"a", b"b"]
    assert replay_dead_letters(settings) == 0
    bury(settings, b"c", first=2)
    assert replay_dead_letters(settings) == 1
    assert sent_back(settings) == [b"a", b"b", b"c"]
    assert len(list_dead_letters(settings)) == 3


def test_some_now_and_the_rest_later(settings):
    bury(settings, b"a", b"b", b"c")
    assert replay_dead_letters(settings, limit=2) == 2
    assert sent_back(settings) == [b"a", b"b"]
    assert replay_dead_letters(settings) == 1
    assert sent_back(settings) == [b"a", b"b", b"c"]


def test_chosen_ones_are_sent_again(settings):
    bury(settings, b"a", b"b", b"c")
    assert replay_dead_letters(settings) == 3
    assert replay_dead_letters(settings, numbers=[1, 99]) == 1
    assert replay_dead_letters(settings, numbers=[99]) == 0
    assert replay_dead_letters(settings, numbers=[]) == 0
    assert sent_back(settings) == [b"a", b"b", b"b", b"c"]


def test_the_key_comes_back_too(settings):
    bury(settings, b"a")
    replay_dead_letters(settings)
    records = everything(settings.kafka.bootstrap, settings.kafka.topics.documents)
    assert [record.key for record in records] == [b"key"]


def test_without_topics_it_is_an_error(broker_settings):
    with pytest.raises(TopicError):
        list_dead_letters(broker_settings)


def test_a_long_reason_is_cut():
    assert len(headers("x" * 5000, "t", 0, 0)[0][1]) == 1000
