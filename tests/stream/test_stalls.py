from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from stream.stalls import STALLED_LOOKS, Looks, RecoveryWatch


def recovering(**changed: Any) -> Any:
    """As much of a Faust app as is looked at."""
    recovery = SimpleNamespace(active_highwaters={"p0": 9}, active_offsets={"p0": None})
    app = {"in_recovery": True, "consumer_generation_id": 3}
    return SimpleNamespace(tables=SimpleNamespace(recovery=recovery), **{**app, **changed})


def looks(watch: RecoveryWatch, times: int, between: Callable[[int], None] | None = None) -> int:
    """At which of so many looks it stood still; 0 when at none."""

    async def run() -> int:
        for number in range(1, times + 1):
            if between:
                between(number)
            if await watch.stalled():
                return number
        return 0

    return asyncio.run(run())


def test_looks_are_counted_until_something_changes() -> None:
    seen = Looks()
    assert [seen.look(state) for state in (1, 1, 1, 2, 2, None, None, 2)] == [
        0,
        1,
        2,
        0,
        1,
        0,
        0,
        0,
    ]


def test_what_does_not_move_stands_still() -> None:
    watch = RecoveryWatch(recovering(), lambda: True)
    assert looks(watch, 2 * STALLED_LOOKS) == STALLED_LOOKS + 1


def test_one_table_event_or_another_rebalance_is_progress() -> None:
    app = recovering()

    def move(number: int) -> None:
        if number % STALLED_LOOKS == 0:
            app.tables.recovery.active_offsets["p0"] = number
        elif number % (STALLED_LOOKS // 2) == 0:
            app.consumer_generation_id = number

    assert looks(RecoveryWatch(app, lambda: True), 5 * STALLED_LOOKS, move) == 0


def test_a_worker_that_has_read_its_tables_may_be_idle() -> None:
    assert looks(RecoveryWatch(recovering(in_recovery=False), lambda: True), 200) == 0


def test_while_kafka_is_away_nothing_stands_still_and_after_it_there_is_time_anew() -> None:
    away = [True]
    watch = RecoveryWatch(recovering(), lambda: not away[0])

    def back(number: int) -> None:
        away[0] = number < 3 * STALLED_LOOKS

    found = looks(watch, 10 * STALLED_LOOKS, back)
    assert 3 * STALLED_LOOKS < found <= 4 * STALLED_LOOKS + 3
