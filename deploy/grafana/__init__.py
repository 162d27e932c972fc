"""The dashboards, as programs: ``python -m deploy.grafana`` writes ``dashboards/*.json``."""
