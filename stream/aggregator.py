"""Slices in; panes, windows and alerts out: one partition of the slices topic.

Pure: the worker and ``replay`` run this same class, the one with Faust tables behind it, the other
with nothing. All it knows comes from messages, in the order of their log.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from alerts.baseline import NOTHING_KNOWN
from alerts.lifecycle import STATE_VERSION, TopicDetector
from alerts.preliminary import Outcome, Preliminary
from alerts.records import Alert, Evidence, ModelName, Window
from alerts.settings import DetectorSettings
from alerts.spikes import Counts, Result
from alerts.versions import require
from stream.evidence import to_evidence
from stream.panes import PANE, Pane
from stream.slices import Forget, Message, Progress, Slice, Tick, partition_of
from stream.tally import Tally
from stream.watermarks import NEVER, Watermark
from stream.windows import HORIZON, HOUR, TopicWindows

Record = dict[str, Any]

BACKLOG = 15 * 60
"""Seconds behind the clock from which a minute is taken to be of a backlog: that is worked off
faster than a preliminary alert would be of use."""

AHEAD = 6 * 60
"""Seconds before the clock in which there may be documents: see ``stream.scorer.MAX_AHEAD``."""


@dataclass(frozen=True)
class AggregatorConfig:
    """What an aggregator depends on besides its messages."""

    topics: tuple[str, ...]
    """all monitored topics, of every partition"""
    detector: DetectorSettings
    """of topics that have none of their own"""
    model: ModelName
    config_version: str
    slice_partitions: int = 1
    document_partitions: int = 1
    allowed_lateness: float = 30.0
    idle_after: float = 60.0
    detectors: Mapping[str, DetectorSettings] = field(default_factory=dict)
    """of topics that have settings of their own"""
    preliminary: bool = False
    """whether alerts are told before the last minute of their window has closed"""

    def detector_of(self, topic: str) -> DetectorSettings:
        """The detector settings of a topic."""
        return self.detectors.get(topic, self.detector)


@dataclass
class Output:
    """What one message brought about."""

    panes: dict[str, Record] = field(default_factory=dict)
    """records to store, by key"""
    states: dict[str, Record] = field(default_factory=dict)
    """records to store after the panes, in this order: the partition's own comes last"""
    expired: list[str] = field(default_factory=list)
    """keys of panes to delete, after everything else"""
    windows: list[Window] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    preliminary: list[Alert] = field(default_factory=list)
    """to publish when all records are stored: what was told must not be forgotten"""
    settled: list[Outcome] = field(default_factory=list)
    """what became of preliminary alerts"""
    repeated: int = 0
    late: int = 0


class Aggregator:
    """The topics of one slices partition."""

    def __init__(self, partition: int, config: AggregatorConfig) -> None:
        self.partition = partition
        self.config = config
        self.watermark = Watermark(
            config.document_partitions, config.allowed_lateness, config.idle_after
        )
        self._prior = NOTHING_KNOWN
        self.windows: dict[str, TopicWindows] = {}
        self.detectors: dict[str, TopicDetector] = {}
        self.preliminary: dict[str, Preliminary] = {}
        self._suspects: dict[str, int] = {}
        """of topics that took negative stories since they were last tested, the oldest pane"""
        self._perhaps_untold: list[str] = []
        """topics whose restored preliminary alert may not have been published"""
        self._make_topics()
        self.tally = Tally(partition, self._mine, config.detector.memory_hours)
        self._recent: set[int] = set()
        """hours with documents, of the last day"""
        self._learned_to = NEVER
        self._finished_to = NEVER
        self._border = NEVER
        self._due: list[tuple[int, str]] = []
        self._scheduled: set[tuple[int, str]] = set()

    def configure(self, config: AggregatorConfig) -> None:
        """Take up other topics and detector settings; what is known of the topics stays.

        Topics that are no longer watched go on with what they hold until it expires.
        """
        self.config = config
        self._make_topics()
        for topic, detector in self.detectors.items():
            detector.configure(config.detector_of(topic), config.config_version)

    def _make_topics(self) -> None:
        """Topics are there, and learn, before anything is said of them."""
        for topic in self.config.topics:
            if self._mine(topic):
                self._topic(topic)

    def _topic(self, topic: str) -> TopicWindows:
        windows = self.windows.get(topic)
        if windows is None:
            windows = self.windows[topic] = TopicWindows(topic)
            self.detectors[topic] = TopicDetector(
                topic, self.config.detector_of(topic), self.config.model, self.config.config_version
            )
            self.detectors[topic].prior = self._prior
            self.detectors[topic].scored_by = windows.model
            self.preliminary[topic] = Preliminary(self.detectors[topic])
        return windows

    # State

    def restore(
        self, panes: Iterable[tuple[str, Record]], states: Iterable[tuple[str, Record]]
    ) -> None:
        """Take up stored records; those of other partitions are passed over.

        All open windows and what was told as preliminary are published anew with the next message:
        what was stored just before a crash may not have been published.

        Raises:
            StateRefused: they are of a version that this one does not read.
        """
        own: Record | None = None
        shared: dict[str, Record] = {}
        for key, record in states:
            if key == self._key:
                # The first of version 2 had no number.
                unnumbered = 2 if "tally" in record else None
                version = record.get("version", unnumbered)
                require(f"partition {self.partition}", version, STATE_VERSION)
                self.watermark.restore(record["watermark"])
                own = record["tally"]
                self._recent = set(record["recent"])
                self._learned_to = record["learned_to"]
                self._border = record["border"]
                self._finished_to = record["finished_to"]
            elif key.startswith("@"):
                shared[key] = record
            elif self._mine(key):
                self._topic(key)
                self.detectors[key].restore(record)
                self.preliminary[key].restore(record.get("preliminary"))
        if own is not None:
            self.tally.restore(own, shared)
            self._prior = self.tally.pool.prior(len(self.config.topics))
            for detector in self.detectors.values():
                detector.prior = self._prior
        for windows in self.windows.values():
            windows.final_to = self._finished_to
        for key, record in panes:
            topic, start = split_key(key)
            if self._mine(topic):
                pane = Pane.from_json(record)
                self._topic(topic).restore(start, pane)
                self._schedule(start + PANE, topic)
                if pane.negative_stories and start >= self._border:
                    # It may have been stored and not been tested.
                    self._suspect(topic, start)
        for topic, windows in self.windows.items():
            if self._border != NEVER:
                windows.close(self._border)
            if self.detectors[topic].is_open:
                self._schedule(self._border + PANE, topic)
            if self.preliminary[topic].told is not None:
                self._perhaps_untold.append(topic)
            if (due := self.preliminary[topic].due) is not None:
                self._schedule(max(due, self._border + PANE), topic)

    def _mine(self, topic: str) -> bool:
        return partition_of(topic, self.config.slice_partitions) == self.partition

    @property
    def _key(self) -> str:
        return f"@{self.partition}"

    def _state(self) -> Record:
        return {
            "version": STATE_VERSION,
            "watermark": self.watermark.to_json(),
            "tally": self.tally.to_json(),
            "recent": sorted(self._recent),
            "learned_to": self._learned_to,
            "border": self._border,
            "finished_to": self._finished_to,
        }

    # Messages

    def handle(self, message: Message) -> Output:
        """Take in one message of the partition."""
        output = Output()
        match message:
            case Slice():
                self._apply(message, output)
            case Progress():
                self.tally.take(message, self._learned_to)
                self._recent.update(message.hours)
                self.watermark.progress(message.marks)
                self._advance(output)
            case Tick(now):
                self.watermark.tick(now)
                self._advance(output)
            case Forget(digests):
                self._forget(frozenset(digests), output)
        self._tell_again(output)
        return output

    def _apply(self, message: Slice, output: Output) -> None:
        windows = self._topic(message.topic)
        oldest = self.watermark.value - HORIZON
        touched = set()
        for entry in message.entries:
            if entry.time < oldest:
                output.late += 1
                continue
            start = windows.add(entry, message.model)
            if start is None:
                output.repeated += 1
            else:
                touched.add(start)
                if entry.tells_negative:
                    self._suspect(message.topic, start)
        for start in touched:
            output.panes[pane_key(message.topic, start)] = windows.panes[start].to_json()
            self._schedule(start + PANE, message.topic)

    def _forget(self, digests: frozenset[str], output: Output) -> None:
        """Drop evidence of what is forgotten, of panes and firing alerts; nothing is counted anew.

        An alert is published again as it was but for the evidence, as its newest message counts.
        """
        for topic, windows in self.windows.items():
            for start in windows.forget(digests):
                output.panes[pane_key(topic, start)] = windows.panes[start].to_json()
            erased = self.preliminary[topic].erase(digests)
            if (alert := self.detectors[topic].forget(digests)) is not None:
                output.alerts.append(alert)
            if erased or alert is not None:
                output.states[topic] = self._topic_state(topic)

    def _schedule(self, end: int, topic: str) -> None:
        """Test the topic when the watermark passes ``end``; what lies behind it is not tested."""
        if end > self._border and (end, topic) not in self._scheduled:
            self._scheduled.add((end, topic))
            heapq.heappush(self._due, (end, topic))

    def _advance(self, output: Output) -> None:
        """Do all that the watermark has made due, in the order of event time."""
        if self.watermark.value == NEVER:
            # Which partitions were heard, and in which hours, must not wait for the others.
            self._keep(output)
            return
        border = self.watermark.value - self.watermark.value % PANE
        for hour in sorted(hour for hour in self.tally.open if (hour + 1) * HOUR <= border):
            self._evaluate((hour + 1) * HOUR, output)
            self.tally.pass_silence(hour)
            self._learn(hour, output)
        self._evaluate(border, output)
        if border > self._border:
            self._border = border
            self._recent = {h for h in self._recent if (h + 25) * HOUR > border}
        self._foresee(output)
        for topic, windows in self.windows.items():
            output.windows += windows.changed(self.detectors[topic].before)
        if border - border % HOUR > self._finished_to:
            self._finished_to = border - border % HOUR
            self.tally.pass_silence(border // HOUR)
            for topic, windows in self.windows.items():
                past = self.detectors[topic].before
                output.windows += windows.finish(self._finished_to, past)
                gone = windows.expire(self._finished_to)
                output.expired += [pane_key(topic, start) for start in gone]
        self._keep(output)

    def _keep(self, output: Output) -> None:
        """Store what is not a topic's: after the topics, which are behind it if one is cut off."""
        output.states.update(self.tally.learned())
        output.states[self._key] = self._state()

    def _evaluate(self, border: int, output: Output) -> None:
        while self._due and self._due[0][0] <= border:
            end, topic = heapq.heappop(self._due)
            self._scheduled.discard((end, topic))
            self._border = max(self._border, end)
            windows, detector = self.windows[topic], self.detectors[topic]
            windows.close(end)
            hour, pending_since = (end - 1) // HOUR, detector.pending_since
            counts = windows.trailing()
            transition = detector.evaluate(
                end,
                counts,
                windows.negative_sources,
                partial(_strongest, windows),
                alive=not self._recent.isdisjoint({hour, hour - 1}),
            )
            if transition is not None:
                output.alerts.append(transition)
            outcome = self.preliminary[topic].settle(end, counts, windows.negative_sources)
            if outcome is not None:
                output.settled.append(outcome)
                self._tell(topic, output)
            if transition or outcome or detector.pending_since != pending_since:
                output.states[topic] = self._topic_state(topic)
            if detector.is_open:
                self._schedule(end + PANE, topic)

    def _topic_state(self, topic: str) -> Record:
        state = self.detectors[topic].to_json()
        if (told := self.preliminary[topic].to_json()) is not None:
            state["preliminary"] = told
        return state

    def _learn(self, hour: int, output: Output) -> None:
        """Close an hour for every topic, those without documents included."""
        self.tally.learn(hour)
        self._learned_to = max(self._learned_to, hour + 1)
        self._prior = self.tally.pool.prior(len(self.config.topics))
        for topic, detector in self.detectors.items():
            is_new = hour >= detector.learned_to
            windows = self.windows[topic]
            detector.learn(hour, windows.seen(hour), self._prior)
            # What the hour taught is the expectation of the windows that begin in the next one: of
            # this topic, or after a crash in the middle of storing it, of all topics together.
            windows.expect((hour + 1) * HOUR)
            if is_new:
                if not self._unpublished(topic, output):
                    self.preliminary[topic].forget((hour + 1) * HOUR)
                output.states[topic] = self._topic_state(topic)

    # Before a pane has closed

    def _suspect(self, topic: str, start: int) -> None:
        """Note that a pane has taken a negative document: nothing else makes a test pass."""
        if self.config.preliminary:
            self._suspects[topic] = min(start, self._suspects.get(topic, start))

    def _foresee(self, output: Output) -> None:
        """Test what has not closed yet, as far as negative documents have come to it."""
        now = self.watermark.now
        if not self._suspects or now is None or self._border == NEVER:
            return
        suspects, self._suspects = self._suspects, {}
        newest = int(now) + AHEAD
        for topic, start in suspects.items():
            oldest = max(start, self._border, int(now) - BACKLOG)
            # In their order: the first that passes is the one that would fire.
            for end in range(oldest - oldest % PANE + PANE, newest, PANE):
                if (end, topic) in self._scheduled and self._foresee_at(end, topic, output):
                    output.states[topic] = self._topic_state(topic)
                    self._tell(topic, output)
                    break

    def _foresee_at(self, end: int, topic: str, output: Output) -> bool:
        """Whether there is a preliminary alert to tell of the topic, for the pane's end."""
        told, windows = self.preliminary[topic], self.windows[topic]
        if self._unpublished(topic, output) or not told.may(end):
            return False
        # As in ``tested``: nothing that is due is skipped by this.
        windows.close(self._border)
        sources = partial(windows.negative_sources, end=end)
        evidence = partial(_strongest, windows, end=end)
        return told.foresee(end, windows.ahead(end), sources, evidence) is not None

    def _tell(self, topic: str, output: Output) -> None:
        if (told := self.preliminary[topic].told) is not None:
            output.preliminary.append(told)

    def _tell_again(self, output: Output) -> None:
        """Publish what was restored, unless this message has decided about it."""
        topics, self._perhaps_untold = self._perhaps_untold, []
        said = {alert.topic for alert in output.preliminary}
        for topic in topics:
            if topic not in said:
                self._tell(topic, output)

    def _unpublished(self, topic: str, output: Output) -> bool:
        """Whether what was told of a topic is in the stored state alone, and must stay there."""
        told = self.preliminary[topic].told
        return topic in self._perhaps_untold or any(told is one for one in output.preliminary)

    # Reading

    @property
    def border(self) -> int | None:
        """End of the last closed pane; None before the first."""
        return None if self._border == NEVER else self._border

    def tested(self, topic: str) -> tuple[dict[int, Counts], dict[int, Result]]:
        """The trailing windows that end at the border, and their tests, by length."""
        windows, detector = self.windows[topic], self.detectors[topic]
        if self._border == NEVER:
            return windows.trailing(), {}
        # All that was due up to the border has been tested, so nothing is skipped by this.
        windows.close(self._border)
        counts = windows.trailing()
        return counts, detector.test(self._border, counts)


def _strongest(
    windows: TopicWindows, seconds: int, limit: int, end: int | None = None
) -> list[Evidence]:
    return [to_evidence(item) for item in windows.evidence(seconds, limit, end)]


def pane_key(topic: str, start: int) -> str:
    """Key of a pane's stored record."""
    return f"{topic}|{start}"


def split_key(key: str) -> tuple[str, int]:
    """Topic and start of a pane's key."""
    topic, _, start = key.rpartition("|")
    return topic, int(start)
