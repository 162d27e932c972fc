"""What ``deploy/`` holds for Prometheus and Alertmanager, pointed at the processes of a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.pipeline import Pipeline
from tests.servers import ROOT


@dataclass
class Deployed:
    """The parsed files, to be changed before they are written out."""

    prometheus: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    alertmanager: dict[str, Any] = field(default_factory=dict)

    def rule(self, alert: str) -> dict[str, Any]:
        """The rule of that name."""
        (found,) = (
            rule
            for group in self.rules["groups"]
            for rule in group["rules"]
            if rule.get("alert") == alert
        )
        return dict_of(found)

    @property
    def spike_route(self) -> dict[str, Any]:
        """How Alertmanager groups what goes to the relay."""
        return dict_of(self.alertmanager["route"]["routes"][0])


def dict_of(value: Any) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value


def deployed(pipeline: Pipeline, manager: str = "") -> Deployed:
    """The files of ``deploy/``; ``manager`` is Alertmanager's base URL, once it has one."""
    addresses = {
        "127.0.0.1:9101": pipeline.url("worker"),
        "127.0.0.1:9102": pipeline.url("recorder"),
        "127.0.0.1:8080": pipeline.url("desk"),
        "127.0.0.1:9093": manager,
    }

    def read(name: str) -> dict[str, Any]:
        text = (ROOT / "deploy" / name).read_text()
        for there, here in addresses.items():
            text = text.replace(there, here.removeprefix("http://"))
        return dict_of(yaml.safe_load(text))

    return Deployed(
        read("prometheus/prometheus.yml"),
        read("prometheus/rules.yml"),
        read("alertmanager/alertmanager.yml"),
    )
