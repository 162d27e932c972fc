"""The API against its own OpenAPI document: whatever is sent, it answers as it says it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from sqlalchemy import Engine

from alerts.desk import create_app
from alerts.desk.feeding import RowsRefused
from alerts.schema import upgrade
from alerts.settings import DeliverySettings
from alerts.store import open_engine
from tests.alerts.examples import alert, resolved, window
from tests.alerts.test_desk import store

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]


def publish(rows: Sequence[bytes]) -> list[str]:
    """Takes rows that begin like an object."""
    reasons = {at: "no object" for at, row in enumerate(rows) if not row.startswith(b"{")}
    if reasons:
        raise RowsRefused(reasons)
    return [str(at) for at, _ in enumerate(rows)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('api')}/barograph.db")
    upgrade(engine)
    store(engine, window(), alert(), resolved(id="plain"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def api(engine: Engine) -> Any:
    app = create_app(engine, DeliverySettings(), lambda: True, publish=publish)
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_api_answers_as_its_document_says(api: Any, mode: GenerationMode) -> None:
    names = set()
    for found in api.get_all_operations():
        operation = found.ok()
        names.add(operation.label)

        @settings(max_examples=25, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, headers={"host": "127.0.0.1"})

        try:
            answers()
        except Unsatisfiable:  # of a path without parameters nothing wrong can be made
            assert mode is GenerationMode.NEGATIVE
    assert "POST /api/v1/documents" in names
    assert len(names) >= 9
