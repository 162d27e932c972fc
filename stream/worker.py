"""The worker as a process: what it loads, what it serves, how it ends."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from functools import partial
from typing import NoReturn

import structlog
from prometheus_client import ProcessCollector

from model.classifier import Classifier
from model.labels import TOPICS, slug
from stream.aggregator import AggregatorConfig
from stream.health import HealthServer
from stream.metrics import Metrics
from stream.scorer import Scorer
from stream.settings import Settings
from stream.topics import create
from stream.watchlist import load

log = structlog.get_logger(__name__)


def build_scorer(settings: Settings) -> Scorer:
    """The scorer of these settings, its model loaded.

    Raises:
        ModelError: the model cannot be used.
        WatchlistError: the watchlist is wrong.
    """
    watchlist = load(settings.watchlist)
    worker = settings.worker
    classifier = Classifier.load(settings.model, worker.classify_threads, worker.backend)
    key = settings.author_key.get_secret_value().encode()
    return Scorer(classifier, watchlist, key, settings.weights, worker.negative_from)


def config_of(
    settings: Settings, scorer: Scorer, partitions: int | None = None
) -> AggregatorConfig:
    """What the aggregators of these settings depend on; ``partitions`` overrides theirs."""
    count = partitions or settings.kafka.partitions
    return AggregatorConfig(
        topics=(*(f"class:{slug(topic)}" for topic in TOPICS), *scorer.watchlist.topics),
        detector=settings.detector,
        model=scorer.model,
        config_version=settings.config_version,
        slice_partitions=count,
        document_partitions=count,
        allowed_lateness=settings.worker.allowed_lateness,
        idle_after=settings.worker.idle_after,
        detectors={
            entry.topic: own
            for entry in scorer.watchlist.entries
            if (own := entry.detector(settings.detector)) != settings.detector
        },
        preliminary=settings.delivery.mode == "direct" and settings.delivery.preliminary,
    )


def run(settings: Settings) -> NoReturn:
    """Run a worker until SIGTERM or SIGINT, then end the process: with status 0 if all went well.

    Raises:
        BrokerUnreachable, TopicError: the topics cannot be made.
        ModelError, WatchlistError: see ``build_scorer``.
    """
    # Faust takes a second or two to import; commands that need none of it should not pay for it.
    import faust

    from stream.topology import Topology

    create(settings)
    scorer = build_scorer(settings)
    metrics = Metrics()
    metrics.model.labels(scorer.model.name, scorer.model.version).set(1)
    # The recorder's and the desk's registry has this by itself.
    ProcessCollector(registry=metrics.registry)
    topology = Topology(settings, scorer, partial(config_of, settings, scorer), metrics)
    health = HealthServer(
        settings.http.host, settings.http.worker_port, metrics.registry, topology.ready
    )
    log.info("worker", metrics=f"http://{settings.http.host}:{health.port}/metrics")
    warnings.simplefilter("ignore", ResourceWarning)
    logging.getLogger("faust").setLevel(logging.WARNING)
    # Says whenever over 100 writes of tables are under way, as after every batch.
    logging.getLogger("faust.transport.producer").setLevel(logging.ERROR)
    worker = faust.Worker(
        topology.app, loglevel="WARN", quiet=True, redirect_stdouts=False, console_port=0
    )
    status = 1
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        health.stop()
        shutil.rmtree(topology.datadir, ignore_errors=True)
    # All is committed by now. Now and then a thread of the client libraries does not end.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
