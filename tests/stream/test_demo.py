from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stream.demo import BURST_MINUTES, QUIET_DAYS, WATCHLIST, documents
from stream.scorer import parse
from stream.watchlist import load

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


def test_the_stream_is_in_order_and_ends_now() -> None:
    stream = list(documents(NOW))
    times = [document.time for document in stream]
    assert times == sorted(times)
    assert times[-1] == NOW
    assert NOW - timedelta(days=QUIET_DAYS) <= times[0] < NOW - timedelta(days=QUIET_DAYS - 1)
    assert sum(time > NOW - timedelta(minutes=BURST_MINUTES) for time in times) >= 50


def test_it_is_the_same_each_time_and_all_of_it_can_be_read() -> None:
    stream = list(documents(NOW))
    assert [d.value for d in documents(NOW)] == [d.value for d in stream]
    for document in stream:
        assert parse(document.value).published_at == document.time


def test_its_watchlist_takes_everything() -> None:
    assert load(WATCHLIST).mentions("whatever") == [("watch:market", None)]
