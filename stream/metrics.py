"""What the worker tells Prometheus. No label holds free text; topics are those of the settings."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alerts.lifecycle import WINDOW_NAMES
from alerts.preliminary import OUTCOMES
from stream.aggregator import Aggregator
from stream.drift import Drift
from stream.scorer import FAULTS, Batch
from stream.watermarks import NEVER

SEVERITIES = ("warning", "critical")

MAX_SOURCES = 1000
"""Sources with a series of their own; a feed gone wrong must not fill Prometheus."""


class Metrics:
    """The worker's series, in a registry of their own or a given one."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        self.read = Counter("barograph_documents_read", "Messages read.", registry=r)
        self.scored = Counter(
            "barograph_documents_scored", "Documents scored.", ["kind"], registry=r
        )
        self.dead = Counter(
            "barograph_dead_letters", "Messages that are no document.", ["reason"], registry=r
        )
        self.clamped = Counter(
            "barograph_documents_clamped",
            "Documents dated by their arrival, for lack of a believable time.",
            registry=r,
        )
        self.late = Counter(
            "barograph_documents_late",
            "Counts not taken because the document was older than the horizon.",
            registry=r,
        )
        self.repeated = Counter(
            "barograph_documents_repeated",
            "Counts dropped because the document was counted before.",
            registry=r,
        )
        self.documents = Counter(
            "barograph_documents",
            "Documents by monitored topic and sentiment, as scored.",
            ["topic", "sentiment"],
            registry=r,
        )
        per_window = ["topic", "window"]
        self.ratio = Gauge(
            "barograph_negative_ratio", "Share of negative documents.", per_window, registry=r
        )
        self.negative = Gauge(
            "barograph_negative_stories", "Distinct negative stories.", per_window, registry=r
        )
        self.expected = Gauge(
            "barograph_expected_negative_stories",
            "Distinct negative stories that the topic's past leads to expect.",
            per_window,
            registry=r,
        )
        self.surprise = Gauge(
            "barograph_spike_surprise",
            "-log10 of the probability of so many negative stories.",
            per_window,
            registry=r,
        )
        self.active = Gauge(
            "barograph_spike_active",
            "1 while an alert of this severity fires.",
            ["topic", "severity"],
            registry=r,
        )
        self.pending = Gauge(
            "barograph_spike_pending",
            "1 while a test has passed and an alert still lacks stories, sources or time.",
            ["topic"],
            registry=r,
        )
        self.preliminary = Counter(
            "barograph_preliminary_alerts",
            "Preliminary alerts by what became of them.",
            ["outcome"],
            registry=r,
        )
        self.batch_size = Histogram(
            "barograph_batch_size",
            "Messages scored in one call.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
            registry=r,
        )
        self.classify_seconds = Histogram(
            "barograph_classify_seconds",
            "Time to parse and score a batch.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=r,
        )
        self.end_to_end = Histogram(
            "barograph_end_to_end_seconds",
            "From a document's arrival on Kafka to its score.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
            registry=r,
        )
        self.lag = Gauge(
            "barograph_consumer_lag",
            "Messages not yet worked off.",
            ["topic", "partition"],
            registry=r,
        )
        self.watermark = Gauge(
            "barograph_watermark_timestamp_seconds",
            "Event time below which no more documents are expected.",
            ["partition"],
            registry=r,
        )
        self.source = Gauge(
            "barograph_source_last_document_timestamp_seconds",
            "Arrival of the newest document.",
            ["source"],
            registry=r,
        )
        self.silence = Gauge(
            "barograph_source_silence_surprise",
            "-log10 of the probability that the source's rhythm explains its silence.",
            ["source"],
            registry=r,
        )
        self.stale = Gauge(
            "barograph_source_stale",
            "1 while the source has been silent for longer than its rhythm explains.",
            ["source"],
            registry=r,
        )
        self.shift = Gauge(
            "barograph_model_drift",
            "Population stability index of the last day against the last weeks.",
            ["input"],
            registry=r,
        )
        self.model = Gauge(
            "barograph_model_info",
            "1, with the model that this worker scores with.",
            ["name", "version"],
            registry=r,
        )
        self._drift = Drift()
        for code in FAULTS:
            # From zero, or an increase could not be seen.
            self.dead.labels(code)
        for outcome in OUTCOMES:
            self.preliminary.labels(outcome)
        self._sources: set[str] = set()
        self._owned: set[str] = set()
        self._watched: set[str] = set()
        self._shown: dict[str, int] = {}

    def scored_batch(self, batch: Batch, size: int, seconds: float, now: float) -> None:
        """Note a batch: its size in messages, the time it took, and the wall clock, seconds."""
        self.read.inc(size)
        self.batch_size.observe(size)
        self.classify_seconds.observe(seconds)
        self.clamped.inc(batch.clamped)
        for name, index in self._drift.add((document for _, document in batch.scored), now).items():
            self.shift.labels(name).set(index)
        for letter in batch.dead:
            self.dead.labels(letter.code).inc()
        for raw, document in batch.scored:
            self.scored.labels(document.kind).inc()
            if raw.arrived is not None:
                self.end_to_end.observe(max(now - raw.arrived, 0.0))
            for monitored in document.monitored:
                self.documents.labels(monitored.topic, monitored.sentiment.label).inc()
            source = document.source
            if source not in self._sources and len(self._sources) >= MAX_SOURCES:
                source = "other"
            self._sources.add(source)
            self.source.labels(source).set(document.ingested_at.timestamp())

    def topics(self, aggregators: Iterable[Aggregator]) -> None:
        """Show the windows and tests of the topics that this worker owns, and no others."""
        owned: set[str] = set()
        watched: set[str] = set()
        for aggregator in aggregators:
            owned |= aggregator.windows.keys()
            watched |= aggregator.tally.sources.keys()
            name = str(aggregator.partition)
            if aggregator.watermark.value != NEVER:
                self.watermark.labels(name).set(aggregator.watermark.value)
            # Nothing below changes while no pane is closed.
            if aggregator.border is not None and self._shown.get(name) == aggregator.border:
                continue
            if aggregator.border is not None:
                self._shown[name] = aggregator.border
            for topic in aggregator.windows:
                self._show(aggregator, topic)
            for source, rhythm in aggregator.tally.sources.items():
                now = aggregator.border or rhythm.heard
                self.silence.labels(source).set(rhythm.surprise(now))
                self.stale.labels(source).set(rhythm.is_stale(now))
        for topic in self._owned - owned:
            self._drop(topic)
        for source in self._watched - watched:
            self.silence.remove(source)
            self.stale.remove(source)
        self._owned, self._watched = owned, watched

    def _show(self, aggregator: Aggregator, topic: str) -> None:
        counts, results = aggregator.tested(topic)
        for seconds, held in counts.items():
            labels = (topic, WINDOW_NAMES[seconds])
            self.ratio.labels(*labels).set(held.negative / held.documents if held.documents else 0)
            self.negative.labels(*labels).set(held.negative_stories)
            if (result := results.get(seconds)) is not None:
                self.expected.labels(*labels).set(result.expected)
                self.surprise.labels(*labels).set(result.surprise)
        alert = aggregator.detectors[topic].alert
        self.pending.labels(topic).set(aggregator.detectors[topic].pending_since is not None)
        for severity in SEVERITIES:
            fires = alert is not None and alert.severity == severity
            self.active.labels(topic, severity).set(float(fires))

    def forget_partitions(self) -> None:
        """Drop what is known of partitions, which have been taken away."""
        self._shown.clear()
        self.lag.clear()
        self.watermark.clear()

    def _drop(self, topic: str) -> None:
        for gauge in (self.ratio, self.negative, self.expected, self.surprise):
            gauge.remove_by_labels({"topic": topic})
        for gauge in (self.active, self.pending):
            gauge.remove_by_labels({"topic": topic})
