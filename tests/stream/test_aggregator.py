from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.records import Alert, Window
from stream.aggregator import Aggregator, Output, pane_key, split_key
from stream.panes import PANE
from stream.slices import (
    WEIGHT,
    Entry,
    Mark,
    Message,
    Progress,
    Slice,
    Tick,
    decode,
    encode,
    partition_of,
    slices_of,
)
from stream.watermarks import BEAT
from stream.windows import HORIZON, HOUR, RETENTION
from tests.stream.factories import DAY0, config, entry, progress

TOPICS = ("class:macro", "watch:acme", "watch:bond")
CONFIG = config(TOPICS)
START = DAY0 + 5 * 86_400


@dataclass
class World:
    """What outlives a crash: the stored records, and what was published."""

    panes: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    def start(self, partition: int = 0, configured: Any = CONFIG) -> Aggregator:
        aggregator = Aggregator(partition, configured)
        aggregator.restore(
            [(key, json.loads(value)) for key, value in self.panes.items()],
            [(key, json.loads(value)) for key, value in self.states.items()],
        )
        return aggregator

    def publish(self, output: Output) -> None:
        self.windows += output.windows
        self.alerts += output.alerts

    def store(self, output: Output, cut: int | None = None) -> None:
        """Write panes, then states, then drop what expired; cut off after so many writes."""
        writes = [(self.panes, key, json.dumps(value)) for key, value in output.panes.items()]
        writes += [(self.states, key, json.dumps(value)) for key, value in output.states.items()]
        writes += [(self.panes, key, None) for key in output.expired]
        for table, key, value in writes[:cut]:
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value

    def newest(self) -> Mapping[tuple[str, int, float], Window]:
        """As SQL keeps them: the last one of the highest revision, final ones above others."""
        found: dict[tuple[str, int, float], Window] = {}
        for window in self.windows:
            key = window.topic, window.seconds, window.start.timestamp()
            known = found.get(key)
            if known is None or (window.revision, window.final) >= (known.revision, known.final):
                found[key] = window
        return found

    def kept(self) -> dict[str, str]:
        """The panes that have not expired, or would have by now."""
        state = self.states.get("@0")
        finished = 0 if state is None else json.loads(state)["finished_to"]
        return {k: v for k, v in self.panes.items() if split_key(k)[1] + RETENTION >= finished}

    def known(self) -> dict[str, Any]:
        """The states, less hours that are noted as alive again but lie too far back to matter."""
        states = {key: json.loads(value) for key, value in self.states.items()}
        if (state := states.get("@0")) is not None:
            border = state["border"]
            state["recent"] = [hour for hour in state["recent"] if (hour + 25) * HOUR > border]
        return states


def read(messages: list[Message]) -> World:
    """One aggregator that nothing befalls."""
    world = World()
    aggregator = world.start()
    for message in messages:
        output = aggregator.handle(message)
        world.publish(output)
        world.store(output)
    return world


@st.composite
def message_logs(draw: st.DrawFn) -> list[Message]:
    """A log of one slices partition: batches, a few scored twice, and ticks between them."""
    offsets = [0, 0]
    now = float(START)
    recent: list[list[tuple[str, Entry]]] = []
    log: list[Message] = []
    hops = st.sampled_from([1, 40, 90, 600, HOUR, HOUR, 7 * HOUR, 26 * HOUR, 60 * HOUR])
    for _ in range(draw(st.integers(1, 10))):
        now += draw(hops)
        if draw(st.integers(0, 4)) == 0:
            log.append(Tick(now))
            continue
        batch: list[tuple[str, Entry]] = []
        if recent and draw(st.integers(0, 3)) == 0:
            # The scorer was killed before it acknowledged, and does its last batches again.
            batch += [pair for old in recent[-draw(st.integers(1, 3)) :] for pair in old]
        fresh: list[tuple[str, Entry]] = []
        for _ in range(draw(st.integers(1, 4))):
            partition = draw(st.integers(0, 1))
            late = draw(st.sampled_from([0, 0, 5, 70, 900, 2 * HOUR, HORIZON - 60, 2 * HORIZON]))
            made = entry(
                partition,
                offsets[partition],
                int(now) - late,
                draw(st.sampled_from([0, 0, 1, 2])),
                named=draw(st.sampled_from("ABCDEF")),
                source=draw(st.sampled_from("xyz")),
                weight=draw(st.sampled_from([WEIGHT, WEIGHT, WEIGHT, 0, 300])),
                negative=draw(st.sampled_from([None, None, None, True, False])),
            )
            offsets[partition] += 1
            topics = draw(st.sets(st.sampled_from(TOPICS), min_size=1))
            fresh += [(topic, made) for topic in sorted(topics)]
        recent.append(fresh)
        batch += fresh
        log += slices_of(batch)
        arrived = now - draw(st.sampled_from([0, 1]))
        log.append(progress((made for _, made in batch), arrived=arrived))
    return log


def crash(draw: st.DrawFn, world: World, messages: list[Message], done: int) -> int:
    """Read from ``done``, die somewhere; returns where reading goes on."""
    aggregator = world.start()
    last = draw(st.integers(done, len(messages) - 1))
    for message in messages[done:last]:
        output = aggregator.handle(message)
        world.publish(output)
        world.store(output)
    output = aggregator.handle(messages[last])
    sent = draw(st.sampled_from(["nothing", "some", "all"]))
    if sent == "some":
        # Cut off while publishing, which comes first: nothing of it is stored.
        world.publish(Output(windows=output.windows[: len(output.windows) // 2]))
    elif sent == "all":
        world.publish(output)
        writes = len(output.panes) + len(output.states) + len(output.expired)
        world.store(output, cut=draw(st.integers(0, writes)))
        # More was published whose records were still on their way to the changelog.
        for message in messages[last + 1 : last + 1 + draw(st.integers(0, 3))]:
            world.publish(aggregator.handle(message))
    return draw(st.integers(0, last))


@settings(max_examples=150)
@given(st.data())
def test_a_crash_anywhere_changes_nothing(data):
    """Whatever prefix of the writes survives, and from wherever messages come again."""
    messages = data.draw(message_logs())
    expected = read(messages)
    world = World()
    resume = 0
    for _ in range(data.draw(st.integers(1, 3))):
        resume = crash(data.draw, world, messages, resume)
    aggregator = world.start()
    for message in messages[resume:]:
        output = aggregator.handle(message)
        world.publish(output)
        world.store(output)
    assert world.newest() == expected.newest()
    assert world.kept() == expected.kept()
    assert world.known() == expected.known()


@settings(max_examples=50)
@given(message_logs())
def test_reading_the_log_again_counts_nothing_again(messages):
    world = read(messages)
    before = world.newest(), world.kept(), world.known()
    aggregator = world.start()
    for message in messages:
        output = aggregator.handle(message)
        world.publish(output)
        world.store(output)
    assert (world.newest(), world.kept(), world.known()) == before


@settings(max_examples=100)
@given(message_logs())
def test_every_document_in_time_is_counted_once(messages):
    """Against a count that knows nothing of panes: the first of each offset, unless late."""
    aggregator = Aggregator(0, CONFIG)
    seen: set[tuple[str, int, int, int]] = set()
    expected: dict[tuple[str, int, float], int] = {}
    world = World()
    for message in messages:
        watermark = aggregator.watermark.value
        output = aggregator.handle(message)
        world.publish(output)
        late = repeated = 0
        for found in message.entries if isinstance(message, Slice) else ():
            identity = (message.topic, found.partition, found.offset, found.time)
            if found.time < watermark - HORIZON:
                late += 1
            elif identity in seen:
                repeated += 1
            else:
                seen.add(identity)
                for seconds in (300, HOUR, 24 * HOUR):
                    key = message.topic, seconds, float(found.time - found.time % seconds)
                    expected[key] = expected.get(key, 0) + 1
        assert (output.late, output.repeated) == (late, repeated)
    if not world.windows:
        return
    newest = {key: window.documents for key, window in world.newest().items()}
    # Windows are published when time moves, hence not those of a log's last slices.
    if isinstance(messages[-1], Progress) and aggregator.border is not None:
        assert newest == expected


@given(message_logs())
def test_messages_survive_their_encoding(messages):
    assert [decode(encode(message)) for message in messages] == messages


# By example


def batch(*entries: tuple[str, Entry], now: float) -> list[Message]:
    marks: dict[int, Mark] = {0: Mark(int(now), now), 1: Mark(int(now), now)}
    return [*slices_of(entries), progress((made for _, made in entries), marks)]


def quiet_then_burst() -> list[Message]:
    """Three days of a story now and then, a burst of ten within minutes, and a calm day."""
    log: list[Message] = []
    offset = 0
    for hour in range(72):
        time = START + hour * HOUR
        made = entry(0, offset, time + 60, 1, f"calm {offset}", "wire")
        log += batch(("class:macro", made), now=time + 120)
        offset += 1
    burst = START + 72 * HOUR
    for n in range(10):
        time = burst + 60 * n
        made = entry(0, offset, time, 0, f"bad {n}", f"source {n % 3}")
        log += batch(("class:macro", made), now=time + 50)
        offset += 1
    for hour in range(73, 100):
        time = START + hour * HOUR
        made = entry(0, offset, time + 60, 1, f"calm {offset}", "wire")
        log += batch(("class:macro", made), now=time + 120)
        offset += 1
    return log


def test_a_burst_fires_and_resolves():
    states = [(a.topic, a.state) for a in read(quiet_then_burst()).alerts]
    assert states[0] == ("class:macro", "firing")
    assert states[-1] == ("class:macro", "resolved")
    assert len({a.id for a in read(quiet_then_burst()).alerts}) == 1


def test_evidence_comes_with_the_alert():
    fired = read(quiet_then_burst()).alerts[0]
    assert fired.evidence
    assert len({item.text for item in fired.evidence}) == len(fired.evidence)
    assert all(fired.window.start <= item.time < fired.window.end for item in fired.evidence)


def test_a_crash_during_an_alert_repeats_no_other_alert():
    messages = quiet_then_burst()
    expected = read(messages).alerts
    for last in range(210, 235):
        world = World()
        aggregator = world.start()
        for message in messages[:last]:
            output = aggregator.handle(message)
            world.publish(output)
            world.store(output)
        aggregator = world.start()
        for message in messages[last - 6 :]:
            output = aggregator.handle(message)
            world.publish(output)
            world.store(output)
        assert world.alerts == expected


def test_nothing_closes_before_the_watermark():
    world = read(batch(("class:macro", entry(time=START)), now=START + 20)[:1])
    assert world.windows == []
    aggregator = Aggregator(0, CONFIG)
    assert aggregator.border is None
    assert aggregator.tested("class:macro")[1] == {}
    aggregator.handle(Progress({0: Mark(START + 119, 1.0), 1: Mark(START + 119, 1.0)}))
    assert aggregator.border == START + 60, "lateness of 30 s keeps the second minute open"


def test_too_late_is_counted_as_late_and_nowhere_else():
    aggregator = Aggregator(0, CONFIG)
    for message in batch(("class:macro", entry(time=START)), now=START):
        aggregator.handle(message)
    oldest = START - 30 - HORIZON
    output = aggregator.handle(
        Slice("class:macro", (entry(offset=1, time=oldest - 1), entry(offset=2, time=oldest)))
    )
    assert output.late == 1
    assert [split_key(key)[1] for key in output.panes] == [oldest - oldest % PANE]


def test_ticks_make_windows_final_and_drop_old_panes():
    world = World()
    aggregator = world.start()
    for message in [
        *batch(("class:macro", entry(time=START, label=0)), now=START),
        *(Tick(START + BEAT * n) for n in range(1, 14)),
        Tick(START + RETENTION + 2 * HOUR),
    ]:
        output = aggregator.handle(message)
        world.publish(output)
        world.store(output)
    assert output.expired == [pane_key("class:macro", START)]
    assert world.panes == {}
    assert all(window.final for window in world.newest().values())
    assert len(world.newest()) == 3


def test_a_partition_keeps_to_its_own_topics():
    """Two partitions share the tables of one worker."""
    topics = tuple(f"watch:t{n}" for n in range(8))
    configured = config(topics, slice_partitions=2)
    owners = {topic: partition_of(topic, 2) for topic in topics}
    assert set(owners.values()) == {0, 1}
    world = World()
    aggregators = [world.start(n, configured) for n in (0, 1)]
    for topic, owner in owners.items():
        for message in batch((topic, entry(time=START, label=0)), now=START + 500):
            output = aggregators[owner].handle(message)
            world.store(output)
    for number in (0, 1):
        restored = world.start(number, configured)
        mine = {topic for topic, owner in owners.items() if owner == number}
        assert restored.windows.keys() == restored.detectors.keys() == mine
        assert {topic for topic, w in restored.windows.items() if w.panes} == mine
        assert restored.watermark.to_json() == aggregators[number].watermark.to_json()


def test_partitions_know_the_same_of_all_topics_however_many_they_are():
    """What one aggregator says of all topics, three say of theirs."""
    topics = tuple(f"watch:t{n}" for n in range(9))
    messages: list[Message] = []
    for hour in range(24 * 9):
        at = START + hour * HOUR
        said = [
            (topics[n], entry(0, 9 * hour + n, at + 300 * n, n % 2, f"{hour} {n}", f"s{n}"))
            for n in range(9)
            if (hour % 24 >= 8 or n == 0) and (n + hour) % 3 == 0
        ]
        messages += batch(*said, now=at + HOUR - 1)
    alone = World()
    one = alone.start(0, config(topics))
    apart = World()
    three = [apart.start(n, config(topics, slice_partitions=3)) for n in range(3)]
    for message in messages:
        alone.publish(one.handle(message))
        for aggregator in three:
            if not isinstance(message, Slice) or aggregator._mine(message.topic):
                apart.publish(aggregator.handle(message))
    for aggregator in three:
        assert aggregator.tally.pool.to_json() == one.tally.pool.to_json()
        for topic, detector in aggregator.detectors.items():
            assert detector.to_json() == one.detectors[topic].to_json()
            assert detector.prior == one.detectors[topic].prior
    assert apart.newest() == alone.newest()
    sources = [set(aggregator.tally.sources) for aggregator in three]
    assert set().union(*sources) == set(one.tally.sources) == {f"s{n}" for n in range(9)}
    assert sum(map(len, sources)) == 9


@pytest.mark.parametrize("topic", ["class:macro", "watch:a|b", "watch:|"])
def test_a_pane_key_comes_apart(topic):
    assert split_key(pane_key(topic, 60)) == (topic, 60)


def test_a_topic_taken_off_the_watchlist_is_still_restored():
    world = World()
    aggregator = world.start()
    for message in batch(("watch:gone", entry(time=START)), now=START + 500):
        output = aggregator.handle(message)
        world.store(output)
    assert "watch:gone" in world.start().windows


# Settings while it runs


def test_a_topic_may_have_its_own_detector_settings() -> None:
    own = CONFIG.detector.model_copy(update={"min_stories": 9})
    aggregator = Aggregator(0, replace(CONFIG, detectors={"watch:acme": own}))
    assert aggregator.detectors["watch:acme"].settings is own
    assert aggregator.detectors["watch:bond"].settings is CONFIG.detector


def test_other_topics_are_taken_up_and_nothing_known_is_lost() -> None:
    aggregator = Aggregator(0, CONFIG)
    for message in quiet_then_burst():
        aggregator.handle(message)
    before = {topic: detector.to_json() for topic, detector in aggregator.detectors.items()}
    own = CONFIG.detector.model_copy(update={"severity": "critical"})
    aggregator.configure(
        replace(
            CONFIG,
            topics=("class:macro", "watch:acme", "watch:new"),
            detectors={"watch:acme": own},
            config_version="later",
        )
    )
    after = {topic: detector.to_json() for topic, detector in aggregator.detectors.items()}
    assert after.keys() == {*before, "watch:new"}
    assert {topic: after[topic] for topic in before} == before
    assert aggregator.detectors["watch:acme"].settings is own
    assert aggregator.detectors["watch:bond"].config_version == "later"
    assert aggregator.detectors["watch:new"].prior == aggregator.detectors["class:macro"].prior
