"""How long after the last document of a spike its webhook arrives, on both paths.

``python -m benchmarks.delivery`` starts Kafka and, for each path, its processes with the default
settings and with what ``deploy/`` holds, and a receiver on this machine. It plays quiet days, and
then spikes, each of a watched topic of its own, in two ways:

* **played**: documents dated in the past. Once the spike has been scored, one document on each
  partition moves event time past its minute, as the next ones of a stream do. Measured from sending
  these: what the machinery takes.
* **live**: documents dated as they are written, two a second. Measured from sending the last
  document of the spike, and from when event time had passed its minute on every partition; on the
  direct path to the webhook of the preliminary alert as well, which waits for no minute. Spikes of
  the past have none.

The figures go to ``results/delivery.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import yaml

from alerts.records import Alert, utc
from alerts.settings import DeliverySettings
from stream.clients import producer
from stream.demo import BURST_MINUTES, CORPUS, SOURCES, documents
from stream.panes import PANE
from stream.settings import Settings
from tests import servers
from tests.alerts.examples import target
from tests.conftest import settings_for
from tests.deployed import deployed
from tests.integration.reading import everything
from tests.pipeline import Pipeline
from tests.servers import WebhookReceiver, eventually

RESULTS = Path(__file__).parent / "results" / "delivery.json"
STORIES = 20
"""Of a spike."""

QUIET = timedelta(days=5)
BACK = 7200
"""Seconds that the played spikes lie back."""

RATE = 2.0
"""Documents a second of the live feed."""

SPACING = 12.0
"""Seconds between two live spikes: their minutes are left at different places."""

PATIENCE = 300.0

Mode = Literal["direct", "prometheus"]
MODES: tuple[Mode, ...] = ("direct", "prometheus")


@dataclass
class Feed:
    """Sends documents and notes what it has sent where."""

    client: Any
    topic: str
    partitions: int
    marks: list[tuple[int, int, float]] = field(default_factory=list)
    """partition, event time, and when it was sent, seconds of the monotonic clock"""
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, row: dict[str, str], time_: float, tag: str | None = None) -> float:
        """Send one document, to the partitions in turns; when, on the monotonic clock."""
        document = {
            "text": row["text"],
            "source": row["source"],
            "published_at": utc(time_).isoformat(),
            "tags": [tag] if tag else [],
        }
        with self._lock:
            partition, self._next = self._next, (self._next + 1) % self.partitions
            sent = time.monotonic()
            value = json.dumps(document).encode()
            self.client.send(self.topic, value=value, partition=partition)
            self.marks.append((partition, int(time_), sent))
        return sent


def passing(
    marks: Sequence[tuple[int, int, float]], border: float, lateness: float, partitions: int
) -> float:
    """When every partition had been sent a document that lets event time pass ``border``."""
    first: dict[int, float] = {}
    for partition, event, sent in marks:
        if event - lateness >= border:
            first[partition] = min(first.get(partition, sent), sent)
    if len(first) < partitions:
        raise ValueError(f"event time has not passed {border} on every partition")
    return max(first.values())


def rows(seed: int = 7) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Negative and other texts of the corpus, in an order of their own."""
    chance = random.Random(seed)
    found = [
        json.loads(line)
        for name in ("comments_en", "headlines_en")
        for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    chance.shuffle(found)
    for number, row in enumerate(found):
        row["source"] = SOURCES[number % len(SOURCES)]
    bad = [row for row in found if row["sentiment"] == "negative"]
    return bad, [row for row in found if row["sentiment"] != "negative"]


@contextmanager
def running(
    mode: Mode, bootstrap: str, names: Sequence[str]
) -> Iterator[tuple[Pipeline, WebhookReceiver]]:
    """The processes of a path with the default settings, and a receiver of its webhooks."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        receiver = stack.enter_context(servers.webhook_receiver())
        watchlist = folder / "watchlist.yaml"
        entries = [{"id": name, "keywords": [f"only as a tag {name}"]} for name in names]
        watchlist.write_text(yaml.safe_dump({"topics": entries}))
        hook = target(receiver.url, topics=tuple(f"watch:{name}" for name in names))
        settings = settings_for(
            bootstrap,
            partitions=Settings().kafka.partitions,
            watchlist=watchlist,
            delivery=DeliverySettings(mode=mode, targets=(hook,)),
        )
        processes = ("worker", "recorder", *(("desk",) if mode == "prometheus" else ()))
        pipeline = Pipeline(settings, folder, processes)
        if mode == "prometheus":
            routes = yaml.safe_dump(deployed(pipeline).alertmanager)
            manager = stack.enter_context(servers.alertmanager(routes, folder / "alertmanager"))
            files = deployed(pipeline, manager)
            rules = {"rules.yml": yaml.safe_dump(files.rules)}
            config = yaml.safe_dump(files.prometheus)
            stack.enter_context(pipeline)
            stack.enter_context(servers.prometheus(config, folder / "prometheus", rules))
        else:
            stack.enter_context(pipeline)
        yield pipeline, receiver


@dataclass(frozen=True)
class Told:
    """A webhook: when it arrived, on the monotonic clock, and what it said."""

    at: float
    topic: str
    state: str
    preliminary: bool


def told(receiver: WebhookReceiver) -> list[Told]:
    """All webhooks that have arrived, in their order."""
    found = []
    for request in list(receiver.requests):
        data = json.loads(request.body)["data"]
        # Through Prometheus the relay tells of what SQL does not know without most of its keys.
        early = data.get("preliminary", False)
        found.append(Told(request.at, data["topic"], data["state"], early))
    return found


def first_of(
    webhooks: Sequence[Told], topic: str, *, preliminary: bool, state: str = "firing"
) -> float | None:
    """When the first such webhook of a topic arrived."""
    kind = topic, state, preliminary
    times = [told.at for told in webhooks if (told.topic, told.state, told.preliminary) == kind]
    return min(times, default=None)


def arrival(receiver: WebhookReceiver, topic: str) -> float:
    """When the webhook of a topic's alert arrived, which is waited for."""
    return float(
        eventually(lambda: first_of(told(receiver), topic, preliminary=False), PATIENCE, what=topic)
    )


def scored(pipeline: Pipeline, topic: str) -> float:
    return pipeline.metric("barograph_documents_total", topic=topic)


def played(
    pipeline: Pipeline, receiver: WebhookReceiver, feed: Feed, names: Sequence[str], start: int
) -> list[dict[str, float]]:
    """Spikes of the past, three minutes apart in event time, one after the other."""
    bad, usual = rows()
    found = []
    pause = threading.Event()
    for number, name in enumerate(names):
        topic, begin = f"watch:{name}", start + number * 3 * PANE
        for place, row in enumerate(bad[number * STORIES : (number + 1) * STORIES]):
            feed.send(row, begin + place * 2, name)
        feed.client.flush()
        eventually(lambda topic=topic: scored(pipeline, topic) >= STORIES, PATIENCE)
        # Prometheus looks every 5 s, and must be met at any of its places.
        pause.wait(5 * number / len(names))
        sent = [feed.send(usual[number], begin + 2 * PANE) for _ in range(feed.partitions)]
        feed.client.flush()
        found.append({"sent": sent[-1], "arrived": arrival(receiver, topic)})
    return found


def live(
    pipeline: Pipeline, receiver: WebhookReceiver, feed: Feed, names: Sequence[str]
) -> list[dict[str, float]]:
    """Spikes of now, in a feed that goes on; ``early`` is there where a preliminary alert was."""
    bad, usual = rows(seed=8)
    stop = threading.Event()

    def go_on() -> None:
        number = 0
        while not stop.wait(1 / RATE):
            feed.send(usual[number % len(usual)], time.time())
            number += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        lateness = pipeline.settings.worker.allowed_lateness
        eventually(
            lambda: (
                pipeline.metric("barograph_watermark_timestamp_seconds", partition="0")
                > time.time() - lateness - PANE
            ),
            PATIENCE,
        )
        begin = (time.time() // PANE + 1) * PANE + SPACING / 2
        last: list[tuple[float, float]] = []
        for number, name in enumerate(names):
            stop.wait(max(begin + number * SPACING - time.time(), 0))
            for row in bad[number * STORIES : (number + 1) * STORIES]:
                now = time.time()
                sent = feed.send(row, now, name)
            last.append((now, sent))
        arrived = [arrival(receiver, f"watch:{name}") for name in names]
    finally:
        stop.set()
        thread.join()
    marks = list(feed.marks)
    webhooks = told(receiver)
    found = []
    for name, (now, sent), at in zip(names, last, arrived, strict=True):
        passed = passing(marks, (now // PANE + 1) * PANE, lateness, feed.partitions)
        spike = {"last": sent, "passed": passed, "arrived": at}
        early = first_of(webhooks, f"watch:{name}", preliminary=True)
        found.append(spike if early is None else {**spike, "early": early})
    return found


def preliminary(
    receiver: WebhookReceiver, spikes: Sequence[dict[str, float]], names: Sequence[str]
) -> dict[str, Any]:
    """How soon the preliminary webhooks of the live spikes came, and how many were withdrawn."""
    webhooks = told(receiver)
    topics = [f"watch:{name}" for name in names]
    early = [topic for topic in topics if first_of(webhooks, topic, preliminary=True) is not None]
    back = [
        topic
        for topic in early
        if first_of(webhooks, topic, preliminary=True, state="resolved") is not None
    ]
    seconds = [spike["early"] - spike["last"] for spike in spikes if "early" in spike]
    return {
        "spikes": len(topics),
        "told": len(early),
        "withdrawn": len(back),
        "withdrawn_share": round(len(back) / len(early), 4) if early else None,
        "from_last_document": summary(seconds) if seconds else None,
    }


def stages(
    pipeline: Pipeline, spikes: Sequence[dict[str, float]], names: Sequence[str]
) -> dict[str, Any]:
    """The way of the played spikes, in parts, by when the alert was put on Kafka."""
    kafka = pipeline.settings.kafka
    shift = time.time() - time.monotonic()
    published: dict[str, float] = {}
    for record in everything(kafka.bootstrap, kafka.topics.alerts):
        alert = Alert.model_validate_json(record.value)
        if alert.preliminary:
            continue
        published.setdefault(alert.topic, record.timestamp / 1000 - shift)
    at = [published[f"watch:{name}"] for name in names]
    return {
        "sent_to_alert_on_kafka": summary([t - s["sent"] for s, t in zip(spikes, at, strict=True)]),
        "alert_on_kafka_to_webhook": summary(
            [s["arrived"] - t for s, t in zip(spikes, at, strict=True)]
        ),
    }


def summary(seconds: Sequence[float]) -> dict[str, Any]:
    """Each, the median and the largest, rounded to hundredths of a second."""
    return {
        "seconds": [round(value, 2) for value in seconds],
        "median": round(statistics.median(seconds), 2),
        "max": round(max(seconds), 2),
    }


def measure(mode: Mode, bootstrap: str, repetitions: int) -> dict[str, Any]:
    """All spikes of one path."""
    past = [f"played-{number}" for number in range(repetitions)]
    now = [f"live-{number}" for number in range(repetitions)]
    load = os.getloadavg()[0]
    with running(mode, bootstrap, [*past, *now]) as (pipeline, receiver):
        kafka = pipeline.settings.kafka
        with producer(bootstrap) as client:
            feed = Feed(client, kafka.topics.documents, kafka.partitions)
            start = (int(time.time()) - BACK) // PANE * PANE
            quiet = documents(utc(start) + timedelta(minutes=BURST_MINUTES))
            history = [d for d in quiet if utc(start) - QUIET < d.time < utc(start)]
            for number, document in enumerate(history):
                partition = number % kafka.partitions
                client.send(kafka.topics.documents, value=document.value, partition=partition)
            client.flush()
            eventually(
                lambda: pipeline.metric("barograph_documents_read_total") >= len(history), PATIENCE
            )
            spikes = played(pipeline, receiver, feed, past, start)
            print(f"{mode}: played", flush=True)
            found = live(pipeline, receiver, feed, now)
            print(f"{mode}: live", flush=True)
        parts = stages(pipeline, spikes, past)
        early = preliminary(receiver, found, now)
    return {
        "load_average_1m": {"before": round(load, 2), "after": round(os.getloadavg()[0], 2)},
        "played": {
            "from_passing": summary([s["arrived"] - s["sent"] for s in spikes]),
            **parts,
        },
        "live": {
            **({"preliminary": early} if mode == "direct" else {}),
            "from_last_document": summary([s["arrived"] - s["last"] for s in found]),
            "from_passing": summary([s["arrived"] - s["passed"] for s in found]),
            "last_document_to_passing": summary([s["passed"] - s["last"] for s in found]),
        },
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5, help="spikes of each kind")
    parser.add_argument("--paths", nargs="+", choices=MODES, default=MODES, help="by default both")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    worker = Settings().worker
    figures: dict[str, Any] = {
        "cores": os.cpu_count(),
        "partitions": Settings().kafka.partitions,
        "allowed_lateness": worker.allowed_lateness,
        "pane": PANE,
        "paths": {},
    }
    with tempfile.TemporaryDirectory() as folder, servers.kafka(Path(folder)) as kafka:
        for mode in given.paths:
            figures["paths"][mode] = measure(mode, kafka.bootstrap, given.repetitions)
    given.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
