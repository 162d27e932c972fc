from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from fastapi import HTTPException
from sqlalchemy import Engine

from alerts.desk.feeding import (
    ABANDONED,
    MAX_ROWS,
    REQUESTS_PER_MINUTE,
    FeedDown,
    Once,
    Rate,
    RowsRefused,
    rows_of,
)
from alerts.pruning import KEEP_PUSHES
from tests.alerts.examples import NOON
from tests.alerts.test_desk import client

PATH = "/api/v1/documents"
ROWS = [{"text": f"Bank {i} halts withdrawals", "source": "wire", "id": f"d{i}"} for i in range(3)]


class Stream:
    """What was published; fails as it is told."""

    def __init__(self) -> None:
        self.published: list[list[dict[str, Any]]] = []
        self.failure: Exception | None = None

    def __call__(self, rows: Sequence[bytes]) -> list[str]:
        if self.failure is not None:
            raise self.failure
        self.published.append([json.loads(row) for row in rows])
        return [row["id"] for row in self.published[-1]]


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.mark.parametrize(
    "write", [json.dumps, lambda rows: "\n\n".join(json.dumps(row) for row in rows) + "\r\n"]
)
def test_documents_as_an_array_or_as_lines(
    engine: Engine, stream: Stream, write: Callable[[Any], str]
) -> None:
    with client(engine, publish=stream) as desk:
        answer = desk.post(PATH, content=write(ROWS))
    assert (answer.status_code, answer.json()) == (202, {"ids": ["d0", "d1", "d2"]})
    assert stream.published == [ROWS]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 422),
        ("[]", 422),
        ("[1", 422),
        ("[" * 100_000, 422),
        ("{}\n" * (MAX_ROWS + 1), 413),
        ("x" * 1_000_001, 413),
        ("x" * 4_200_000, 413),
    ],
)
def test_bodies_that_hold_no_documents(
    engine: Engine, stream: Stream, body: str, status: int
) -> None:
    with client(engine, publish=stream) as desk:
        assert desk.post(PATH, content=body).status_code == status
    assert stream.published == []


def test_a_reason_is_given_by_row_and_nothing_is_taken(engine: Engine, stream: Stream) -> None:
    stream.failure = RowsRefused({2: "not JSON", 0: "text: missing"})
    with client(engine, publish=stream) as desk:
        answer = desk.post(PATH, json=ROWS)
    assert answer.status_code == 422
    assert answer.json() == {
        "detail": "2 rows are no documents",
        "rows": [{"row": 0, "reason": "text: missing"}, {"row": 2, "reason": "not JSON"}],
    }


def test_a_request_sent_again_is_done_once(engine: Engine, stream: Stream) -> None:
    key = {"idempotency-key": "batch-1"}
    with client(engine, publish=stream) as desk:
        stream.failure = FeedDown("the stream cannot be reached")
        down = desk.post(PATH, json=ROWS, headers=key)
        assert (down.status_code, down.headers["retry-after"]) == (503, "5")
        stream.failure = None
        first = desk.post(PATH, json=ROWS, headers=key)
        again = desk.post(PATH, json=ROWS, headers=key)
        assert first.status_code == again.status_code == 202
        assert first.json() == again.json()
        assert len(stream.published) == 1
        assert desk.post(PATH, json=ROWS[:1], headers=key).status_code == 422
        assert desk.post(PATH, json=ROWS, headers={"idempotency-key": "b"}).status_code == 202
        assert desk.post(PATH, json=ROWS).status_code == 202
        assert len(stream.published) == 3
        assert desk.post(PATH, json=ROWS, headers={"idempotency-key": ""}).status_code == 422


def test_keys_are_of_one_sender_and_end(any_engine: Engine) -> None:
    once = Once(any_engine)
    assert once.begin("ana", "k", b"x", NOON) is None
    with pytest.raises(HTTPException) as refused:
        once.begin("ana", "k", b"x", NOON)
    assert refused.value.status_code == 409
    assert once.begin("bo", "k", b"y", NOON) is None
    # A desk that died on the way holds nothing up.
    assert once.begin("ana", "k", b"x", NOON + ABANDONED + timedelta(seconds=1)) is None
    once.finish("ana", "k", ["d1"])
    assert once.begin("ana", "k", b"x", NOON + KEEP_PUSHES) == ["d1"]
    assert once.begin("ana", "k", b"x", NOON + 2 * KEEP_PUSHES) is None


def test_a_sender_has_a_rate_and_a_burst() -> None:
    clock = 0.0
    rate = Rate(per_minute=60, clock=lambda: clock)
    assert [rate.wait("ana") for _ in range(60)] == [0.0] * 60
    assert rate.wait("ana") == pytest.approx(1.0)
    assert rate.wait("bo") == 0.0
    clock = 2.0
    assert [rate.wait("ana") for _ in range(2)] == [0.0, 0.0]
    assert rate.wait("ana") > 0


def test_too_many_requests_are_told_when_to_come_again(engine: Engine, stream: Stream) -> None:
    with client(engine, publish=stream) as desk:
        answers = [desk.post(PATH, json=ROWS[:1]) for _ in range(REQUESTS_PER_MINUTE + 20)]
    statuses = {answer.status_code for answer in answers}
    assert statuses == {202, 429}
    assert answers[-1].headers["retry-after"] == "1"


def test_rows_keep_what_json_can_say() -> None:
    rows = rows_of('[{"text": "\\ud800 é 中"}, 1, null]'.encode())
    assert [json.loads(row) for row in rows] == [{"text": "\ud800 é 中"}, 1, None]
    assert rows_of(b'{"a":1}') == [b'{"a":1}']
