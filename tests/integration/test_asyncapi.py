"""What stands on Kafka is what the AsyncAPI document says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alerts.erasure import document_digest
from stream.clients import producer
from stream.demo import WATCHLIST, documents
from stream.forgetting import tell_kafka
from stream.settings import Topics, WorkerSettings
from tests import servers
from tests.asyncapi import CHANNELS, errors, kinds
from tests.conftest import settings_for
from tests.integration.reading import everything
from tests.pipeline import Pipeline
from tests.servers import eventually

pytestmark = pytest.mark.server

LONG = {
    **{"text": "Corvane warns", "source": "wire", "title": "Corvane", "author": "ana"},
    **{"url": "https://wire.example/1", "kind": "news", "tags": ["CRVN"], "lang": "en"},
    "published_at": "2026-03-04T12:28:07Z",
}
BAD = b"not JSON"


def test_every_message_is_one_of_those_of_its_topic(kafka: servers.Kafka, tmp_path: Path) -> None:
    settings = settings_for(
        kafka.bootstrap,
        partitions=1,
        watchlist=WATCHLIST,
        worker=WorkerSettings(idle_after=4, allowed_lateness=0),
    )
    topics = settings.kafka.topics
    with Pipeline(settings, tmp_path, ("worker",)) as pipeline:
        with producer(kafka.bootstrap) as client:
            for document in documents(datetime.now(UTC)):
                client.send(topics.documents, value=document.value)
            client.send(topics.documents, value=json.dumps(LONG).encode(), key=b"k")
            client.send(topics.documents, value=BAD, key=b"kept")
            client.flush()
        eventually(lambda: pipeline.metric("barograph_spike_active") > 0, 150)
        eventually(lambda: pipeline.metric("barograph_dead_letters_total") == 1, 60)
        tell_kafka(settings, [document_digest("nobody has it")])

        def slices() -> set[str]:
            found = everything(kafka.bootstrap, topics.slices)
            return {_kind(Topics().slices, record) for record in found}

        # Ticks come when nothing else does.
        eventually(lambda: slices() == set(kinds(Topics().slices)), 60)
    names = Topics()
    for field, address in names.model_dump().items():
        found = everything(kafka.bootstrap, getattr(topics, field))
        if field == "documents":
            found = [record for record in found if record.value != BAD]
        assert found, field
        seen = {_kind(address, record) for record in found}
        assert seen == set(kinds(address)), field
    (letter,) = everything(kafka.bootstrap, topics.dead_letters)
    assert (letter.key, letter.value) == (b"kept", BAD)
    headers = {name: value.decode() for name, value in letter.headers}
    assert errors("DeadLetterHeaders", headers) == []
    assert set(CHANNELS) == set(Topics.model_fields)


def _kind(address: str, record: Any) -> str:
    """Which message of the topic the record is; its key is as described."""
    if address == Topics().dead_letters:
        return "DeadLetter"
    value = json.loads(record.value)
    fitting = [kind for kind in kinds(address) if not errors(kind, value)]
    assert len(fitting) == 1, {kind: errors(kind, value)[:3] for kind in kinds(address)}
    keys = {"ScoredDocument": "id", "Slice": "topic", "Window": "topic", "Alert": "id"}
    if name := keys.get(fitting[0]):
        assert record.key.decode() == value[name]
    return fitting[0]
