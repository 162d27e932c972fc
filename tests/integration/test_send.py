from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest

from stream.records import Document
from stream.send import SendError, send
from stream.topics import TopicError, create
from tests.conftest import settings_for
from tests.integration.reading import everything
from tests.servers import ROOT


def documents(settings):
    return everything(settings.kafka.bootstrap, settings.kafka.topics.documents)


def test_every_row_arrives_once(broker_settings, tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    rows = "".join(f'{{"text": "t{n}", "id": "{n}"}}\n' for n in range(30_000))
    path.write_bytes(gzip.compress(rows.encode()))
    create(broker_settings)
    report = send(path, broker_settings, progress=False)
    assert (report.sent, report.skipped) == (30_000, 0)
    records = documents(broker_settings)
    assert len(records) == 30_000
    assert {record.key for record in records} == {str(n).encode() for n in range(30_000)}
    assert {record.partition for record in records} == {0, 1}
    assert Document.model_validate_json(records[0].value).source == "file/rows"


def test_what_is_no_document_goes_out_as_it_is(broker_settings, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a", "source": "s"}\nbroken \xff\n')
    create(broker_settings)
    assert send(path, broker_settings, progress=False).sent == 2
    assert {record.value for record in documents(broker_settings)} == {
        b'{"text":"a","source":"s"}',
        b"broken \xff",
    }


def test_a_limit_and_a_source(broker_settings, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "x\n" * 10)
    create(broker_settings)
    assert send(path, broker_settings, progress=False, limit=3, source="wire").sent == 3
    assert [json.loads(r.value)["source"] for r in documents(broker_settings)] == ["wire"] * 3


def test_one_too_large_is_skipped_and_named(broker_settings, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' + json.dumps({"text": "x" * 5_000_000}) + '\n{"text": "b"}\n')
    create(broker_settings)
    report = send(path, broker_settings, progress=False)
    assert (report.sent, report.skipped, report.skipped_lines) == (2, 1, (2,))


def test_the_longest_text_taken_fits(broker_settings, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "\U0001f4c9" * 20_000, "source": "s"}))
    create(broker_settings)
    assert send(path, broker_settings, progress=False).sent == 1


def test_a_refusal_of_the_broker_is_an_error(kafka_settings, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x" * 100_000}) + "\n")
    create(kafka_settings)
    from kafka.admin import ConfigResource, ConfigResourceType

    from stream.clients import admin

    with admin(kafka_settings.kafka.bootstrap) as client:
        resource = ConfigResource(
            ConfigResourceType.TOPIC,
            kafka_settings.kafka.topics.documents,
            {"max.message.bytes": "1000"},
        )
        client.alter_configs([resource])
    with pytest.raises(SendError, match="0 documents sent, then Kafka said"):
        send(path, kafka_settings, progress=False)


def test_without_the_topic_nothing_is_sent(broker_settings, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n')
    with pytest.raises(TopicError, match="barograph topics create"):
        send(path, broker_settings, progress=False)


def test_standard_input_is_read_too(embedded_kafka):
    settings = settings_for(embedded_kafka.bootstrap)
    create(settings)
    program = (
        "import sys; from pathlib import Path; from stream.send import send\n"
        "from stream.settings import Settings\n"
        "settings = Settings.model_validate_json(sys.argv[1])\n"
        "print(send(Path('-'), settings).sent)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, settings.model_dump_json()],
        input=b'{"text": "a"}\n{"text": "b"}\n',
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.split() == [b"2"]
    assert json.loads(documents(settings)[0].value)["source"] == "stdin"
