from __future__ import annotations

import json
import math
import random
from collections import deque
from typing import Any

import pytest

from alerts.baseline import Seen
from alerts.lifecycle import CRITICAL, FREEZE_HOURS, TopicDetector
from alerts.records import Alert, Evidence, ModelName, utc
from alerts.settings import DetectorSettings
from alerts.spikes import Counts, Sources

LENGTHS = (300, 900, 3600, 86_400)
HOUR = 3600
FIRST = 480_000
"""Hour since 1970 in which the tests begin."""
CALM = Counts(documents=0, stories=0, negative_stories=0, mean_sentiment=0.0, negative=0)


def detector(**settings: Any) -> TopicDetector:
    model = ModelName(name="tiny", version="1")
    return TopicDetector("class:macro", DetectorSettings(**settings), model, "test")


def seen(negative: int) -> Seen:
    """An hour with so many negative stories among four times as many, evenly spread."""
    slots = tuple(negative * (i + 1) // 12 - negative * i // 12 for i in range(12))
    return Seen(4 * negative, slots)


def quiet(made: TopicDetector, hours: int = 100, negative_stories: int = 1) -> int:
    """Teach it calm hours; returns the time at which they end."""
    first = max(FIRST, made.learned_to)
    for hour in range(first, first + hours):
        made.learn(hour, seen(negative_stories))
    return (first + hours) * HOUR


def held(negative_stories: int, **by_length: int) -> dict[int, Counts]:
    """So many negative stories within all windows; ``s3600=…`` sets one length."""
    counts = {}
    for seconds in LENGTHS:
        number = by_length.get(f"s{seconds}", negative_stories)
        counts[seconds] = Counts(number, number, number, -0.5, number)
    return counts


def evidence(_seconds: int, limit: int) -> list[Evidence]:
    return [
        Evidence(id=f"{n}", text=f"Bad {n}", source="wire", time=utc(0), negative=0.9)
        for n in range(limit)
    ]


def step(
    made: TopicDetector,
    end: int,
    counts: dict[int, Counts],
    sources: int = 3,
    independent: int = 10_000,
    alive: bool = True,
) -> Alert | None:
    who = Sources(sources, independent)
    return made.evaluate(end, counts, lambda _: who, evidence, alive=alive)


def firing(**settings: Any) -> tuple[TopicDetector, int]:
    """A detector whose warning has just begun, and when."""
    made = detector(**settings)
    end = quiet(made) + 60
    found = step(made, end, held(0, s300=7, s900=7, s3600=7))
    assert found is not None
    assert found.state == "firing"
    return made, end


# Firing


def test_a_burst_after_quiet_hours_fires():
    made = detector()
    end = quiet(made)
    found = step(made, end, held(20))
    assert found is not None
    assert (found.topic, found.state, found.ends_at) == ("class:macro", "firing", None)
    assert found.detected_at == found.window.end == utc(end)
    assert found.window.negative_stories == 20
    assert found.baseline.hours_learned == 100
    tests = {
        f"{kind}_{length}" for kind in ("count", "share") for length in ("5m", "15m", "1h", "24h")
    }
    assert found.surprise.keys() == tests
    assert len(found.evidence) == 5
    assert made.alert is found


def test_what_is_expected_does_not_fire():
    made = detector()
    end = quiet(made, negative_stories=10)
    assert step(made, end, held(1, s3600=12, s86400=240)) is None


def test_nothing_fires_before_the_warm_up_is_over():
    made = detector(warm_up_hours=72)
    end = quiet(made, 71)
    assert step(made, end, held(500)) is None
    made.learn(end // HOUR, seen(0))
    assert step(made, end + HOUR, held(500)) is not None


def test_nothing_is_tested_without_a_past():
    made = detector(warm_up_hours=1)
    assert made.test(FIRST * HOUR, held(500)) == {}
    assert step(made, FIRST * HOUR, held(500)) is None


@pytest.mark.parametrize(("stories", "fires"), [(5, False), (6, True)])
def test_it_takes_enough_stories(stories, fires):
    made = detector(min_stories=6)
    end = quiet(made, 200, negative_stories=0)
    assert (step(made, end, held(stories)) is not None) is fires


@pytest.mark.parametrize(("sources", "fires"), [(1, False), (2, True)])
def test_it_takes_enough_sources(sources, fires):
    made = detector(min_sources=2)
    end = quiet(made)
    assert (step(made, end, held(50), sources=sources) is not None) is fires


@pytest.mark.parametrize(("independent", "fires"), [(20, True), (7, True), (4, False), (1, False)])
def test_one_author_makes_no_spike(independent, fires):
    made = detector()
    found = step(made, quiet(made), held(0, s900=20), sources=4, independent=independent)
    assert (found is not None) is fires
    if found is not None:
        assert found.window.negative_stories == 20


def test_sources_are_asked_only_when_the_count_is_high():
    made = detector()
    end = quiet(made)

    def refuse(_: int) -> Sources:
        raise AssertionError("asked for the sources of a calm window")

    assert made.evaluate(end, held(0), refuse, evidence, alive=True) is None


def test_the_window_that_passes_by_most_is_named():
    made = detector()
    end = quiet(made)
    found = step(made, end, held(0, s3600=30, s86400=31))
    assert found is not None
    assert found.window.end - found.window.start == utc(3600) - utc(0)
    assert found.starts_at == utc(end - 3600)


# While it fires


def test_one_alert_until_it_resolves():
    made, end = firing()
    later = [step(made, end + 60 * n, held(0, s300=7, s900=7, s3600=7)) for n in range(1, 120)]
    assert later == [None] * 119
    assert made.alert is not None


def test_getting_worse_escalates_once_under_the_same_id():
    made, end = firing()
    first = made.alert
    assert first is not None
    assert first.severity == "warning"
    worse = step(made, end + 60, held(0, s300=60))
    assert worse is not None
    assert (worse.id, worse.severity, worse.state) == (first.id, "critical", "firing")
    assert (worse.starts_at, worse.detected_at) == (first.starts_at, first.detected_at)
    assert worse.window.end == utc(end + 60)
    assert step(made, end + 120, held(0, s300=90)) is None
    assert step(made, end + 180, held(0, s300=7)) is None


def test_a_large_burst_is_critical_at_once():
    made = detector()
    found = step(made, quiet(made), held(100))
    assert found is not None
    assert found.severity == "critical"
    assert max(result.excess for result in made.results.values()) >= CRITICAL


@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_a_set_severity_is_that_of_all_alerts(severity):
    made, end = firing(severity=severity)
    assert made.alert is not None
    assert made.alert.severity == severity
    assert step(made, end + 60, held(0, s300=60)) is None
    assert made.alert.severity == severity


def test_other_settings_leave_what_was_learned_and_what_fires():
    made, _ = firing()
    before = made.to_json()
    made.configure(DetectorSettings(min_stories=50, memory_hours=10), "later")
    after = made.to_json()
    assert after.pop("baseline") == {**before.pop("baseline"), "memory_hours": 10}
    assert after == before
    assert (made.settings.min_stories, made.config_version) == (50, "later")


def test_it_resolves_when_calm_and_old_enough():
    made, end = firing(min_duration_minutes=30)
    first = made.alert
    found = [step(made, end + 60 * n, held(0)) for n in range(1, 32)]
    assert found[:29] == [None] * 29
    over = found[29]
    assert over is not None
    assert first is not None
    assert (over.id, over.state, over.ends_at) == (first.id, "resolved", utc(end + 30 * 60))
    assert over.window.negative_stories == 0
    assert over.evidence == first.evidence
    assert found[30] is None
    assert made.alert is None


def test_silence_resolves_nothing():
    made, end = firing()
    silent = [step(made, end + 60 * n, held(0), alive=False) for n in range(1, 600)]
    assert silent == [None] * 599
    assert step(made, end + 60 * 600, held(0)) is not None


def test_leaving_is_harder_than_entering():
    made, end = firing()
    between = step(made, end + HOUR, held(0, s300=3))
    assert made.results[300].excess < 1.0
    assert made.results[300].excess >= 0.5
    assert between is None
    assert made.alert is not None


def test_it_does_not_fire_again_before_the_cooldown_is_over():
    made, end = firing(min_duration_minutes=0, cooldown_minutes=60)
    first = made.alert
    over = end + 60
    assert step(made, over, held(0)) is not None
    assert [step(made, over + 60 * n, held(50)) for n in range(1, 60)] == [None] * 59
    again = step(made, over + 3600, held(50))
    assert again is not None
    assert first is not None
    assert again.id != first.id


# Pending


def test_without_the_sources_it_is_pending_and_fires_when_they_come():
    made = detector(min_sources=3)
    end = quiet(made)
    assert step(made, end, held(20), sources=2) is None
    assert (made.pending_since, made.is_open) == (end, True)
    assert step(made, end + 60, held(20), sources=3) is not None
    assert made.pending_since is None


def test_a_confirmed_alert_waits_for_so_long_without_a_break():
    made = detector(confirm_minutes=5)
    end = quiet(made)
    seen_at = [step(made, end + 60 * n, held(20)) is not None for n in range(5)]
    assert seen_at == [False] * 5
    assert step(made, end + 300, held(0)) is None
    assert made.pending_since is None
    later = [step(made, end + 360 + 60 * n, held(20)) is not None for n in range(6)]
    assert later == [False] * 5 + [True]


def test_nothing_is_pending_before_the_warm_up_is_over_or_in_the_cooldown():
    made = detector(warm_up_hours=72)
    end = quiet(made, 50)
    step(made, end, held(500))
    assert made.pending_since is None
    made, end = firing(min_duration_minutes=0, cooldown_minutes=60)
    assert step(made, end + 60, held(0)) is not None
    step(made, end + 120, held(500))
    assert made.pending_since is None


def test_a_restart_while_pending_waits_no_longer():
    made = detector(confirm_minutes=5)
    end = quiet(made)
    for n in range(3):
        step(made, end + 60 * n, held(20))
    after = detector(confirm_minutes=5)
    after.restore(json.loads(json.dumps(made.to_json())))
    found = [step(after, end + 60 * n, held(20)) is not None for n in range(3, 6)]
    assert found == [False, False, True]


def test_a_state_of_another_version_is_refused_with_what_to_do():
    made = detector()
    with pytest.raises(ValueError, match=r"class:macro is of version 1.*kafka\.app_id"):
        made.restore({**made.to_json(), "version": 1})


# Learning


def test_a_firing_alert_learns_nothing_for_three_days():
    made, end = firing()
    before = made.baseline.to_json()
    first = end // HOUR
    for hour in range(first, first + FREEZE_HOURS + 1):
        made.learn(hour, seen(50))
        assert made.baseline.to_json() == before
    made.learn(first + FREEZE_HOURS + 1, seen(50))
    assert made.baseline.hours == 101


def test_an_hour_is_learned_once():
    made = detector()
    made.learn(FIRST, seen(3))
    before = made.to_json()
    made.learn(FIRST, seen(3))
    made.learn(FIRST - 5, seen(9))
    assert made.to_json() == before
    assert made.learned_to == FIRST + 1


def test_counts_inside_a_window_do_not_change_what_was_expected_of_it():
    """Two histories that differ in the hour under test alone."""
    calm, wild = detector(), detector()
    end = quiet(calm)
    quiet(wild)
    calm.learn(end // HOUR, seen(0))
    wild.learn(end // HOUR, seen(1_000))
    for now in range(end + 60, end + HOUR + 1, 60):
        expected, found = calm.test(now, held(5)), wild.test(now, held(900))
        for seconds in (3600, 86_400):
            assert found[seconds].expected == expected[seconds].expected
    later = end + 2 * HOUR
    assert wild.test(later, held(0))[3600].expected > calm.test(later, held(0))[3600].expected


def test_no_hour_that_a_window_touches_is_in_its_expectation():
    made = detector()
    for hour in range(FIRST, FIRST + 60):
        made.learn(hour, seen(hour - FIRST))
    for end in range((FIRST + 50) * HOUR, (FIRST + 52) * HOUR, 60):
        for seconds, result in made.test(end, held(0)).items():
            alone = detector()
            for hour in range(FIRST, (end - seconds) // HOUR):
                alone.learn(hour, seen(hour - FIRST))
            alone = alone.before(end - seconds).expected(end - seconds, seconds)
            assert result.expected == pytest.approx(alone)


# State


def script() -> list[tuple[dict[int, Counts], bool]]:
    burst = [(held(0, s300=7, s3600=7), True)] * 5 + [(held(0, s300=60), True)] * 5
    return burst + [(held(0), False)] * 10 + [(held(0), True)] * 40 + [(held(30), True)] * 40


@pytest.mark.parametrize("cut", [0, 1, 4, 5, 6, 12, 25, 35, 45, 60, 99])
def test_a_restart_in_the_middle_changes_nothing(cut):
    whole, before = detector(), detector()
    end = quiet(whole)
    quiet(before)
    expected = [step(whole, end + 60 * n, *args) for n, args in enumerate(script_args())]
    found = [step(before, end + 60 * n, *args) for n, args in enumerate(script_args()[:cut])]
    after = detector()
    after.restore(json.loads(json.dumps(before.to_json())))
    assert after.alert == before.alert
    found += [
        step(after, end + 60 * n, *args) for n, args in enumerate(script_args()[cut:], start=cut)
    ]
    assert found == expected
    assert after.to_json() == whole.to_json()
    assert [a.severity + " " + a.state for a in expected if a is not None] == [
        "warning firing",
        "critical firing",
        "critical resolved",
        "critical firing",
    ]


def script_args() -> list[tuple[dict[int, Counts], int, int, bool]]:
    return [(counts, 3, 10_000, alive) for counts, alive in script()]


# The budget


class Simulated:
    """A topic whose distinct negative stories come at a constant rate, each from its own source."""

    def __init__(self, seed: int, per_hour: float, **settings: Any) -> None:
        self.chance = random.Random(seed)
        self.per_hour = per_hour
        self.detector = detector(**settings)
        self.trailing: dict[int, deque[int]] = {seconds: deque() for seconds in LENGTHS}
        self.fired = 0

    def run(self, days: int) -> int:
        """Alerts within so many days."""
        time, hour, in_hour = float(FIRST * HOUR), FIRST, 0
        last = time + days * 86_400
        while True:
            time += self.chance.expovariate(self.per_hour / HOUR)
            while time >= (hour + 1) * HOUR:
                self.detector.learn(hour, seen(in_hour))
                hour, in_hour = hour + 1, 0
                if self.detector.alert is not None:
                    self._evaluate(hour * HOUR)
            if time >= last:
                return self.fired
            in_hour += 1
            for times in self.trailing.values():
                times.append(int(time))
            # Between stories the counts only fall, so that no other minute could fire.
            self._evaluate(math.ceil((time + 1) / 60) * 60)

    def _evaluate(self, end: int) -> None:
        counts = {}
        for seconds, times in self.trailing.items():
            while times and times[0] < end - seconds:
                times.popleft()
            counts[seconds] = Counts(4 * len(times), 4 * len(times), len(times), -0.2, len(times))
        found = self.detector.evaluate(
            end,
            counts,
            lambda seconds: Sources(*[counts[seconds].negative_stories] * 2),
            evidence,
            alive=True,
        )
        if found is not None and found.state == "firing" and found.severity == "warning":
            self.fired += 1


def test_chance_alone_stays_within_the_budget_of_false_alarms():
    days, budget = 60, 0.5
    rates = (0.05, 0.3, 1.0, 3.0)
    fired = {}
    for number in range(20):
        rate = rates[number % len(rates)]
        simulated = Simulated(number, rate, false_alarms_per_topic_month=budget)
        fired[number] = simulated.run(days)
    assert sum(fired.values()) <= 2 * budget * 20 * days / 30.44, fired


def test_the_same_topic_with_a_real_burst_is_not_missed():
    simulated = Simulated(3, 1.0)
    simulated.run(10)
    burst = simulated.detector.learned_to * HOUR
    assert simulated.detector.alert is None
    assert step(simulated.detector, burst + 600, held(12)) is not None
