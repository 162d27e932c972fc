"""What is deployed beside Barograph, checked by the programs that read it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.servers import ROOT, program

PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager"
RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
TESTS = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]


def check(folder: Path, tool: str, package: str, *arguments: str) -> None:
    command = [program(tool, package=package), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_and_the_rules_are_valid() -> None:
    check(PROMETHEUS, "promtool", "prometheus", "check", "config", "prometheus.yml")


def test_the_rules_fire_when_they_should_and_only_then() -> None:
    check(PROMETHEUS, "promtool", "prometheus", "test", "rules", "rules_test.yml")


def test_the_configuration_of_alertmanager_is_valid() -> None:
    check(ALERTMANAGER, "amtool", "prometheus-alertmanager", "check-config", "alertmanager.yml")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_has_a_runbook_that_is_there(rule: dict[str, dict[str, str]]) -> None:
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page.read_text().startswith(f"# {rule['alert']}")
    assert f"| `{rule['alert']}` | [" in (ROOT / "docs" / "operating.md").read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_says_what_it_is_about_and_where_to_look(
    rule: dict[str, dict[str, str]],
) -> None:
    assert {"summary", "description", "dashboard_url", "runbook_url"} == set(rule["annotations"])
    assert "severity" in rule.get("labels", {}) or "by (topic, severity)" in rule["expr"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_is_tested_firing_silent_and_stale(rule: dict[str, dict[str, str]]) -> None:
    """That the tests do so is promtool's part; here, that they are there."""
    fires, silent, stale = 0, 0, 0
    for test in TESTS:
        cases = [
            case for case in test.get("alert_rule_test", ()) if case["alertname"] == rule["alert"]
        ]
        fires += any(case["exp_alerts"] for case in cases)
        silent += any(not case["exp_alerts"] for case in cases)
        gone = any("stale" in str(series["values"]) for series in test["input_series"])
        stale += gone and any(not case["exp_alerts"] for case in cases)
    assert fires
    assert silent
    assert stale


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "runbooks").glob("*.md")), ids=lambda p: p.name
)
def test_links_between_runbooks_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link
