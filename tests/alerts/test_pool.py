from __future__ import annotations

import json

import pytest

from alerts.baseline import DAY, NOTHING_KNOWN, WEEK, Baseline, Seen, hour_of_week
from alerts.pool import Pool

MONDAY = 480_048 - hour_of_week(480_048)
"""Hour since 1970 in which a week begins."""
MEMORY = 1344


def seen(negative: int, stories: int | None = None) -> Seen:
    slots = tuple(negative * (i + 1) // 12 - negative * i // 12 for i in range(12))
    return Seen(4 * negative if stories is None else stories, slots)


def by_day(hour: int) -> int:
    """Forty negative an hour by day, four by night."""
    return 40 if 8 <= hour % DAY < 20 else 4


@pytest.fixture(scope="module")
def pool() -> Pool:
    made = Pool(MEMORY)
    for hour in range(MONDAY, MONDAY + 4 * WEEK):
        made.learn(hour, seen(by_day(hour)))
    return made


def test_an_empty_pool_teaches_nothing() -> None:
    prior = Pool(MEMORY).prior(20)
    assert prior.rate == pytest.approx(NOTHING_KNOWN.rate)
    assert prior.rhythm == pytest.approx(NOTHING_KNOWN.rhythm)
    assert prior.share == NOTHING_KNOWN.share


def test_the_rate_is_that_of_one_of_the_topics(pool: Pool) -> None:
    assert pool.prior(11).rate == pytest.approx(2.0, rel=0.02)
    assert pool.prior(22).rate == pytest.approx(1.0, rel=0.02)


def test_the_rhythm_is_one_on_average_and_begins_on_monday(pool: Pool) -> None:
    rhythm = pool.prior(11).rhythm
    assert sum(rhythm) / WEEK == pytest.approx(1.0)
    assert rhythm[12] / rhythm[2] == pytest.approx(10, rel=0.2)
    assert rhythm[5 * DAY + 12] / rhythm[5 * DAY + 2] == pytest.approx(10, rel=0.2)


def test_a_new_topic_has_the_rhythm_of_all_and_keeps_its_own_rate(pool: Pool) -> None:
    """Three days of a story at noon, in a week's time expected by day rather than by night."""
    prior = pool.prior(11)
    topic = Baseline(MEMORY)
    first = MONDAY + 4 * WEEK
    for hour in range(first, first + 3 * DAY):
        topic.learn(hour, seen(int(hour % DAY == 12)), topic.forecast(hour, prior))
    day, night = (topic.forecast(first + WEEK + at, prior).now for at in (14, 2))
    assert day > 4 * night
    assert topic.forecast(first + WEEK, prior).day == pytest.approx(1.0, rel=0.25)
    flat = topic.forecast(first + WEEK + 2).now
    assert night < flat


def test_what_a_topic_has_shown_outweighs_what_all_do(pool: Pool) -> None:
    """A topic of the night, among topics of the day."""
    prior = pool.prior(11)
    topic = Baseline(MEMORY)
    first = MONDAY + 4 * WEEK
    for hour in range(first, first + 6 * WEEK):
        topic.learn(hour, seen(44 - by_day(hour)), topic.forecast(hour, prior))
    day, night = (topic.forecast(first + 6 * WEEK + at, prior).now for at in (14, 2))
    assert night == pytest.approx(40, rel=0.1)
    assert day < night / 5


def test_an_hour_is_learned_once_and_the_state_comes_back(pool: Pool) -> None:
    before = json.loads(json.dumps(pool.to_json()))
    pool.learn(MONDAY, seen(1000))
    assert json.loads(json.dumps(pool.to_json())) == before
    again = Pool(MEMORY)
    again.restore(before)
    assert again.prior(11) == pool.prior(11)
