"""``barograph up``: what a person with a bare machine starts first."""

from __future__ import annotations

import contextlib
import http.server
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition

from stream.authors import digest
from stream.clients import consumer
from stream.settings import Topics
from tests.servers import eventually, serving
from tests.stream.feeds.test_rss import item, rss


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stream.cli", "up", *arguments]


def test_the_demonstration_raises_its_alert_and_ends():
    done = subprocess.run(
        command("--demo", "--once"), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ALERT" in done.stdout
    assert "delivered as a signed webhook" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_everything(number):
    with subprocess.Popen(command("--demo"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "metrics" in line:
                break
        family = children(process.pid)
        assert len(family) >= 4  # broker, worker, recorder, desk
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert "Stopped." in rest
    assert eventually(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()], 10)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_broker_that_is_not_there_is_said_so():
    done = subprocess.run(
        command("--bootstrap", "127.0.0.1:1"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no Kafka broker answers at 127.0.0.1:1" in done.stderr


def test_feeds_come_all_the_way(tmp_path: Path):
    """From files as a publisher serves them to scored documents."""
    pages = tmp_path / "www"
    pages.mkdir()
    (pages / "rss.xml").write_bytes(rss(item(2, "Corvane cuts its dividend"), item(1)))
    (pages / "cn.xml").write_bytes(rss(item(title="茅台跌停，恐慌！"), encoding="gb18030"))
    listing = tmp_path / "feeds.yaml"
    with file_server(pages) as url:
        listing.write_text(
            "feeds:\n"
            f"  - {{id: wire, type: rss, url: '{url}/rss.xml', internal: true, source: newswire}}\n"
            f"  - {{id: cn, type: rss, url: '{url}/cn.xml', internal: true, lang: zh-Hans}}\n"
        )
        arguments = command("--feeds", str(listing))
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            bootstrap = ""
            for line in process.stdout:
                bootstrap = line.split()[-1] if "Kafka" in line else bootstrap
                if "Reading the feeds" in line:
                    break
            try:
                arrived = eventually(partial(scored, bootstrap, 3), 60)
            finally:
                process.send_signal(signal.SIGTERM)
                rest = process.stdout.read()
                assert process.wait(60) == 0
    assert "Stopped." in rest
    assert (tmp_path / "feeds.state.db").exists()
    titles = {document["title"]: document for document in arrived}
    assert set(titles) == {"Corvane cuts", "Corvane cuts its dividend", "茅台跌停，恐慌！"}
    assert titles["Corvane cuts"]["source"] == "newswire"
    assert titles["Corvane cuts"]["author"] == digest("ana", b"barograph")
    assert titles["茅台跌停，恐慌！"]["lang"] == "zh-Hans"


@contextlib.contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """The files of a folder over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(partial(Quiet, directory=str(folder))) as address:
        yield address


def scored(bootstrap: str, count: int) -> list[dict[str, Any]]:
    """What has been scored, once there is so much of it; the embedded broker knows no end."""
    topic = Topics().scored
    with consumer(bootstrap) as client:
        client.assign([TopicPartition(topic, n) for n in client.partitions_for_topic(topic)])
        client.seek_to_beginning()
        found: list[dict[str, Any]] = []
        for _ in range(5):
            for batch in client.poll(timeout_ms=500).values():
                found += (json.loads(record.value) for record in batch)
    return found if len(found) >= count else []


def test_a_feeds_file_that_is_wrong_stops_it_before_anything_starts(tmp_path: Path):
    listing = tmp_path / "feeds.yaml"
    listing.write_text("feeds: [{id: a, type: rss}]")
    done = subprocess.run(
        command("--feeds", str(listing)), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "line 1, feed a: url is missing; add it" in done.stderr
