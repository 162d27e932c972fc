"""What the feeds tell Prometheus; feeds are those of the file, kinds of errors a fixed set."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream.feeds.base import ERROR_KINDS


class FeedMetrics:
    """The series of the feed process, in a registry of their own."""

    def __init__(self, feeds: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.documents = Counter(
            "barograph_feed_documents", "Documents Kafka has acknowledged.", ["feed"], registry=r
        )
        self.repeated = Counter(
            "barograph_feed_repeated", "Items published before.", ["feed"], registry=r
        )
        self.errors = Counter(
            "barograph_feed_errors",
            "Readings that failed, and items that are no document.",
            ["feed", "kind"],
            registry=r,
        )
        self.success = Gauge(
            "barograph_feed_last_success_timestamp_seconds",
            "When the feed was last read without an error.",
            ["feed"],
            registry=r,
        )
        self.stopped = Gauge(
            "barograph_feed_stopped", "1 when the feed is gone for good.", ["feed"], registry=r
        )
        for feed in feeds:
            self.documents.labels(feed)
            self.repeated.labels(feed)
            self.stopped.labels(feed)
            for kind in ERROR_KINDS:
                self.errors.labels(feed, kind)
