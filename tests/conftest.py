"""Fixtures that every test may ask for; those with real servers fail when one is missing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from stream.broker import EmbeddedBroker
from stream.settings import KafkaSettings, Settings, Topics
from tests import servers
from tests.browser import Browser, chromium

# No test depends on how fast the machine happens to be.
hypothesis.settings.register_profile(
    "barograph", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("barograph")

DATA = servers.ROOT.parent / "shared" / "data"
SERVER_FIXTURES = {
    "alertmanager",
    "broker",
    "browser",
    "embedded_kafka",
    "kafka",
    "kafka_settings",
    "postgres",
    "postgres_url",
    "prometheus",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs servers, so that `-m "not server"` is the quick run."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Kafka]:
    """Apache Kafka; ``.bootstrap`` is its address."""
    with servers.kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def embedded_kafka() -> Iterator[EmbeddedBroker]:
    """The broker of ``barograph up``; ``.bootstrap`` is its address."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(params=["kafka", "embedded_kafka"])
def broker(request: pytest.FixtureRequest) -> Any:
    """Both brokers, one after the other; ``.bootstrap`` is the address."""
    return request.getfixturevalue(request.param)


def settings_for(bootstrap: str, partitions: int = 2, **options: Any) -> Settings:
    """Settings with topics and an application of their own."""
    name = f"t{uuid.uuid4().hex[:12]}"
    topics = {field: f"{name}.{field.replace('_', '-')}" for field in Topics.model_fields}
    kafka = KafkaSettings(
        bootstrap=bootstrap, app_id=name, partitions=partitions, topics=Topics(**topics)
    )
    return Settings(kafka=kafka, **options)


@pytest.fixture
def kafka_settings(kafka: servers.Kafka) -> Settings:
    """Settings for the real Kafka, with topics and an application of their own."""
    return settings_for(kafka.bootstrap)


@pytest.fixture
def broker_settings(broker: Any) -> Settings:
    """The same for both brokers, one after the other."""
    return settings_for(broker.bootstrap)


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """PostgreSQL; ``with postgres.database() as url`` makes a database."""
    with servers.postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: servers.Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of a database of the test's own."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def prometheus(tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """``with prometheus(config, files={…}) as base_url``."""
    return partial(servers.prometheus, folder=tmp_path / "prometheus")


@pytest.fixture
def alertmanager(tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """``with alertmanager(config) as base_url``."""
    return partial(servers.alertmanager, folder=tmp_path / "alertmanager")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium; ``with browser.page() as page`` opens a tab with cookies of its own."""
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
def webhook_receiver() -> Iterator[servers.WebhookReceiver]:
    """A local HTTP server that records the requests it gets."""
    with servers.webhook_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the public data; it is not part of the project."""
    if not DATA.is_dir():
        pytest.skip(f"no data at {DATA}: this test measures on public data, not shipped")
    return DATA
