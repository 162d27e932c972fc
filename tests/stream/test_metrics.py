from __future__ import annotations

from stream.aggregator import Aggregator
from stream.metrics import MAX_SOURCES, Metrics
from stream.scorer import Scorer
from stream.slices import Mark, Slice
from stream.watchlist import Watchlist
from tests.stream.factories import DAY0, TinyClassifier, body, config, entry, progress, raw


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def scored(*values: bytes) -> Metrics:
    metrics = Metrics()
    scorer = Scorer(TinyClassifier(), Watchlist(()), b"key")
    batch = scorer.score([raw(each, n) for n, each in enumerate(values)], DAY0)
    metrics.scored_batch(batch, len(values), 0.5, DAY0 + 2)
    return metrics


def test_what_became_of_a_batch_is_counted() -> None:
    metrics = scored(body(text="bad", kind="news"), body(text="good"), b"{", b"")
    assert value(metrics, "barograph_documents_read_total") == 4
    assert value(metrics, "barograph_documents_scored_total", kind="news") == 1
    assert value(metrics, "barograph_documents_scored_total", kind="other") == 1
    assert value(metrics, "barograph_dead_letters_total", reason="json") == 1
    assert value(metrics, "barograph_dead_letters_total", reason="empty") == 1
    assert value(metrics, "barograph_documents_clamped_total") == 2
    labels = {"topic": "class:macro", "sentiment": "negative"}
    assert value(metrics, "barograph_documents_total", **labels) == 1
    assert value(metrics, "barograph_end_to_end_seconds_sum") == 4
    assert value(metrics, "barograph_classify_seconds_sum") == 0.5
    name = "barograph_source_last_document_timestamp_seconds"
    assert value(metrics, name, source="wire") == DAY0


def test_what_has_not_happened_is_zero_and_not_missing() -> None:
    metrics = Metrics()
    for reason in ("json", "schema", "encoding", "empty", "too-large", "fault"):
        assert value(metrics, "barograph_dead_letters_total", reason=reason) == 0


def test_a_feed_gone_wrong_does_not_fill_prometheus() -> None:
    metrics = scored(*(body(source=f"s{n}") for n in range(MAX_SOURCES + 50)))
    (family,) = [
        family
        for family in metrics.registry.collect()
        if family.name == "barograph_source_last_document_timestamp_seconds"
    ]
    assert len(family.samples) == MAX_SOURCES + 1
    assert "other" in {sample.labels["source"] for sample in family.samples}


def burst(topic: str) -> Aggregator:
    """Two quiet hours, then many negative stories at once."""
    aggregator = Aggregator(0, config((topic,), document_partitions=1))
    offset = 0
    for hour in range(3):
        time = DAY0 + 3600 * hour
        quiet = entry(0, offset, time, 1, f"quiet {hour}")
        aggregator.handle(Slice(topic, (quiet,)))
        aggregator.handle(progress([quiet], arrived=time))
        offset += 1
    time = DAY0 + 3 * 3600
    bad = tuple(entry(0, offset + n, time, 0, f"bad {n}", f"s{n}") for n in range(30))
    aggregator.handle(Slice(topic, bad))
    aggregator.handle(progress(bad, {0: Mark(time + 200, time)}))
    return aggregator


def test_windows_tests_and_alerts_are_shown_by_topic() -> None:
    metrics = Metrics()
    aggregator = burst("class:macro")
    metrics.topics([aggregator])
    for window in ("5m", "15m", "1h", "24h"):
        labels = {"topic": "class:macro", "window": window}
        assert value(metrics, "barograph_negative_stories", **labels) == 30
        surprise = value(metrics, "barograph_spike_surprise", **labels)
        if window == "24h":  # a day has no past to be judged by yet
            assert surprise is None
            continue
        assert surprise is not None
        assert surprise > 5
        expected = value(metrics, "barograph_expected_negative_stories", **labels)
        assert expected is not None
        assert expected < 5
    labels = {"topic": "class:macro", "window": "5m"}
    assert value(metrics, "barograph_negative_ratio", **labels) == 1
    firing = {
        severity: value(metrics, "barograph_spike_active", topic="class:macro", severity=severity)
        for severity in ("warning", "critical")
    }
    assert sorted(firing.values()) == [0, 1]
    watermark = value(metrics, "barograph_watermark_timestamp_seconds", partition="0")
    assert watermark == DAY0 + 3 * 3600 + 200 - 30


def test_the_series_of_topics_that_moved_away_are_dropped() -> None:
    metrics = Metrics()
    metrics.topics([burst("class:macro"), burst("class:markets")])
    metrics.forget_partitions()
    metrics.topics([burst("class:markets")])
    for name, more in (
        ("barograph_negative_stories", {"window": "1h"}),
        ("barograph_spike_surprise", {"window": "1h"}),
        ("barograph_spike_active", {"severity": "warning"}),
    ):
        assert value(metrics, name, topic="class:macro", **more) is None
        assert value(metrics, name, topic="class:markets", **more) is not None
