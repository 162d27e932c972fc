"""A database for each test: SQLite always, PostgreSQL where a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from alerts.schema import upgrade
from alerts.store import open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An upgraded SQLite."""
    engine = open_engine(f"sqlite:///{tmp_path}/barograph.db")
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/any.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def any_engine(any_url: str) -> Iterator[Engine]:
    """An upgraded database of either kind."""
    engine = open_engine(any_url)
    upgrade(engine)
    yield engine
    engine.dispose()
