"""The dashboards are what their program makes, and what Grafana's types say they may be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import prometheus
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import CollectorRegistry

from deploy.grafana.__main__ import DASHBOARDS, text_of
from stream.feeds.metrics import FeedMetrics
from stream.metrics import Metrics
from tests.deploy.boards import FILES, GRAFANA, board, queries, variables
from tests.servers import ROOT

RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())
RECORDED = {
    rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule
}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_files_are_what_the_program_makes(name: str) -> None:
    written = (GRAFANA / "dashboards" / f"{name}.json").read_text(encoding="utf-8")
    assert written == text_of(DASHBOARDS[name]()), "run: python -m deploy.grafana"


def test_no_dashboard_is_left_over() -> None:
    assert [path.stem for path in FILES] == sorted(DASHBOARDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_grafana_s_types_read_the_files_and_lose_nothing(path: Path) -> None:
    register_default_plugins()
    read = Dashboard.from_json(board(path))
    for panel in read.panels or []:
        for target in getattr(panel, "targets", None) or []:
            assert isinstance(target, prometheus.Dataquery)
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == board(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_stand_side_by_side(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board(path)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_series_is_recorded_by_a_rule_or_documented() -> None:
    told = (ROOT / "docs" / "operating.md").read_text()
    for query in queries():
        plain = re.sub(r"\{[^}]*\}", "", query.expression)
        for name in re.findall(r"[\w:]*\bbarograph[\w:]*", plain):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            short = f"`{base.removeprefix('barograph_documents')}`"
            known = name in RECORDED if ":" in name else base in told or short in told
            assert known, f"{name} of {query} is not in docs/operating.md"


@pytest.mark.parametrize(
    "registry", [Metrics().registry, FeedMetrics([]).registry], ids=["worker", "feed"]
)
def test_every_series_is_on_a_dashboard(registry: CollectorRegistry) -> None:
    shown = " ".join(query.expression for query in queries())
    shown += " ".join(rule["expr"] for group in RULES["groups"] for rule in group["rules"])
    for family in registry.collect():
        assert re.search(rf"\b{family.name}(_total|_bucket)?\b", shown), family.name


def test_links_between_dashboards_lead_somewhere() -> None:
    uids = {board(path)["uid"] for path in FILES}
    for path in FILES:
        assert set(re.findall(r"/d/([\w-]+)", path.read_text())) <= uids


def test_variables_are_used() -> None:
    for name, variable in variables():
        text = (GRAFANA / "dashboards" / f"{name}.json").read_text()
        assert re.search(rf"\$\{{?{variable['name']}\b", text), variable["name"]


def test_provisioning_is_of_grafana_s_form() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    assert [source["type"] for source in sources["datasources"]] == ["prometheus"]
    providers = yaml.safe_load((GRAFANA / "provisioning/dashboards/barograph.yml").read_text())
    assert [provider["type"] for provider in providers["providers"]] == ["file"]
