"""Write the dashboards: ``python -m deploy.grafana``."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as DashboardType

from deploy.grafana.operations import operations
from deploy.grafana.topic import topic
from deploy.grafana.weather import weather

FOLDER = Path(__file__).with_name("dashboards")
DASHBOARDS = {"weather": weather, "topic": topic, "operations": operations}


def text_of(made: Dashboard) -> str:
    """The JSON that Grafana reads; panels are numbered in order, so that links to them last.

    It is read back once by the types, which fill in the defaults of each kind of panel.
    """
    built = made.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number
    register_default_plugins()
    whole = DashboardType.from_json(json.loads(json.dumps(built, cls=JSONEncoder)))
    return json.dumps(whole, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write each dashboard into ``dashboards/``."""
    for name, make in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(text_of(make()), encoding="utf-8")


if __name__ == "__main__":
    main()
