"""The desk: pages that show why an alert fired, the HTTP API, and the relay of Alertmanager."""

from alerts.desk.app import create_app

__all__ = ["create_app"]
