"""When an alert changed. Pure."""

from __future__ import annotations

from datetime import datetime

from alerts.records import Alert


def changed_at(alert: Alert) -> datetime:
    """The time of this transition: ``detected_at`` stays that of the alert's first one."""
    return max(alert.detected_at, alert.window.end)
