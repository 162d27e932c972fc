"""The feed process: state, publisher, metrics and health around the runner."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from stream.clients import servers
from stream.feeds.listing import Feed, FeedsError, usable_feeds
from stream.feeds.metrics import FeedMetrics
from stream.feeds.runner import Runner
from stream.feeds.state import State
from stream.health import HealthServer
from stream.publisher import Publisher
from stream.security import client_options
from stream.settings import KafkaSettings, Settings
from stream.topics import require


def state_path(feeds: Path) -> Path:
    """Where the state is kept unless the command says otherwise: beside the feeds file."""
    return feeds.with_name(f"{feeds.stem}.state.db")


def run(path: Path, settings: Settings, state: Path | None = None) -> None:
    """Read the feeds of a file until SIGTERM or Ctrl-C.

    Raises:
        FeedsError: the file cannot be used.
        StateError: nor can the state.
        BrokerUnreachable, TopicError: as they say, at the start only.
    """
    feeds = usable_feeds(path)
    _refuse_a_circle(feeds, settings.kafka)
    require(settings.kafka, settings.kafka.topics.documents)
    kept = State(state or state_path(path))
    metrics = FeedMetrics(feed.id for feed in feeds)
    runner = Runner(
        feeds,
        kept,
        Publisher(
            ",".join(servers(settings.kafka.bootstrap)), **client_options(settings.kafka.security)
        ),
        settings.kafka.topics.documents,
        settings.author_key.get_secret_value().encode(),
        metrics,
    )
    try:
        health = HealthServer(
            settings.http.host, settings.http.feed_port, metrics.registry, runner.checks
        )
        try:
            asyncio.run(_until_stopped(runner))
        finally:
            health.stop()
    finally:
        kept.close()


def _refuse_a_circle(feeds: Sequence[Feed], kafka: KafkaSettings) -> None:
    for feed in feeds:
        options = feed.options
        if (
            getattr(options, "topic", None) == kafka.topics.documents
            and getattr(options, "bootstrap", None) == kafka.bootstrap
        ):
            raise FeedsError(
                f"feed {feed.id}: reads {kafka.topics.documents}, where feeds write; "
                "name another topic"
            )


async def _until_stopped(runner: Runner) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await runner.run(stop)
