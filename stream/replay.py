"""The worker's path over a file: no Kafka, no clock, event time only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from alerts.records import Alert, Window
from stream.aggregator import Aggregator, AggregatorConfig
from stream.records import ScoredDocument
from stream.scorer import DeadLetter, Raw, Scorer

BATCH = 256


@dataclass
class Replay:
    """What came of a file; ``windows`` holds the newest state of each window."""

    windows: dict[tuple[str, int, int], Window] = field(default_factory=dict)
    """by topic, length in seconds, and start in seconds since 1970"""
    alerts: list[Alert] = field(default_factory=list)
    """all transitions, in order"""
    dead: list[DeadLetter] = field(default_factory=list)
    documents: int = 0
    late: int = 0
    clamped: int = 0


def replay(
    rows: Iterable[tuple[int, bytes]],
    scorer: Scorer,
    config: AggregatorConfig,
    on_scored: Callable[[ScoredDocument], None] = lambda _: None,
    on_batch: Callable[[int], object] = lambda _: None,
) -> Replay:
    """Run documents, in the order of their rows, through scorer and aggregator.

    Args:
        rows: line number and JSON bytes of each document.
        scorer: as in the worker.
        config: as in the worker; its partition counts must be 1.
        on_scored: called with every scored document.
        on_batch: called with the number of rows done, batch by batch.
    """
    # Of the past nobody is told before its time.
    aggregator = Aggregator(0, replace(config, preliminary=False))
    result = Replay()
    for batch in _batched(rows):
        raws = [Raw(0, line, value, None) for line, value in batch]
        scored = scorer.score(raws, None)
        result.dead += scored.dead
        result.clamped += scored.clamped
        result.documents += len(scored.scored)
        for _, document in scored.scored:
            on_scored(document)
        for message in (*scored.slices, scored.progress):
            if message is None:
                continue
            output = aggregator.handle(message)
            result.late += output.late
            result.alerts += output.alerts
            for window in output.windows:
                key = (window.topic, window.seconds, int(window.start.timestamp()))
                result.windows[key] = window
        on_batch(len(batch))
    return result


def _batched(rows: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        yield batch
