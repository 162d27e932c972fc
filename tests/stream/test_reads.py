from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.subscription_state import Assignment
from faust.types import TP

from stream.reads import Consumer, Readable

DOCUMENTS = TP("documents", 0)
TABLE = TP("states-changelog", 0)


class Fetched(list[str]):
    """Records of a partition as aiokafka keeps them until somebody takes them."""

    @property
    def next_fetch_offset(self) -> int:
        return 0


async def take(active: Any) -> set[TP]:
    """Of which partitions aiokafka hands out what it has read ahead."""
    assignment = Assignment([DOCUMENTS, TABLE])
    records = {}
    for place in (DOCUMENTS, TABLE):
        assignment.state_value(place).seek(0)
        records[place] = FetchResult(
            place, assignment=assignment, partition_records=Fetched(["record"]), backoff=0
        )
    fetcher = SimpleNamespace(
        _records=records,
        _subscriptions=SimpleNamespace(reassignment_in_progress=False, is_assigned=lambda _: True),
        _notify=lambda _: None,
        _wait_consume_future=None,
    )
    taken = await Fetcher.fetched_records(cast("Any", fetcher), active)
    assert set(records) == {DOCUMENTS, TABLE} - set(taken)  # what is not taken is still there
    return set(taken)


def readable(active: set[TP], flow: bool = True) -> Readable:
    return Readable(cast("Consumer", SimpleNamespace(flow_active=flow)), active)


def test_what_faust_hands_over_takes_everything_once_all_is_paused() -> None:
    """Why there is a consumer of our own; it can go when this fails."""
    assert asyncio.run(take(set())) == {DOCUMENTS, TABLE}


@pytest.mark.parametrize(
    ("active", "flow", "taken"),
    [
        (set(), True, set()),
        ({TABLE}, True, {TABLE}),
        ({TABLE, DOCUMENTS}, True, {TABLE, DOCUMENTS}),
        ({TABLE, DOCUMENTS}, False, set()),
    ],
)
def test_only_what_is_read_at_that_moment_is_taken(
    active: set[TP], flow: bool, taken: set[TP]
) -> None:
    assert asyncio.run(take(readable(active, flow))) == taken


def test_a_read_under_way_follows_what_is_paused_meanwhile() -> None:
    active = {DOCUMENTS}
    under_way = readable(active)
    active.clear()
    assert asyncio.run(take(under_way)) == set()
    active.add(TABLE)
    assert asyncio.run(take(under_way)) == {TABLE}
