"""All settings: one YAML file, then ``BAROGRAPH_…`` environment variables, which win.

A nested key is reached with two underscores: ``BAROGRAPH_KAFKA__BOOTSTRAP=host:9092``.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from alerts.settings import Age, DeliverySettings, DetectorSettings, Section, TableRetention
from stream.records import NEGATIVE_FROM, Weight

HOUR = 3600


class SettingsError(Exception):
    """A setting is wrong; the message says in one line what to change."""


class Topics(Section):
    """Names of the Kafka topics."""

    documents: str = Field("barograph.documents", description="documents, as feeds put them")
    scored: str = Field("barograph.scored", description="documents with their scores")
    slices: str = Field("barograph.slices", description="internal: from scorer to aggregator")
    windows: str = Field("barograph.windows", description="sums per topic and time")
    alerts: str = Field("barograph.alerts", description="transitions of alerts")
    dead_letters: str = Field(
        "barograph.dead-letters", description="messages that are no documents"
    )


class Security(Section):
    """How the broker is spoken to: encrypted, and as whom."""

    tls: bool = Field(False, description="encrypt, and check the broker's certificate and name")
    ca_file: Path | None = Field(
        None, description="PEM: who signs the brokers' certificates; none: those the system trusts"
    )
    certificate_file: Path | None = Field(
        None, description="PEM: the client's certificate, where the broker asks for one"
    )
    key_file: Path | None = Field(None, description="PEM: the key of it, without a password")
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="mechanism of signing in; `PLAIN` sends the password, so only with `tls`"
    )
    username: str | None = Field(None, description="for `sasl`")
    password: SecretStr | None = Field(None, description="for `sasl`")

    @model_validator(mode="after")
    def _fits(self) -> Security:
        if self.sasl is not None and (self.username is None or self.password is None):
            raise ValueError("sasl needs username and password")
        if self.sasl is None and (self.username is not None or self.password is not None):
            raise ValueError("username and password need sasl: which mechanism?")
        if self.sasl == "PLAIN" and not self.tls:
            raise ValueError("sasl PLAIN sends the password as it is: set tls")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        if not self.tls and (self.ca_file is not None or self.certificate_file is not None):
            raise ValueError("ca_file and certificate_file need tls: true")
        return self


class KafkaSettings(Section):
    """The broker, and how topics are made."""

    bootstrap: str = Field("127.0.0.1:9092", description="host:port, several with commas")
    app_id: str = Field(
        "barograph",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="begins the names of the consumer groups and of the worker's tables",
    )
    partitions: int = Field(4, ge=1, le=1000, description="of every topic but the dead letters")
    replication_factor: int = Field(1, ge=1, description="of the topics and tables that are made")
    session_timeout: float = Field(10.0, gt=0, description="s until a dead worker is replaced")
    rebalance_timeout: float = Field(30.0, gt=0, description="s a group may take to re-form")
    topics: Topics = Topics()
    security: Security = Security()


class TopicRetention(Section):
    """How long what is kept on Kafka."""

    documents: Age = Field("7d", description="documents as they came, with their texts")
    scored: Age = Field("7d", description="documents with their scores")
    slices: Age = Field(
        "7d", description="what scorers tell aggregators; longer than workers may be down"
    )
    windows: Age = Field("365d", description="windows; longer than the recorder may be down")
    alerts: Age = Field(
        "365d", description="transitions of alerts; after a week the newest of each alert"
    )
    dead_letters: Age = Field("30d", description="messages that are no documents, as they came")


class RetentionSettings(Section):
    """How long what is kept."""

    topics: TopicRetention = TopicRetention()
    tables: TableRetention = TableRetention()


class WorkerSettings(Section):
    """Scoring and aggregation."""

    batch_size: int = Field(256, ge=1, le=10_000, description="documents scored in one call")
    batch_wait: float = Field(0.1, gt=0, le=5, description="s to wait for a batch to fill")
    backend: Literal["onnx", "torch"] = Field(
        "onnx",
        description="what runs the model; `torch` takes a GPU where there is one, and needs the "
        "extra `train`",
    )
    negative_from: float = Field(
        NEGATIVE_FROM,
        gt=0,
        lt=1,
        description="probability of negative from which a text tells a negative story, whatever "
        "its label; alerts are about those",
    )
    classify_threads: int = Field(2, ge=1, le=64, description="processor cores for the classifier")
    allowed_lateness: float = Field(30.0, ge=0, description="s of disorder within a source")
    idle_after: float = Field(
        60.0, gt=0, description="s without documents until a partition follows the wall clock"
    )


class HttpSettings(Section):
    """Where the processes answer HTTP."""

    host: str = Field("127.0.0.1", description="address the processes listen on")
    desk_port: int = Field(
        8080, ge=0, le=65535, description="page, API, relay, metrics and health of the desk"
    )
    worker_port: int = Field(9101, ge=0, le=65535, description="metrics and health")
    recorder_port: int = Field(9102, ge=0, le=65535, description="metrics and health")
    feed_port: int = Field(9103, ge=0, le=65535, description="metrics and health")


class Settings(BaseSettings):
    """Everything a process may be told."""

    model_config = SettingsConfigDict(
        env_prefix="BAROGRAPH_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    kafka: KafkaSettings = KafkaSettings()
    worker: WorkerSettings = WorkerSettings()
    detector: DetectorSettings = DetectorSettings()
    delivery: DeliverySettings = DeliverySettings()
    http: HttpSettings = HttpSettings()
    retention: RetentionSettings = RetentionSettings()
    database_url: str = Field("sqlite:///barograph.db", description="an SQLAlchemy URL")
    watchlist: Path | None = Field(None, description="a watchlist YAML file")
    model: Path | None = Field(None, description="a model folder; default: the shipped one")
    author_key: SecretStr = Field(
        SecretStr("barograph"), description="key of the hash that replaces author handles"
    )

    weights: dict[str, Weight] = Field(
        {},
        description="how much documents count, by their source: 0 to 10, 0 makes no spike; wins "
        "over the weight that a feed or a document names",
    )

    @property
    def config_version(self) -> str:
        """A short hash of what decides about alerts.

        Those are the detector's settings, what tells a negative story, weights and watchlist.
        """
        parts = [self.detector.model_dump_json().encode(), str(self.worker.negative_from).encode()]
        if self.watchlist is not None:
            parts.append(self.watchlist.read_bytes())
        if self.weights:
            parts.append(json.dumps(self.weights, sort_keys=True).encode())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def load(path: Path | None = None, **options: Any) -> Settings:
    """Settings: a command's options win over the environment, and that over the file.

    Args:
        path: the YAML file; None looks at ``BAROGRAPH_CONFIG``.
        options: top-level values or mappings of nested ones, such as ``kafka={"bootstrap": …}``.

    Raises:
        SettingsError: the file cannot be read, or a value is wrong; one line says which.
    """
    if path is None and (named := os.environ.get("BAROGRAPH_CONFIG")):
        path = Path(named)
    values: Any = {}
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise SettingsError(f"cannot read settings {path}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
        if not isinstance(values, dict):
            raise SettingsError(f"{path} must hold a mapping of settings")

    class WithFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            from_file = InitSettingsSource(settings_cls, init_kwargs=values)
            return init_settings, env_settings, from_file

    try:
        return WithFile(**options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"setting {where}: {first['msg']}") from None
