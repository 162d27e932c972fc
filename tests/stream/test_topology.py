from __future__ import annotations

import asyncio
import shutil
import threading

from stream.metrics import Metrics
from stream.reads import Consumer
from stream.scorer import Scorer
from stream.settings import Settings
from stream.topology import Topology
from stream.watchlist import Watchlist
from tests.stream.factories import TinyClassifier, config


def test_who_asks_whether_it_is_ready_makes_nothing() -> None:
    """Probes come from another thread, also before the worker has begun."""
    scorer = Scorer(TinyClassifier(), Watchlist([]), b"key")
    topology = Topology(Settings(), scorer, config, Metrics())
    answers: list[bool] = []
    try:
        probe = threading.Thread(target=lambda: answers.append(all(topology.ready().values())))
        probe.start()
        probe.join()
        assert answers == [False]
        assert topology.app._consumer is None
    finally:
        shutil.rmtree(topology.datadir)


def test_its_consumer_takes_nothing_that_is_paused() -> None:
    async def made() -> object:
        return topology.app._new_consumer()

    scorer = Scorer(TinyClassifier(), Watchlist([]), b"key")
    topology = Topology(Settings(), scorer, config, Metrics())
    try:
        assert isinstance(asyncio.run(made()), Consumer)
    finally:
        shutil.rmtree(topology.datadir)
