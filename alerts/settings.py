"""Settings of the detector and of delivery; ``stream.settings`` composes them with the rest."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from alerts.formats import Format
from alerts.records import Severity
from alerts.webhooks import PREFIX, Signature, decode_secret


class Section(BaseModel):
    """A part of the settings: an unknown key is a mistake, not a wish."""

    # What was given may be a secret in the wrong place: no error repeats it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_AGE = re.compile(r"([1-9]\d{0,5})([hd])")


def _age(value: object) -> object:
    if not isinstance(value, str) or not _AGE.fullmatch(value):
        raise ValueError("say how long as a number of days or hours, such as 30d or 12h")
    return value


Age = Annotated[str, BeforeValidator(_age)]
"""How long something is kept: a number of days or hours, such as ``30d`` or ``12h``."""


def span(age: str) -> timedelta:
    """The time that an ``Age`` means."""
    return timedelta(**{{"d": "days", "h": "hours"}[age[-1]]: int(age[:-1])})


class DetectorSettings(Section):
    """When a topic counts as abnormally negative."""

    false_alarms_per_topic_month: float = Field(
        0.5, gt=0, le=100, description="budget of false alarms a topic may raise in a month"
    )
    min_stories: int = Field(5, ge=1, description="distinct negative stories an alert needs")
    min_sources: int = Field(2, ge=1, description="distinct sources or authors an alert needs")
    warm_up_hours: int = Field(
        72, ge=1, description="closed hours a topic must have been watched before it may alert"
    )
    memory_hours: float = Field(
        1344, gt=0, description="hours after which the baseline has forgotten all but 1/e"
    )
    confirm_minutes: int = Field(
        0, ge=0, description="a test must have passed for so long before an alert fires"
    )
    min_duration_minutes: int = Field(30, ge=0, description="an alert fires at least this long")
    cooldown_minutes: int = Field(60, ge=0, description="quiet time before the topic may fire anew")
    severity: Severity | None = Field(
        None, description="severity of all alerts; none: by how far the threshold is exceeded"
    )


class WebhookTarget(Section):
    """Where alerts are posted, signed."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="stands in the audit table and in metrics"
    )
    url: str = Field(pattern=r"^https?://", description="where to post")
    format: Format = Field(
        "standard",
        description="the body: `standard` as Standard Webhooks, `json` the alert alone, "
        "`slack` and `teams` for an incoming webhook of theirs",
    )
    signature: Signature = Field(
        "standard", description="`github`: `X-Hub-Signature-256`, for receivers that know no other"
    )
    secret: SecretStr | None = Field(
        None,
        description="whsec_ and base64, as in Standard Webhooks; with `signature: github` any text "
        "of 16 characters or more; may be left out for `slack` and `teams`, which check none",
    )
    previous_secret: SecretStr | None = Field(
        None, description="signs as well, until every receiver has taken the new secret"
    )
    internal: bool = Field(False, description="allow private and loopback addresses")
    topics: tuple[str, ...] = Field((), description="only these topics; empty: all")
    min_severity: Severity = Field(
        "warning", description="`critical`: only alerts that are, or have become, critical"
    )

    @field_validator("secret", "previous_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is None:
            return None
        if info.data.get("signature") != "github":
            decode_secret(secret.get_secret_value())
        elif info.field_name == "previous_secret":
            raise ValueError("signature: github has room for one signature, not for a previous one")
        elif len(secret) < 16:
            raise ValueError("a secret has 16 characters or more")
        return secret

    @model_validator(mode="after")
    def _signs(self) -> WebhookTarget:
        if self.secret is None and self.format not in ("slack", "teams"):
            raise ValueError(
                f"target {self.name} needs a secret; make one with: "
                f'echo "{PREFIX}$(openssl rand -base64 32)"'
            )
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """What to sign with, the present secret first; none for a chat without one."""
        found = (self.secret, self.previous_secret)
        return tuple(secret.get_secret_value() for secret in found if secret is not None)


class DeliverySettings(Section):
    """How alerts leave: through Prometheus and Alertmanager, or directly from the recorder."""

    mode: Literal["prometheus", "direct"] = Field(
        "prometheus", description="`prometheus`: Alertmanager and desk; `direct`: the recorder"
    )
    preliminary: bool = Field(
        True,
        description="mode `direct`: tell of a spike at once, marked as preliminary, and a minute "
        "later whether it is borne out",
    )
    targets: tuple[WebhookTarget, ...] = Field((), description="webhook targets, see below")
    dashboard_url: str = Field(
        "http://127.0.0.1:8080", description="where the desk is reached, for links in alerts"
    )
    relay_token: SecretStr | None = Field(
        None,
        description="bearer token that Alertmanager must send to the relay; none: whoever is on "
        "this machine may post, others not",
    )
    alertmanager_url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Alertmanager, for silences made on the desk (mode `prometheus`)",
    )


class TableRetention(Section):
    """How long what is kept in SQL."""

    short_windows: Age | None = Field("90d", description="windows of 5 minutes, by their start")
    windows: Age | None = Field("730d", description="windows of an hour and of a day")
    alerts: Age | None = Field(
        "365d",
        description="alerts that are over, with their evidence, transitions, deliveries, "
        "acknowledgements and silences; one that fires stays",
    )
    corrections: Age | None = Field(
        "365d", description="corrections that were exported; others wait to be"
    )
