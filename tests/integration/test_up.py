"""``barograph up``: what a person with a bare machine starts first."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import eventually


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
