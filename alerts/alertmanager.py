"""What Alertmanager posts to a webhook receiver: its format, version 4.

What is not used here is not looked at, so that newer versions are understood too.
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from alerts.records import Record, Time


class Notice(Record):
    """One alert as Prometheus raised it; ``endsAt`` says something only once it is resolved."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: Time = Field(alias="startsAt")
    ends_at: Time = Field(alias="endsAt")
    fingerprint: str


class Notification(Record):
    """A group of alerts; the same group is posted again until it is answered with 2xx."""

    group_key: str = Field(alias="groupKey")
    alerts: tuple[Notice, ...]
