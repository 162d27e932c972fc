"""The units: systemd takes them, and each runs a command that is one, shut in."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from stream.settings import HttpSettings
from tests.deploy.commands import check_command
from tests.deploy.environment import settings_of, unknown
from tests.servers import ROOT, program

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))


def values(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """The units with a program that is here in place of the installed one, and an instance."""
    for unit in UNITS.iterdir():
        text = unit.read_text(encoding="utf-8")
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (tmp_path / unit.name.replace("@.", "@9101.")).write_text(text)
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("systemd-analyze", package="systemd"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_is_a_unit_for_each_process() -> None:
    assert [unit.name for unit in SERVICES] == [
        "barograph-desk.service",
        "barograph-feed.service",
        "barograph-recorder.service",
        "barograph-worker@.service",
    ]


def test_systemd_takes_the_units(placed: Path) -> None:
    units = [str(path) for path in placed.iterdir() if path.suffix in (".service", ".target")]
    done = analyze("verify", "--man=no", *units)
    assert done.returncode == 0, done.stderr
    assert str(placed) not in done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_thinks_the_units_shut_in(placed: Path, unit: Path) -> None:
    done = analyze(
        *("security", "--offline=true", "--threshold=25", "--no-pager"),
        str(placed / unit.name.replace("@.", "@9101.")),
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_each_runs_a_command_that_is_one(unit: Path) -> None:
    (line,) = values(unit, "ExecStart")
    words = shlex.split(line)
    assert words[0] == "/opt/barograph/.venv/bin/barograph"
    assert check_command(words[1:]).split()[0] in unit.name


def test_the_instance_of_a_worker_is_its_port() -> None:
    (variable,) = values(UNITS / "barograph-worker@.service", "Environment")
    name, _, value = variable.partition("=")
    assert unknown([name]) == []
    port = HttpSettings().worker_port
    assert settings_of({name: value.replace("%i", str(port))}).http == HttpSettings()


def test_the_target_starts_units_that_are_there_and_the_user_is_made() -> None:
    wanted = values(UNITS / "barograph.target", "Wants")[0].split()
    assert all((UNITS / name).is_file() for name in wanted)
    (user,) = {user for unit in SERVICES for user in values(unit, "User")}
    assert re.search(rf"^u {user} ", (UNITS / "barograph.conf").read_text(), re.MULTILINE)
