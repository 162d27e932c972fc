"""Alerts told before the last minute of their window has closed, by the aggregator."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.records import Alert
from stream.aggregator import BACKLOG, Aggregator, AggregatorConfig, Output
from stream.panes import PANE
from stream.slices import Entry, Mark, Message, Progress, slices_of
from stream.windows import HOUR
from tests.stream.factories import DAY0, config, entry, progress
from tests.stream.test_aggregator import World

TOPICS = ("class:macro", "watch:acme", "watch:bond")
LATER = config(TOPICS)
CONFIG = replace(LATER, preliminary=True)
START = DAY0 + 5 * 86_400
BURST = START + 4 * HOUR
MACRO = "class:macro"


@dataclass
class Told(World):
    """As the worker does it: preliminary alerts are published once all else is stored."""

    said: list[Alert] = field(default_factory=list)
    """preliminary records and transitions, in the order of their publication"""
    settled: list[str] = field(default_factory=list)

    def start(self, partition: int = 0, configured: Any = CONFIG) -> Aggregator:
        return super().start(partition, configured)

    def take(self, aggregator: Aggregator, message: Message, cut: int | None = None) -> None:
        """Handle a message; with ``cut``, die after so many of its writes."""
        output = aggregator.handle(message)
        self.publish(output)
        self.said += output.alerts
        self.store(output, cut)
        if cut is None:
            self.say(output)

    def say(self, output: Output) -> None:
        self.said += output.preliminary
        self.settled += output.settled

    def run(self, messages: Iterable[Message], configured: AggregatorConfig = CONFIG) -> Aggregator:
        aggregator = self.start(0, configured)
        for message in messages:
            self.take(aggregator, message)
        return aggregator

    def told(self) -> list[tuple[bool, str]]:
        return [(alert.preliminary, alert.state) for alert in self.said]

    def less_preliminary(self) -> dict[str, Any]:
        """The stored states but for what was told."""
        states = {key: json.loads(value) for key, value in self.states.items()}
        for state in states.values():
            state.pop("preliminary", None)
        return states


def live(now: float, *entries: tuple[str, Entry], reach: float | None = None) -> list[Message]:
    """A batch scored at ``now``; event time has come to ``reach``, by default to ``now``."""
    mark = Mark(int(now if reach is None else reach), now)
    return [*slices_of(entries), progress((made for _, made in entries), {0: mark, 1: mark})]


def quiet() -> list[Message]:
    """Four hours in which a story is told now and then."""
    log: list[Message] = []
    for hour in range(4):
        now = START + hour * HOUR + 60
        log += live(now, (MACRO, entry(0, hour, now, 1, f"calm {hour}", "wire")))
    return [*log, *live(BURST + 31)]


def bad(number: int, time: int, topic: str = MACRO, **changes: Any) -> tuple[str, Entry]:
    name = changes.pop("named", f"bad {number}")
    label = changes.pop("label", 0)
    return topic, entry(0, 1000 + number, time, label, name, f"source {number % 3}", **changes)


def spike(now: int = BURST + 70, first: int = 0, count: int = 6, **changes: Any) -> list[Message]:
    """So many negative stories at once."""
    return live(now, *(bad(first + n, now, **changes) for n in range(count)))


def closing(now: int) -> list[Message]:
    """Event time passes the minute of ``now``, and nothing else is said."""
    return live(now + 120)


# What the rest of the system sees stays the same


@st.composite
def bursts(draw: st.DrawFn) -> list[Message]:
    """Quiet hours, then minutes with much that is negative, out of order and more than once."""
    log, now, offsets = quiet(), float(BURST + 31), [10, 10]
    recent: list[tuple[str, Entry]] = []
    for _ in range(draw(st.integers(2, 10))):
        now += draw(st.sampled_from([0, 1, 5, 20, 45, 70, 400, HOUR]))
        batch = list(recent) if draw(st.integers(0, 4)) == 0 else []
        fresh = []
        for _ in range(draw(st.integers(1, 5))):
            partition = draw(st.integers(0, 1))
            off = draw(st.sampled_from([0, 0, 0, -10, -45, -65, -130, -1000, 50, 200]))
            label = draw(st.sampled_from([0, 0, 0, 1, 1, 2]))
            name = draw(st.sampled_from([*"ABC", f"{partition} {offsets[partition]}"]))
            who = draw(st.sampled_from(["x", "y", "@z"]))
            tells = draw(st.sampled_from([None, None, None, True, False]))
            made = entry(
                partition, offsets[partition], int(now) + off, label, name, who, negative=tells
            )
            offsets[partition] += 1
            topics = draw(st.sets(st.sampled_from(TOPICS[:2]), min_size=1))
            fresh += [(topic, made) for topic in sorted(topics)]
        reach = now - draw(st.sampled_from([0, 0, 30, 100]))
        log += live(now, *batch, *fresh, reach=reach)
        recent = fresh
    return [*log, *live(now + 600)]


def lives(said: Iterable[Alert]) -> dict[str, list[tuple[bool, str]]]:
    """By id what was said of an alert: (preliminary, state), repeats of the same once."""
    found: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    for alert in said:
        step = alert.preliminary, alert.state
        if step not in found[alert.id]:
            found[alert.id].append(step)
    return found


def moments(messages: list[Message]) -> list[int]:
    """Places of the messages at which something is told or decided, and of some before them."""
    aggregator = Aggregator(0, CONFIG)
    found = []
    for number, message in enumerate(messages):
        output = aggregator.handle(message)
        if output.preliminary or output.settled:
            found += [number - 1, number]
    return found


PENDING, WITHDRAWN, FIRING = (True, "firing"), (True, "resolved"), (False, "firing")


@settings(max_examples=150)
@given(bursts())
def test_transitions_windows_and_states_are_those_without_it(messages):
    usual, early = Told(), Told()
    usual.run(messages, LATER)
    early.run(messages)
    assert early.alerts == usual.alerts
    assert early.windows == usual.windows
    assert early.panes == usual.panes
    assert early.less_preliminary() == usual.less_preliminary()
    assert not [alert for alert in usual.said if alert.preliminary]


@settings(max_examples=150)
@given(bursts())
def test_each_is_told_once_and_borne_out_or_withdrawn(messages):
    world = Told()
    aggregator = world.run(messages)
    early = [alert for alert in world.said if alert.preliminary]
    begun = [alert for alert in early if alert.state == "firing"]
    assert len({alert.id for alert in begun}) == len(begun)
    for steps in lives(world.said).values():
        if PENDING in steps:
            assert steps[0] == PENDING
            assert steps[1] in (WITHDRAWN, FIRING)
            assert WITHDRAWN not in steps[2:]
    assert all(told.due is None for told in aggregator.preliminary.values())
    assert len(world.settled) == len(begun)
    assert world.settled.count("withdrawn") == len(early) - len(begun)
    cooldown = 60 * CONFIG.detector.cooldown_minutes
    for topic in TOPICS:
        taken_back = None
        for alert in early:
            if alert.topic != topic:
                continue
            if alert.state == "resolved":
                taken_back = alert.detected_at
            elif taken_back is not None:
                assert (alert.detected_at - taken_back).total_seconds() > cooldown


@settings(max_examples=150)
@given(st.data())
def test_after_a_crash_anywhere_nobody_is_left_with_what_is_not_decided(data):
    """Also if the settings are others then, or none of it is to be told any more."""
    messages = data.draw(bursts())
    strict = replace(CONFIG, detector=LATER.detector.model_copy(update={"min_stories": 7}))
    telling = [*moments(messages), data.draw(st.integers(0, len(messages) - 1))]
    world = Told()
    done = 0
    for _ in range(data.draw(st.integers(1, 3))):
        aggregator = world.start(0, data.draw(st.sampled_from([CONFIG, CONFIG, LATER, strict])))
        last = data.draw(st.sampled_from([n for n in telling if n >= done] or [done]))
        for message in messages[done:last]:
            world.take(aggregator, message)
        world.take(aggregator, messages[last], data.draw(st.sampled_from([0, 0, 1, 6])))
        # Of later messages what was published, and panes: they are in a topic of their own.
        for message in messages[last + 1 : last + 1 + data.draw(st.integers(0, 4))]:
            output = aggregator.handle(message)
            world.publish(output)
            world.said += output.alerts
            world.store(Output(panes=output.panes))
        done = data.draw(st.integers(max(last - 3, 0), last))
    world.run(messages[done:], data.draw(st.sampled_from([CONFIG, LATER, strict])))
    for steps in lives(world.said).values():
        if PENDING in steps:
            assert WITHDRAWN in steps or FIRING in steps


# By example

TELLS_NEGATIVE = pytest.mark.parametrize("told_by", [{"label": 0}, {"label": 1, "negative": True}])
"""By its label, or whatever that says."""


@TELLS_NEGATIVE
def test_a_spike_is_told_at_once_and_confirmed_by_its_minute(told_by):
    now = BURST + 70
    world = Told()
    aggregator = world.run([*quiet(), *spike(now, **told_by)])
    (early,) = world.said
    assert (early.preliminary, early.state, early.severity) == (True, "firing", "warning")
    assert early.window.negative_stories == 6
    assert early.evidence
    assert aggregator.border is not None
    assert early.detected_at.timestamp() == now - now % PANE + PANE > aggregator.border
    for message in closing(now):
        world.take(aggregator, message)
    assert world.told() == [PENDING, FIRING]
    begun = world.said[1]
    assert begun.id == early.id
    assert (begun.window, begun.evidence) == (early.window, early.evidence)
    assert world.settled == ["confirmed"]


def test_what_comes_after_may_withdraw_it():
    now = BURST + 70
    calm = (bad(50 + n, now + 5, named=f"calm {n}", label=1) for n in range(60))
    world = Told()
    world.run([*quiet(), *spike(now), *live(now + 6, *calm), *closing(now)])
    assert world.told() == [PENDING, WITHDRAWN]
    assert world.alerts == []
    early, withdrawn = world.said
    assert withdrawn.id == early.id
    assert withdrawn.ends_at == early.detected_at
    assert withdrawn.window.stories > early.window.stories + 50
    assert "withdrawn, it is not borne out" in withdrawn.summary
    assert world.settled == ["withdrawn"]


def test_an_alert_of_an_earlier_minute_takes_its_place():
    now = BURST + 70
    late = (bad(20 + n, now - PANE) for n in range(6))
    world = Told()
    world.run([*quiet(), *spike(now), *live(now + 2, *late), *closing(now)])
    assert world.told() == [PENDING, FIRING, WITHDRAWN]
    early, begun, withdrawn = world.said
    assert early.id == withdrawn.id != begun.id
    assert "another alert of the topic has fired" in withdrawn.summary


def test_the_first_minute_that_passes_is_the_one_that_is_told():
    now = BURST + 70
    both = [bad(n, now - PANE) for n in range(6)] + [bad(9 + n, now) for n in range(6)]
    world = Told()
    world.run([*quiet(), *live(now, *both), *closing(now)])
    assert world.told() == [PENDING, FIRING]
    assert world.said[0].detected_at.timestamp() == now - now % PANE


def test_after_one_was_withdrawn_the_topic_is_quiet_for_the_cooldown():
    now = BURST + 70
    calm = [bad(50 + n, now + 5, named=f"calm {n}", label=1) for n in range(60)]
    taken_back = [*quiet(), *spike(now), *live(now + 6, *calm), *closing(now)]
    for minutes, again in ((3, False), (8, True)):
        later = now + 60 * minutes
        world = Told()
        world.run([*taken_back, *spike(later, first=200, count=80)])
        assert (world.told()[2:] == [PENDING]) is again


def test_while_an_alert_fires_and_in_its_cooldown_nothing_is_told_early():
    now = BURST + 70
    world = Told()
    aggregator = world.run([*quiet(), *spike(now), *closing(now)])
    for message in spike(now + 200, first=100, count=40):
        world.take(aggregator, message)
    assert aggregator.detectors[MACRO].alert is not None
    assert world.told() == [PENDING, FIRING]


def test_what_has_to_last_is_not_told_early():
    now = BURST + 70
    slow = LATER.detector.model_copy(update={"confirm_minutes": 2})
    world = Told()
    log = [*quiet(), *spike(now), *closing(now), *live(now + 400)]
    world.run(log, replace(CONFIG, detector=slow))
    assert world.told() == [FIRING]


def test_a_restart_tells_what_it_finds_again_and_withdraws_it():
    now = BURST + 70
    calm = (bad(50 + n, now + 5, named=f"calm {n}", label=1) for n in range(60))
    world = Told()
    world.run([*quiet(), *spike(now)])
    # It is told again, as it may not have been published. Settings may have changed meanwhile.
    aggregator = world.start(0, LATER)
    for message in [*live(now + 6, *calm), *closing(now)]:
        world.take(aggregator, message)
    assert world.told() == [PENDING, PENDING, WITHDRAWN]
    assert len({alert.id for alert in world.said}) == 1


@TELLS_NEGATIVE
def test_what_was_stored_and_not_tested_is_tested_after_a_restart(told_by):
    now = BURST + 70
    world = Told()
    *pieces, end = spike(now, **told_by)
    world.run([*quiet(), *pieces])
    assert world.said == []
    # The slices come again and count as repeats.
    world.run([*pieces, end, *closing(now)])
    assert world.told() == [PENDING, FIRING]


def test_a_state_of_before_has_nothing_told():
    world = Told()
    world.run(quiet(), LATER)
    assert all("preliminary" not in state for state in world.states.values())
    assert world.start().preliminary[MACRO].told is None


def test_a_backlog_is_not_told_early():
    world = Told()
    now = BURST + 70
    arrived = now + BACKLOG + 2 * PANE
    mark = Mark(now, arrived)
    entries = [bad(n, now) for n in range(6)]
    world.run([*quiet(), *slices_of(entries), Progress({0: mark, 1: mark})])
    assert world.said == []


def test_a_withdrawn_one_is_forgotten_when_it_keeps_nothing_back():
    now = BURST + 70
    calm = (bad(50 + n, now + 5, named=f"calm {n}", label=1) for n in range(60))
    world = Told()
    aggregator = world.run([*quiet(), *spike(now), *live(now + 6, *calm), *closing(now)])
    assert "preliminary" in json.loads(world.states[MACRO])
    for hour in (1, 2):
        for message in live(BURST + hour * HOUR + 31):
            world.take(aggregator, message)
    assert "preliminary" not in json.loads(world.states[MACRO])
