"""The dashboards as they are checked in, and the queries in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))


@dataclass(frozen=True)
class Query:
    board: str
    panel: str
    expression: str
    instant: bool = False

    def __str__(self) -> str:
        return f"{self.board}: {self.panel}"

    def filled(self, values: Mapping[str, str]) -> str:
        """The expression as Grafana sends it; KeyError when a variable has no value."""
        return re.sub(
            r"\$\{(\w+)\}|\$(\w+)", lambda found: values[found[1] or found[2]], self.expression
        )


def board(path: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return made


def queries() -> Iterator[Query]:
    """Every query of every panel and annotation."""
    for path in FILES:
        made = board(path)
        for panel in made["panels"]:
            for target in panel.get("targets", []):
                instant = bool(target.get("instant"))
                yield Query(path.stem, panel["title"], target["expr"], instant)
        for mark in made["annotations"]["list"]:
            yield Query(path.stem, mark["name"], mark["expr"])


def variables() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in FILES:
        for variable in board(path)["templating"]["list"]:
            yield path.stem, variable
