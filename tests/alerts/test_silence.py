from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from alerts.baseline import DAY, HOUR, WEEK, hour_of_week
from alerts.silence import LEAST_SILENCE, SourceRhythm

MONDAY = 480_048 - hour_of_week(480_048)
"""Hour since 1970 in which a week begins."""
MEMORY = 1344


def heard(counts: Callable[[int], int], hours: int = 3 * WEEK) -> SourceRhythm:
    """A source with so many documents in each hour, the last at the very end."""
    made = SourceRhythm(MEMORY, MONDAY * HOUR)
    for hour in range(MONDAY, MONDAY + hours):
        number = counts(hour)
        if number:
            made.heard = (hour + 1) * HOUR - 1
        made.learn(hour, number)
    return made


def end(hours: int = 3 * WEEK) -> int:
    return (MONDAY + hours) * HOUR


def office(hour: int) -> int:
    """Six an hour from Monday to Friday, 8 to 18 h, and nothing else."""
    return 6 if hour_of_week(hour) < 5 * DAY and 8 <= hour % DAY < 18 else 0


def test_a_busy_source_is_stale_within_the_hour() -> None:
    made = heard(lambda _: 60)
    assert not made.is_stale(end() + 5 * 60)
    assert made.is_stale(end() + HOUR)


def test_a_slow_one_is_not_stale_for_longer() -> None:
    made = heard(lambda hour: int(hour % 8 == 0))
    last = made.heard
    assert not made.is_stale(last + 12 * HOUR)
    assert made.is_stale(last + 7 * DAY * HOUR)


def test_nights_and_weekends_are_part_of_the_rhythm() -> None:
    made = heard(office, 3 * WEEK + 4 * DAY + 18)
    friday_evening = made.heard
    assert hour_of_week(friday_evening // HOUR) == 4 * DAY + 17
    monday = end(4 * WEEK)
    assert not made.is_stale(monday + 7 * HOUR)
    assert made.is_stale(monday + 14 * HOUR)


def test_the_first_week_is_not_judged() -> None:
    made = heard(lambda _: 60, WEEK - 1)
    assert made.surprise(end(WEEK - 1) + 5 * HOUR) == 0.0
    assert not made.is_stale(end(WEEK - 1) + 5 * HOUR)


def test_the_busiest_source_may_pause_for_minutes() -> None:
    made = heard(lambda _: 100_000)
    assert not made.is_stale(made.heard + LEAST_SILENCE - 1)
    assert made.is_stale(made.heard + LEAST_SILENCE)


def test_a_fault_is_no_rhythm() -> None:
    """Two days without a document, then it speaks again: the next silence is seen as soon."""
    made = heard(lambda _: 60)
    before = made.baseline.rate()
    for hour in range(MONDAY + 3 * WEEK, MONDAY + 3 * WEEK + 48):
        made.learn(hour, 0)
    assert made.baseline.rate() == pytest.approx(before, rel=0.02)
    made.heard = end(3 * WEEK + 48)
    assert made.is_stale(made.heard + 90 * 60)


def test_more_silence_is_never_less_surprising() -> None:
    made = heard(office)
    surprises = [made.surprise(made.heard + minutes * 60) for minutes in range(0, 20_000, 97)]
    assert surprises == sorted(surprises)


def test_chance_alone_hardly_ever_makes_a_source_stale() -> None:
    """Half a year of a source whose documents come at random, on average one in two hours."""
    dice = random.Random(5)
    made = SourceRhythm(MEMORY, MONDAY * HOUR)
    alarms = 0
    for hour in range(MONDAY, MONDAY + 26 * WEEK):
        was_stale = made.is_stale(hour * HOUR)
        documents = int(dice.random() < 0.5)
        if documents:
            made.heard = hour * HOUR + dice.randrange(HOUR)
        made.learn(hour, documents)
        alarms += made.is_stale((hour + 1) * HOUR) and not was_stale
    assert alarms <= 2


def test_a_state_comes_back() -> None:
    made = heard(office)
    again = SourceRhythm.from_json(json.loads(json.dumps(made.to_json())), MEMORY)
    assert again.to_json() == made.to_json()
    assert again.surprise(end() + DAY * HOUR) == made.surprise(end() + DAY * HOUR)
