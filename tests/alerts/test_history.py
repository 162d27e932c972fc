from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from alerts.acts import Actor, acknowledge
from alerts.history import counted_to, mark, sums_between, usual_shares, windows_between
from tests.alerts.examples import NOON, alert, window
from tests.alerts.test_desk import store

HOUR = timedelta(hours=1)


def test_sums_of_the_hour_up_to_now(any_engine: Engine) -> None:
    assert counted_to(any_engine) is None
    pieces = [
        window(
            "class:macro" if i % 2 else "watch:acme",
            NOON + timedelta(minutes=5 * i),
            300,
            documents=i,
            stories=2 * i,
            mean_sentiment=0.5 if i == 1 else -0.5,
        )
        for i in range(12)
    ]
    store(any_engine, *pieces, window(start=NOON + HOUR))
    assert counted_to(any_engine) == NOON + HOUR
    found = sums_between(any_engine, NOON, NOON + timedelta(minutes=20))
    macro = found["class:macro"]
    assert (macro.documents, macro.stories, macro.negative, macro.mood) == (4, 8, 4, -0.25)
    assert found["watch:acme"].documents == 2
    assert sums_between(any_engine, NOON + HOUR, NOON + 2 * HOUR) == {}
    inside = windows_between(any_engine, 300, NOON, NOON + timedelta(minutes=15))
    assert inside == {"watch:acme": [pieces[0], pieces[2]], "class:macro": [pieces[1]]}
    assert set(windows_between(any_engine, 300, NOON, NOON + HOUR, ["watch:acme"])) == {
        "watch:acme"
    }


def test_usual_shares_are_of_whole_days(any_engine: Engine) -> None:
    day = timedelta(days=1)
    days = [
        window(
            start=NOON - i * day, seconds=86400, documents=10, stories=10 * i, negative_stories=i
        )
        for i in range(4)
    ]
    store(any_engine, *days, window("watch:none", NOON - day, 86400, documents=0))
    assert usual_shares(any_engine, NOON - 3 * day, NOON) == {"class:macro": 0.1}


def test_the_mark_changes_with_whatever_changes(any_engine: Engine) -> None:
    seen = [mark(any_engine)]

    def changed() -> bool:
        seen.append(mark(any_engine))
        return seen[-1] != seen[-2]

    assert not changed()
    store(any_engine, window(seconds=300, documents=1))
    assert changed()
    store(any_engine, window(seconds=300, documents=2))
    assert changed()
    store(any_engine, alert())
    assert changed()
    acknowledge(any_engine, alert().id, Actor("Ana"), "", NOON)
    assert changed()
    assert not changed()
