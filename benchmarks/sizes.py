"""How many bytes a document, a window and a topic take: on Kafka, in SQL, in memory.

``python -m benchmarks.sizes`` takes 1,440 texts of the project's corpus, with the labels they have
there, one a minute of a day, and counts what the worker's own code writes; windows go to SQLite
and, where it is installed, to PostgreSQL. Sizes depend on no clock: it does not matter what else
the machine does. The figures go to ``results/sizes.json``.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from alerts.records import Window, utc
from alerts.schema import upgrade
from alerts.store import open_engine, put_windows
from model.labels import SENTIMENTS, Sentiment
from stream.aggregator import Aggregator, AggregatorConfig, Output
from stream.demo import CORPUS
from stream.panes import PANE
from stream.scorer import Raw, Scorer
from stream.settings import Settings
from stream.slices import Slice, Tick, encode, partition_of
from stream.watchlist import Entry, Watchlist
from stream.windows import RETENTION
from stream.worker import config_of
from tests import servers
from tests.stream.factories import DAY0, config, entry, progress

RESULTS = Path(__file__).parent / "results" / "sizes.json"
DOCUMENTS, PARTITIONS, BATCH = 1440, 4, 256
RECORD = 70
"""Bytes that Kafka adds to a message which comes alone: the header of its batch and its own."""
TOPICS, WEEKS = 50, 2


@dataclass(frozen=True)
class Label:
    """What the corpus says of a text, as a classifier would."""

    sentiment: Sentiment
    probabilities: tuple[float, float, float]
    topic: str
    lang: str
    topic_probability: float = 0.8123


class Labels:
    """The corpus's own labels, so that nothing need be computed."""

    name, version, takes_targets = "corpus", "0123456789ab", True

    def __init__(self, rows: Iterable[dict[str, str]]) -> None:
        self._rows = {row["text"]: row for row in rows}

    def classify(
        self, texts: Sequence[str], targets: Sequence[str | None] | None = None
    ) -> list[Label]:
        return [self._label(self._rows[text]) for text in texts]

    def _label(self, row: dict[str, str]) -> Label:
        place = SENTIMENTS.index(cast(Sentiment, row["sentiment"]))
        high = [0.0213, 0.0213, 0.0213]
        high[place] = 0.9574
        return Label(SENTIMENTS[place], (high[0], high[1], high[2]), row["topic"], row["lang"])


def corpus() -> list[dict[str, str]]:
    """All texts of the project's own that have a topic."""
    rows = (
        json.loads(line)
        for path in sorted(CORPUS.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return [row for row in rows if row.get("topic") is not None]


def documents() -> Iterator[tuple[int, bytes]]:
    """Time and bytes of a day's documents, as a feed would publish them."""
    dice = random.Random(3)
    for number, row in enumerate(dice.sample(corpus(), DOCUMENTS)):
        at = DAY0 + number * 86_400 // DOCUMENTS
        document = {
            "id": f"wire-{number}",
            "text": row["text"],
            "source": dice.choice(("newswire", "market-forum", "daily-ledger")),
            "kind": "news",
            "url": f"https://wire.example/2026/03/04/story-{number}",
            "lang": row["lang"],
            "published_at": utc(at).isoformat(),
        }
        yield at, json.dumps(document, ensure_ascii=False).encode()


def flow(
    scorer: Scorer, made: AggregatorConfig, batch: int
) -> tuple[dict[str, Any], list[Window], dict[str, int]]:
    """What goes to each topic for a document, the newest windows, and the tables at their largest.

    Args:
        scorer: of the worker.
        made: of its aggregators.
        batch: documents scored together: one where they come singly.
    """
    sizes: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    aggregators = [Aggregator(n, made) for n in range(PARTITIONS)]
    newest: dict[tuple[str, int, int], Window] = {}
    table: dict[tuple[int, str], int] = {}
    held = largest = 0

    def count(topic: str, key: bytes | None, value: bytes) -> None:
        sizes[topic] += len(key or b"") + len(value)
        messages[topic] += 1

    def take(partition: int, output: Output) -> None:
        nonlocal held, largest
        for window in output.windows:
            count("windows", window.topic.encode(), window.to_json())
            newest[window.topic, window.seconds, int(window.start.timestamp())] = window
        for key, record in {**output.panes, **output.states}.items():
            value = json.dumps(record, separators=(",", ":")).encode()
            count("tables", key.encode(), value)
            held += len(key) + len(value) - table.get((partition, key), 0)
            table[partition, key] = len(key) + len(value)
        for key in output.expired:
            held -= table.pop((partition, key), 0)
        largest = max(largest, held)

    rows = list(enumerate(documents()))
    for begin in range(0, len(rows), batch):
        raws = [
            Raw(number % PARTITIONS, number, value, at + 2)
            for number, (at, value) in rows[begin : begin + batch]
        ]
        for raw in raws:
            count("documents", b"", raw.value or b"")
        done = scorer.score(raws, raws[-1].arrived)
        for _, document in done.scored:
            count("scored", document.id.encode(), document.to_json())
        for piece in done.slices:
            count("slices", piece.topic.encode(), encode(piece))
            partition = partition_of(piece.topic, PARTITIONS)
            take(partition, aggregators[partition].handle(piece))
        assert done.progress is not None
        for partition, aggregator in enumerate(aggregators):
            count("slices", None, encode(done.progress))
            take(partition, aggregator.handle(done.progress))
    after = rows[-1][1][0]
    for hour in range(1, 28):
        for partition, aggregator in enumerate(aggregators):
            take(partition, aggregator.handle(Tick(after + 3600.0 * hour)))
    per_document = {
        name: {
            "bytes": round(sizes[name] / DOCUMENTS),
            "messages": round(messages[name] / DOCUMENTS, 2),
        }
        for name in ("documents", "scored", "slices", "windows", "tables")
    }
    return per_document, list(newest.values()), {"bytes": largest, "topics": len(made.topics)}


def in_sql(windows: list[Window]) -> dict[str, float]:
    """Bytes of a window in SQL, index included."""
    found = {"windows_per_document": round(len(windows) / DOCUMENTS, 2)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sizes.db"
        before, after = _stored(f"sqlite:///{path}", windows, lambda _: path.stat().st_size)
        found["sqlite_bytes_per_window"] = round((after - before) / len(windows))
    try:
        with servers.postgres() as server, server.database() as url:
            size = sa.text("SELECT pg_total_relation_size('windows')")
            before, after = _stored(url, windows, lambda engine: _scalar(engine, size))
            found["postgresql_bytes_per_window"] = round((after - before) / len(windows))
    except servers.ServerMissing as error:
        print(error)
    return found


def _scalar(engine: sa.Engine, query: Any) -> int:
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def _stored(url: str, windows: list[Window], size: Any) -> tuple[int, int]:
    upgrade(url)
    engine = open_engine(url)
    before = size(engine)
    with engine.begin() as connection:
        put_windows(connection, windows)
    if url.startswith("sqlite"):
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    after = size(engine)
    engine.dispose()
    return before, after


def in_memory() -> dict[str, Any]:
    """Bytes of a topic in a worker: watched for weeks, and for each minute that has documents."""
    names = tuple(f"watch:t{number}" for number in range(TOPICS))
    tracemalloc.start()
    # Imports and caches are made before anything is counted.
    _watched(names[:2], 2)
    begin = _traced()
    aggregator = _watched(names, WEEKS * 168)
    quiet = _traced()
    assert aggregator.border is not None
    # Long enough that what is made once, or grows by doubling, counts little.
    minutes = {str(n): _minute(n, last) for n, last in {1: 1500, 3: 800, 60: 100, 600: 30}.items()}
    tracemalloc.stop()
    return {
        "bytes_of_a_quiet_topic": round((quiet - begin) / TOPICS),
        "bytes_of_a_minute_by_its_documents": minutes,
        "minutes_kept": RETENTION // PANE,
    }


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _minute(documents: int, last: int, first: int = 10) -> int:
    """What a minute with so many documents of one topic takes, a fifth of them negative."""
    aggregator = Aggregator(0, config(("watch:t",), document_partitions=1))
    begin = 0
    for number in range(documents * last):
        if number == documents * first:
            begin = _traced()
        time = DAY0 + number * PANE // documents
        who = f"s{number % 200}"
        said = entry(0, number, time, int(number % 5 > 0), f"s{number}", who)
        for message in (_slice("watch:t", said), progress([said], arrived=float(time))):
            aggregator.handle(message)
    return round((_traced() - begin) / (last - first))


def _slice(topic: str, said: Any) -> Any:
    return Slice(topic, (said,))


def _watched(names: tuple[str, ...], hours: int) -> Aggregator:
    aggregator = Aggregator(0, config(names, document_partitions=1))
    for hour in range(hours):
        for message in _hour(names, hour):
            aggregator.handle(message)
    return aggregator


def _hour(names: tuple[str, ...], hour: int) -> Iterable[Any]:
    """One document of one of the topics, and the end of the batch."""
    said = entry(0, hour, DAY0 + hour * 3600, 1, f"h{hour}")
    yield _slice(names[hour % len(names)], said)
    yield progress([said], arrived=float(said.time))


def main() -> None:
    argparse.ArgumentParser(prog="benchmarks.sizes", description=__doc__).parse_args()
    watchlist = Watchlist((Entry(id="market", match="all"), Entry(id="banks", keywords=("bank",))))
    settings = Settings()
    scorer = Scorer(Labels(corpus()), watchlist, b"key")
    made = config_of(settings, scorer, PARTITIONS)
    singly, windows, tables = flow(scorer, made, 1)
    together, _, _ = flow(scorer, made, BATCH)
    results = {
        "documents": DOCUMENTS,
        "partitions": PARTITIONS,
        "record_overhead_bytes": RECORD,
        "monitored_topics_per_document": round(
            sum(w.documents for w in windows if w.seconds == 86_400) / DOCUMENTS, 2
        ),
        "per_document": {"singly": singly, f"in_batches_of_{BATCH}": together},
        "tables_at_their_largest": tables,
        "sql": in_sql(windows),
        "memory": in_memory(),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
