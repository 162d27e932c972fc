from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from stream.broker import BrokerError, EmbeddedBroker, binary, free_port
from stream.clients import BrokerUnreachable, admin
from tests.servers import ROOT, eventually


def answers(bootstrap: str) -> bool:
    try:
        with admin(bootstrap) as client:
            client.list_topics()
        return True
    except BrokerUnreachable:
        return False


def test_it_answers_while_it_runs():
    with EmbeddedBroker() as broker:
        assert answers(broker.bootstrap)
        broker.check()
    assert not answers(broker.bootstrap)
    broker.stop()


def test_a_taken_port_is_said():
    port = free_port()
    with EmbeddedBroker(port), pytest.raises(BrokerError, match=f"cannot listen at .*{port}"):
        EmbeddedBroker(port).start()


def test_its_end_is_noticed():
    with EmbeddedBroker() as broker:
        assert broker._process is not None
        broker._process.kill()
        broker._process.wait()
        with pytest.raises(BrokerError, match="ended with status -9"):
            broker.check()


def test_one_that_does_not_start_says_why(monkeypatch, tmp_path):
    script = tmp_path / "tansu"
    script.write_text("#!/bin/sh\necho no such option\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr("stream.broker.binary", lambda: script)
    with pytest.raises(BrokerError, match="status 3: no such option"):
        EmbeddedBroker().start()


def test_the_binary_is_found():
    assert os.access(binary(), os.X_OK)


def test_it_dies_with_a_killed_parent():
    program = (
        "import signal; from stream.broker import EmbeddedBroker\n"
        "broker = EmbeddedBroker(); broker.start(); print(broker.bootstrap, flush=True)\n"
        "signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        bootstrap = parent.stdout.readline().strip()
        assert answers(bootstrap)
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: not answers(bootstrap), 10)
