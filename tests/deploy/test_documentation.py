"""What the documentation names: commands, settings, series, targets of make and other pages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from stream.cli import app
from stream.settings import Settings
from tests.deploy.commands import WrongCommand, check_command
from tests.deploy.series import exported
from tests.deploy.test_helm import CHART
from tests.servers import ROOT

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")])
SECTIONS = ("kafka", "worker", "detector", "delivery", "http")
COMMAND = typer.main.get_command(app)
AUDITED = {"delivery.silenced"}
"""Kinds of rows of the audit table that look like settings."""
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def commands(page: Path) -> Iterator[str]:
    """Command lines of ``barograph`` in code of a page."""
    text = page.read_text()
    # A comment after a command, and a command that goes on on the next line.
    fenced = "\n".join(re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL))
    for line in fenced.replace("\\\n", " ").splitlines():
        bare = re.sub(r"\s+#.*", "", line)
        for part in re.split(r"&&|[;&|]", bare):
            if found := re.match(r"\s*(?:\S*/)?barograph (.+)", part):
                yield found[1].strip()


@each_page
def test_commands_of_a_page_are_commands(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(re.sub(r"\s+…$", "", line))
        if words[0] in ("train", "tune", "evaluate", "compare", "export"):
            continue  # their options are those of their modules
        check_command([word for word in words if word != "…"])


@each_page
def test_commands_named_in_passing_are_commands(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for line in re.findall(r"`barograph ([^`]+)`", text):
        words = line.split()
        first = [word for word in words[:2] if re.fullmatch(r"[a-z][a-z-]+", word)]
        options = re.findall(r"--[a-z-]+", line)
        assert is_command(first, options), f"barograph {line}"


def is_command(first: list[str], options: list[str]) -> bool:
    """Whether there is such a command, and it has these options."""
    command: Any = COMMAND
    for word in first:
        if hasattr(command, "commands"):
            if word not in command.commands:
                return False
            command = command.commands[word]
    free = getattr(command, "context_settings", {}).get("ignore_unknown_options")
    known = {name for parameter in command.params for name in parameter.opts}
    return bool(free) or set(options) <= known | {"--help"}


def test_words_that_are_no_command_are_found() -> None:
    assert is_command(["tokens", "create"], ["--role"])
    assert not is_command(["token", "create"], [])
    assert not is_command(["send"], ["--sauce"])
    with pytest.raises(WrongCommand):
        check_command(["send", "a.jsonl", "--sauce", "x"])


@each_page
def test_settings_that_a_page_names_are_settings(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(rf"`((?:{'|'.join(SECTIONS)})(?:\.[a-z_]+)+)`", text):
        if name in AUDITED or (page.name == "deploying.md" and is_value(name.split("."))):
            continue
        assert is_setting(name.split(".")), name
    for name in re.findall(r"\bBAROGRAPH_[A-Z_]+[A-Z]\b", text):
        if name not in ("BAROGRAPH_CONFIG", "BAROGRAPH_VERSION"):
            assert is_setting(name.removeprefix("BAROGRAPH_").lower().split("__")), name


def is_value(path: list[str]) -> bool:
    """Whether it is one of the chart's."""
    value: Any = VALUES
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def is_setting(path: list[str]) -> bool:
    model: Any = Settings
    for name in path:
        fields = getattr(model, "model_fields", {})
        if name not in fields:
            return False
        model = fields[name].annotation
    return True


@each_page
def test_targets_of_make_that_a_page_names_are_some(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    fenced = "".join(re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.M | re.S))
    code = re.findall(r"`make ([a-z-]+)", page.read_text())
    code += re.findall(r"\bmake (?:-C \S+ )?([a-z]+)", fenced)
    assert set(code) <= targets


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The anchors that its headings get."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@each_page
def test_series_that_a_page_names_are_exported(page: Path) -> None:
    known = exported()
    bases = known.keys() | {name.removesuffix("_bucket") for name in known}
    for code in re.findall(r"`(barograph_[a-z_]+)", page.read_text()):
        assert code in bases or any(name.startswith(code) for name in known), code
