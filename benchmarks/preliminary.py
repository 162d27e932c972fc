"""How many preliminary alerts are withdrawn, and what does it cost to look for them?

``python -m benchmarks.preliminary`` plays three months of real posts as a live feed (every post
alone, scored in the second in which it was written), and a year of real tweets with planted spikes
(see ``benchmarks.spikes``), through the worker's own aggregator, and counts what became of what was
told before its minute had closed. The default settings raise few alerts, so they are loosened as
well. The same messages with and without early tests, in turns, tell what these cost. The figures go
to ``results/preliminary.json``.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tqdm import tqdm

from alerts.records import Alert
from alerts.settings import DetectorSettings
from benchmarks.planted import Post, entry, line, plant, stream
from stream.aggregator import Aggregator, AggregatorConfig, Output
from stream.demo import WATCHLIST
from stream.rows import read_rows
from stream.scorer import Raw
from stream.settings import Settings
from stream.slices import Entry, Mark, Message, Progress, Read, Slice, decode, encode, slices_of
from stream.worker import build_scorer, config_of
from tests.conftest import DATA

RESULTS = Path(__file__).parent / "results" / "preliminary.json"
CACHE = Path("build/preliminary")
POSTS = DATA / "reddit_crypto" / "2021-05_crash.jsonl.gz"

LOOSENED: tuple[dict[str, Any], ...] = (
    {},
    {"false_alarms_per_topic_month": 5.0},
    {"false_alarms_per_topic_month": 20.0, "min_stories": 3},
)
"""Detector settings besides the default ones."""

ROUNDS = 3

DENSE = 20
"""How many times as fast the posts come where the cost is measured on a busy feed."""


class Document(NamedTuple):
    """A scored document: what it says of its topics, and its line of the batch's end."""

    entries: tuple[tuple[str, Entry], ...]
    read: Read
    source: str

    @property
    def messages(self) -> list[Message]:
        """A batch of it alone, scored as it is written."""
        mark = {0: Mark(self.read.time, float(self.read.time))}
        line = self.read._replace(source=0)
        return [*slices_of(self.entries), Progress(mark, (line,), (self.source,))]

    def at(self, moment: int) -> Document:
        """The same, written at another time."""
        entries = tuple((topic, made._replace(time=moment)) for topic, made in self.entries)
        return Document(entries, self.read._replace(time=moment), self.source)


def posts(file: Path) -> tuple[list[Document], AggregatorConfig]:
    """The real posts, scored once and kept in ``build``, and what the worker is configured to."""
    settings = Settings(watchlist=WATCHLIST)
    scorer = build_scorer(settings)
    path = CACHE / f"{file.name}-{scorer.model.version}"
    if not path.exists():
        rows = list(read_rows(file))
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as out:
            for start in tqdm(range(0, len(rows), 256), desc="scoring posts"):
                raws = [Raw(0, line, value, None) for line, value in rows[start : start + 256]]
                batch = scorer.score(raws, None)
                for message in (*batch.slices, batch.progress):
                    if message is not None:
                        out.write(encode(message) + b"\n")
        unfinished.rename(path)
    with path.open("rb") as lines:
        documents = list(apart(decode(line) for line in lines))
    return documents, config_of(settings, scorer, 1)


def apart(messages: Iterator[Message]) -> Iterator[Document]:
    """The documents of batches, one by one."""
    held: dict[int, list[tuple[str, Entry]]] = defaultdict(list)
    for message in messages:
        if isinstance(message, Slice):
            for made in message.entries:
                held[made.offset].append((message.topic, made))
        elif isinstance(message, Progress):
            for line in message.read:
                entries = tuple(held.pop(line.offset, ()))
                yield Document(entries, line, message.sources[line.source])


def planted(found: Sequence[Post]) -> list[Document]:
    """Tweets with planted spikes, as ``benchmarks.spikes`` has them."""
    return [
        Document(
            ((post.topic, entry(offset, post)),),
            line(offset, post),
            "twitter",
        )
        for offset, post in enumerate(found)
    ]


class Timed(Aggregator):
    """Knows the processor time that early tests took, seconds."""

    testing = 0.0

    def _foresee(self, output: Output) -> None:
        begun = time.process_time()
        super()._foresee(output)
        self.testing += time.process_time() - begun


class Run(NamedTuple):
    """All that was told, in its order, and the processor time that it took, seconds."""

    told: list[Alert]
    seconds: float
    testing: float
    """of which early tests"""


def run(documents: Sequence[Document], config: AggregatorConfig) -> Run:
    """Play the documents through one aggregator."""
    aggregator = Timed(0, config)
    told: list[Alert] = []
    seconds = 0.0
    for document in documents:
        messages = document.messages
        begun = time.process_time()
        outputs = [aggregator.handle(message) for message in messages]
        seconds += time.process_time() - begun
        for output in outputs:
            told += output.alerts
            told += output.preliminary
    return Run(told, seconds, aggregator.testing)


def outcomes(told: Sequence[Alert]) -> dict[str, Any]:
    """What became of the preliminary alerts, and how many alerts had one."""
    begun = {a.id: a for a in told if not a.preliminary and a.state == "firing"}
    early = [a for a in told if a.preliminary and a.state == "firing"]
    withdrawn = [a for a in told if a.preliminary and a.state == "resolved"]
    replaced = [a for a in withdrawn if a.ends_at is not None and a.ends_at < a.detected_at]
    soon = [a for a in withdrawn if a not in replaced and follows(a, begun.values())]
    share = len(withdrawn) / len(early) if early else None
    return {
        "alerts": len(begun),
        "preliminary": len(early),
        "confirmed": sum(a.id in begun for a in early),
        "withdrawn": len(withdrawn),
        "withdrawn_for_an_earlier_minute": len(replaced),
        "withdrawn_but_an_alert_within_the_hour": len(soon),
        "withdrawn_share": None if share is None else round(share, 4),
        "alerts_without_one": len(begun.keys() - {a.id for a in early}),
    }


def follows(withdrawn: Alert, begun: Any) -> bool:
    """Whether an alert of the topic fires within an hour after all."""
    return any(
        a.topic == withdrawn.topic
        and 0 <= (a.detected_at - withdrawn.detected_at).total_seconds() <= 3600
        for a in begun
    )


def withdrawn(documents: Sequence[Document], config: AggregatorConfig) -> list[dict[str, Any]]:
    """Outcomes with the default settings of the detector, and with looser ones."""
    found = []
    for loosened in LOOSENED:
        detector = DetectorSettings(**loosened)
        done = run(documents, replace(config, detector=detector, preliminary=True))
        found.append({"detector": loosened or "default", **outcomes(done.told)})
        print(json.dumps(found[-1]), flush=True)
    return found


def cost(documents: Sequence[Document], config: AggregatorConfig) -> dict[str, Any]:
    """Processor time with early tests over that without, in turns, and their share of it."""
    ratios, shares = [], []
    for _ in range(ROUNDS):
        usual = run(documents, replace(config, preliminary=False))
        early = run(documents, replace(config, preliminary=True))
        if [alert for alert in early.told if not alert.preliminary] != usual.told:
            raise SystemExit("the transitions are others")
        ratios.append(early.seconds / usual.seconds)
        shares.append(early.testing / early.seconds)
    return {
        "documents": len(documents),
        "ratio": [round(ratio, 3) for ratio in ratios],
        "median_ratio": round(median(ratios), 3),
        "share_of_early_tests": [round(share, 4) for share in shares],
        "median_share": round(median(shares), 4),
    }


def dense(documents: Sequence[Document]) -> list[Document]:
    """The same documents, closer together in time."""
    first = documents[0].read.time
    return [d.at(first + (d.read.time - first) // DENSE) for d in documents]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.preliminary", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the planted spikes")
    parser.add_argument("--posts", type=Path, default=POSTS, help="the real posts")
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    real, config = posts(given.posts)
    tweets, spikes = plant(stream(), random.Random(given.seed))
    there = planted(tweets)
    watched = replace(config, topics=tuple(sorted({post.topic for post in tweets})))
    short = DetectorSettings(warm_up_hours=6)
    report = {
        "posts": {
            "file": given.posts.name,
            "documents": len(real),
            "outcomes": withdrawn(real, config),
        },
        "planted": {
            "documents": len(there),
            "spikes": sum(one.kind == "spike" for one in spikes),
            "outcomes": withdrawn(there, watched),
        },
        "cost": {
            "posts": cost(real, config),
            f"posts {DENSE} times as fast": cost(dense(real), replace(config, detector=short)),
        },
    }
    given.json.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["cost"], indent=1))


if __name__ == "__main__":
    main()
