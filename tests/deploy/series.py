"""The series that the processes export, and the names of series and labels in PromQL."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry

# Imported so that what the recorder exports, whoever delivers and whoever prunes, is registered.
from alerts import outbox, pruning, recorder  # noqa: F401
from stream.feeds.metrics import FeedMetrics
from stream.metrics import Metrics

GIVEN_BY_PROMETHEUS = {"job", "instance", "alertname", "alertstate", "le"}
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@functools.cache
def exported() -> dict[str, set[str]]:
    """The labels of each series of ours, by its name as it is asked for."""
    found: dict[str, set[str]] = {}
    registries: list[CollectorRegistry] = [Metrics().registry, FeedMetrics([]).registry, REGISTRY]
    for registry in registries:
        # Metrics with labels have no samples yet: what they were made with is asked.
        for collector in set(registry._collector_to_names):
            labels = set(getattr(collector, "_labelnames", ()))
            for family in collector.collect():
                for ending in ENDINGS.get(family.type, ("",)):
                    found[family.name + ending] = labels
    return found


def series(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Names of ours in an expression, each with the labels that are asked of it in braces."""
    for name, braces in re.findall(r"(?<![\w:])(barograph_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", braces))


def grouped(expression: str) -> set[str]:
    """Labels by which an expression sums or takes the greatest."""
    lists = re.findall(r"\bby \(([^)]+)\)", expression)
    return {label.strip() for names in lists for label in names.split(",")}
