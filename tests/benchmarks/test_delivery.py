from __future__ import annotations

import pytest

from benchmarks.delivery import Told, first_of, passing, summary

MARKS = [(0, 100, 1.0), (1, 140, 2.0), (0, 150, 3.0), (1, 151, 4.0), (0, 160, 5.0)]


def test_event_time_passes_with_the_last_partition_to_get_there() -> None:
    assert passing(MARKS, border=120, lateness=30, partitions=2) == 4.0
    assert passing(MARKS, border=120, lateness=0, partitions=2) == 3.0


def test_event_time_that_has_not_passed_everywhere_has_not_passed() -> None:
    with pytest.raises(ValueError, match="not passed"):
        passing(MARKS, border=130, lateness=30, partitions=2)


def test_each_the_median_and_the_largest() -> None:
    assert summary([3.004, 1.0, 2.0]) == {"seconds": [3.0, 1.0, 2.0], "median": 2.0, "max": 3.0}


def test_what_is_preliminary_is_told_apart() -> None:
    webhooks = [
        Told(1.0, "watch:a", "firing", True),
        Told(2.0, "watch:b", "firing", False),
        Told(3.0, "watch:a", "resolved", True),
        Told(4.0, "watch:a", "firing", False),
        Told(5.0, "watch:a", "firing", False),
    ]
    assert first_of(webhooks, "watch:a", preliminary=True) == 1.0
    assert first_of(webhooks, "watch:a", preliminary=False) == 4.0
    assert first_of(webhooks, "watch:a", preliminary=True, state="resolved") == 3.0
    assert first_of(webhooks, "watch:b", preliminary=True) is None
