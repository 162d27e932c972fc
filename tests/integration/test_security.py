"""Kafka with TLS and SASL, and what is said when the password or the certificate is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.store import document_sums
from stream.clients import producer
from stream.dead_letters import list_dead_letters
from stream.feeds.base import SourceError
from stream.send import send
from stream.settings import Security, Settings
from stream.topics import create
from stream.up import write_settings
from tests.conftest import settings_for
from tests.integration.test_feeds import Process
from tests.pipeline import Pipeline
from tests.secure import PASSWORD, SecureKafka, authority, secure_kafka
from tests.servers import ROOT, eventually
from tests.stream.feeds.reading import read

pytestmark = pytest.mark.server

ROWS = 20


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("secure")) as kafka:
        yield kafka


def settings(bootstrap: str, security: Security) -> Settings:
    made = settings_for(bootstrap, partitions=1)
    kafka = made.kafka.model_copy(update={"security": security})
    return made.model_copy(update={"kafka": kafka})


@pytest.mark.parametrize("how", ["PLAIN", "SCRAM-SHA-512", "certificate"])
def test_every_process_speaks_to_a_kafka_that_wants_to_know_who_it_is(
    secure: SecureKafka, how: str, tmp_path: Path
) -> None:
    if how == "certificate":
        made = settings(secure.mutual, secure.with_certificate())
    else:
        made = settings(secure.sasl, secure.signing_in(how))
    rows = [
        {
            "text": f"Shares of Corvane fall {i}%",
            "source": "wire",
            "published_at": f"2024-05-01T10:{i}Z",
        }
        for i in range(10, 10 + ROWS)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"source": "wire"}]))
    with Pipeline(made, tmp_path) as pipeline:
        assert send(path, pipeline.settings, progress=False).sent == ROWS + 1
        eventually(lambda: document_sums(pipeline.engine, "class:").get(3600, 0) == ROWS, 60)
        eventually(lambda: len(list_dead_letters(pipeline.settings)) == 1, 30)


def barograph(made: Settings, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream.cli", *words]
    return subprocess.run(
        [*command, "--config", str(write_settings(made, folder))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wrong_password_is_one_line_without_it(secure: SecureKafka, tmp_path: Path) -> None:
    made = settings(secure.sasl, secure.signing_in("SCRAM-SHA-512", "not-the-password"))
    done = barograph(made, tmp_path, "topics", "create")
    assert done.returncode == 1
    assert "see kafka.security" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "not-the-password" not in done.stderr


def test_a_broker_that_another_authority_vouches_for_is_refused(
    secure: SecureKafka, tmp_path: Path
) -> None:
    right = secure.signing_in("PLAIN")
    other = authority(tmp_path, "other").certificate
    made = settings(secure.sasl, right.model_copy(update={"ca_file": other}))
    done = barograph(made, tmp_path, "topics", "create")
    assert done.returncode == 1
    assert "see kafka.security" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_certificate_is_named(secure: SecureKafka, tmp_path: Path) -> None:
    (tmp_path / "not.pem").write_text("nothing")
    right = secure.signing_in("PLAIN")
    made = settings(secure.sasl, right.model_copy(update={"ca_file": tmp_path / "not.pem"}))
    done = barograph(made, tmp_path, "topics", "create")
    assert done.returncode == 2
    assert "not.pem cannot be used" in done.stderr


def entry(made: Settings, **security: Any) -> dict[str, Any]:
    """A feed of the topic of the scored, where no test writes but with a producer."""
    kafka = made.kafka
    return {
        **{"id": "other", "type": "kafka", "begin": "start", "topic": kafka.topics.scored},
        **{"bootstrap": kafka.bootstrap, "security": {**_given(kafka.security), **security}},
    }


def _given(security: Security) -> dict[str, Any]:
    given = security.model_dump(mode="json", exclude_none=True, exclude={"password"})
    return given | ({"password": "${OTHER_KAFKA_PASSWORD}"} if security.sasl else {})


@pytest.mark.parametrize("how", ["PLAIN", "SCRAM-SHA-512", "certificate"])
def test_a_feed_reads_a_kafka_that_wants_to_know_who_it_is(
    secure: SecureKafka, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KAFKA_PASSWORD", PASSWORD)
    if how == "certificate":
        made = settings(secure.mutual, secure.with_certificate())
    else:
        made = settings(secure.sasl, secure.signing_in(how))
    create(made)
    with producer(made.kafka) as client:
        client.send(made.kafka.topics.scored, value=b'{"text": "over TLS", "source": "other"}')
    process = Process(tmp_path, made, entry(made))
    try:
        arrived = 'barograph_feed_documents_total{feed="other"}'
        assert eventually(lambda: process.metric(arrived) == 1, 60)
    finally:
        process.kill()


@pytest.mark.parametrize("wrong", ["password", "authority"])
def test_a_feed_that_is_not_let_in_fails_without_telling_the_password(
    secure: SecureKafka, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KAFKA_PASSWORD", "not-it" if wrong == "password" else PASSWORD)
    made = settings(secure.sasl, secure.signing_in("SCRAM-SHA-512"))
    more = {}
    if wrong == "authority":
        more["ca_file"] = str(authority(tmp_path, "other").certificate)
    with pytest.raises(SourceError) as caught:
        read(entry(made, **more))
    assert caught.value.kind == "connection"
    assert "not-it" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
