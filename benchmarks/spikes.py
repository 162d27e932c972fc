"""Which detector finds planted spikes in a year of real tweets, at how many false alerts?

``python -m benchmarks.spikes`` scores the tweets of 2014 about 87 tickers once, with the model that
ships, plants spikes of distinct negative texts and controls that must stay silent, and runs the
detector (through the worker's own aggregator) beside the rules people use today, each over its
range of thresholds. Figures go to ``results/spikes.json``; see ``docs/detector.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from alerts.backtest import fired_first
from alerts.records import Alert, ModelName
from alerts.settings import DetectorSettings
from alerts.spikes import MONTH
from benchmarks.rules import HOUR, RULES, STEP, Series, alerts
from benchmarks.spike_picture import picture
from model.classifier import Classifier
from model.dataset import read_rows
from stream.aggregator import Aggregator, AggregatorConfig
from stream.evidence import evidence_of
from stream.novelty import signature
from stream.records import NEGATIVE_FROM
from stream.slices import AUTHOR, Entry, Mark, Progress, Read, Slice
from tests.conftest import DATA

RESULTS = Path(__file__).parent / "results" / "spikes.json"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "spikes.svg"
CACHE = Path("build/spikes")

TRIED = ((0.1, 5), (0.5, 5), (0.5, 3), (2.0, 3), (8.0, 3), (0.5, 2), (2.0, 2), (8.0, 2))
"""Budgets and least numbers of stories; the second of these is the default."""

AT = (0.25, 0.5, 1.0, 2.0)
"""False alerts per topic and month at which detectors are compared."""

SIZES, DURATIONS, EACH = (6, 10, 20, 40), (900, 3600, 14_400), 20
DAY = 86_400
APART = 4 * DAY
WARM_UP = 30 * DAY
"""Nothing is planted, and nothing counted, in the first month."""

GAP = 3 * DAY
CONTROLS = ("copies", "positive", "neutral", "one author", "gap")
EACH_CONTROL = 50
SPAM = ("2014-05-21", "2014-06-04")


class Post(NamedTuple):
    """A scored text about one ticker."""

    time: int
    topic: str
    label: int
    negative: float
    sentiment: int
    story: str
    source: str
    text: str

    @property
    def tells_negative(self) -> bool:
        """As the scorer would say; ``label`` is what the rules count by."""
        return self.negative >= NEGATIVE_FROM


@dataclass(frozen=True)
class Planted:
    """A spike, or a control, and where its texts were put."""

    kind: str
    topic: str
    times: tuple[int, ...]
    duration: int

    @property
    def size(self) -> int:
        return len(self.times)

    def holds(self, time: int, after: int) -> bool:
        return self.times[0] <= time <= self.times[0] + self.duration + after


def scored(texts: Sequence[str], name: str) -> list[tuple[int, float, int]]:
    """Label, probability of negative, and sentiment of each text; kept in ``build``."""
    classifier = Classifier.load()
    path = CACHE / f"{name}-{classifier.version}.npz"
    if not path.exists():
        found = []
        for start in tqdm(range(0, len(texts), 512), desc=f"scoring {name}"):
            found += [s.probabilities for s in classifier.classify(texts[start : start + 512])]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, probabilities=np.array(found, np.float32))
    rows = np.load(path)["probabilities"]
    if len(rows) != len(texts):
        raise SystemExit(f"{path} is of other texts; delete it")
    return [(int(np.argmax(p)), float(p[0]), round(float(p[2] - p[0]) * 10_000)) for p in rows]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Rows of a gzipped JSONL file."""
    return [row for _, row in read_rows(path)]


def stream() -> list[Post]:
    """The real tweets, in time order, one entry a ticker; the author is taken to be the text's own.

    The set names no authors, so each distinct text counts as another's.
    """
    rows = rows_of(DATA / "stocknet_tweets" / "2014.jsonl.gz")
    posts = []
    for row, score in zip(rows, scored([r["text"] for r in rows], "stocknet"), strict=True):
        time = int(datetime.fromisoformat(row["time"]).timestamp())
        story = signature(row["text"])
        for ticker in row["tickers"]:
            posts.append(Post(time, f"watch:{ticker.lower()}", *score, story, story, row["text"]))
    return sorted(posts, key=lambda post: post.time)


def pools() -> dict[str, list[tuple[str, tuple[int, float, int]]]]:
    """Texts to plant, by their own label, each with the model's score, whatever that says."""
    rows = rows_of(DATA / "twitter_financial_sentiment" / "valid_clean.jsonl.gz")
    pool: dict[str, list[Any]] = defaultdict(list)
    for row, score in zip(rows, scored([r["text"] for r in rows], "valid"), strict=True):
        pool[row["label"]].append((row["text"], score))
    return pool


def plant(posts: list[Post], dice: random.Random) -> tuple[list[Post], list[Planted]]:
    """The stream with spikes and controls in it, and what was planted."""
    first, last = posts[0].time, posts[-1].time
    by_topic: dict[str, list[int]] = defaultdict(list)
    for post in posts:
        by_topic[post.topic].append(post.time)
    topics = sorted(topic for topic, times in by_topic.items() if len(times) >= 100)
    events = real_events()
    taken: dict[str, list[int]] = defaultdict(list)
    gaps = [first + WARM_UP + (i + 1) * (last - first - WARM_UP) // 6 for i in range(5)]

    def place() -> tuple[str, int]:
        while True:
            topic = dice.choice(topics)
            time = dice.randrange(first + WARM_UP, last - 2 * DAY)
            if (
                all(abs(time - other) > APART for other in taken[topic])
                and all(abs(time - day) > APART for day in events.get(topic, ()))
                and all(not -DAY < time - gap < GAP + 2 * DAY for gap in gaps)
            ):
                taken[topic].append(time)
                return topic, time

    pool = pools()
    made: list[Post] = []
    planted: list[Planted] = []

    def put(kind: str, texts: Iterable[tuple[str, Any]], duration: int, author: str = "") -> None:
        topic, start = place()
        chosen = list(texts)
        times = sorted([start, *(start + dice.randrange(duration) for _ in chosen[1:])])
        for time, (text, score) in zip(times, chosen, strict=True):
            source = author or f"{dice.getrandbits(48):012x}"
            made.append(Post(time, topic, *score, signature(text), source, text))
        planted.append(Planted(kind, topic, tuple(times), duration))

    for size in SIZES:
        for duration in DURATIONS:
            for _ in range(EACH):
                put("spike", dice.sample(pool["bearish"], size), duration)
    for number in range(EACH_CONTROL):
        text, score = dice.choice(pool["bearish"])
        count = dice.randrange(50, 301)
        put("copies", ((edited(text, dice), score) for _ in range(count)), 3600)
        put("positive", dice.sample(pool["bullish"], 40), 3600)
        put("neutral", dice.sample(pool["neutral"], 40), 3600)
        put("one author", dice.sample(pool["bearish"], 30), 3600, author=f"author {number}")
    kept = [p for p in posts if not any(gap <= p.time < gap + GAP for gap in gaps)]
    for gap in gaps:
        for topic in topics:
            planted.append(Planted("gap", topic, (gap,), GAP + 6 * 3600))
    return sorted([*kept, *made], key=lambda post: post.time), planted


def edited(text: str, dice: random.Random) -> str:
    """A copy with a retweet's prefix, another link, or up to three words left out or added."""
    words = text.split()
    for _ in range(dice.randrange(0, min(4, max(len(words) // 6, 1)))):
        if dice.random() < 0.5:
            del words[dice.randrange(len(words))]
        else:
            words.insert(dice.randrange(len(words) + 1), dice.choice(("now", "wow", "so", "news")))
    prefix = f"RT @user{dice.randrange(999)}: " if dice.random() < 0.5 else ""
    return f"{prefix}{' '.join(words)} https://t.example/{dice.getrandbits(32):x}"


class Move(NamedTuple):
    """A day of a large price move."""

    topic: str
    day: int
    """its midnight, seconds since 1970"""
    change: float


@cache
def moves() -> tuple[Move, ...]:
    """The days of large price moves."""
    path = DATA / "stocknet_tweets" / "price_events_2014.json"
    return tuple(
        Move(f"watch:{row['ticker'].lower()}", midnight(row["date"]), row["return"])
        for row in json.loads(path.read_text())
    )


def real_events() -> dict[str, list[int]]:
    """The days of ``moves`` by topic."""
    found: dict[str, list[int]] = defaultdict(list)
    for move in moves():
        found[move.topic].append(move.day)
    return found


def talked_about(posts: Sequence[Post]) -> list[Move]:
    """The drops of which five distinct texts were written, on that day or the day before."""
    texts: dict[Move, set[str]] = {move: set() for move in moves() if move.change < 0}
    by_topic: dict[str, list[Move]] = defaultdict(list)
    for move in texts:
        by_topic[move.topic].append(move)
    for post in posts:
        for move in by_topic[post.topic]:
            if -DAY <= post.time - move.day < DAY:
                texts[move].add(post.story)
    return [move for move, stories in texts.items() if len(stories) >= 5]


def midnight(date: str) -> int:
    """Of a date, UTC, seconds since 1970."""
    return int(datetime.fromisoformat(f"{date}T00:00:00+00:00").timestamp())


def detect(posts: Sequence[Post], tried: tuple[float, int]) -> list[Alert]:
    """All transitions, by the worker's own aggregator."""
    budget, min_stories = tried
    topics = tuple(sorted({post.topic for post in posts}))
    aggregator = Aggregator(
        0,
        AggregatorConfig(
            topics=topics,
            detector=DetectorSettings(false_alarms_per_topic_month=budget, min_stories=min_stories),
            model=ModelName(name="benchmark", version="1"),
            config_version=str(budget),
            allowed_lateness=0.0,
        ),
    )
    found: list[Alert] = []
    start = 0
    while start < len(posts):
        block = posts[start].time // STEP
        end = start
        by_topic: dict[str, list[Entry]] = defaultdict(list)
        while end < len(posts) and posts[end].time // STEP == block:
            by_topic[posts[end].topic].append(entry(end, posts[end]))
            end += 1
        for topic, entries in by_topic.items():
            found += aggregator.handle(Slice(topic, tuple(entries))).alerts
        newest = posts[end - 1].time
        read = tuple(
            Read(0, offset, posts[offset].time, 0, 1, int(posts[offset].tells_negative))
            for offset in range(start, end)
        )
        mark = Mark(newest, float(newest))
        found += aggregator.handle(Progress({0: mark}, read, ("twitter",))).alerts
        start = end
    return found


def entry(offset: int, post: Post) -> Entry:
    """A post as the scorer would hand it on."""
    who = AUTHOR + hashlib.blake2b(post.source.encode(), digest_size=4).hexdigest()
    evidence = None
    if post.tells_negative:
        evidence = evidence_of(str(offset), post.text, None, who, post.time, post.negative)
    return Entry(
        0,
        offset,
        post.time,
        post.label,
        post.sentiment,
        post.story,
        who,
        evidence,
        negative=post.tells_negative,
    )


def in_steps(posts: Sequence[Post]) -> tuple[int, dict[str, Series]]:
    """When the first step begins, and each topic as the rules see it."""
    first = posts[0].time // STEP * STEP
    steps = (posts[-1].time - first) // STEP + 1
    found = {}
    per_topic: dict[str, list[Post]] = defaultdict(list)
    for post in posts:
        per_topic[post.topic].append(post)
    for topic, own in per_topic.items():
        negative, documents = np.zeros(steps), np.zeros(steps)
        last: dict[str, int] = {}
        sources = np.zeros(steps + HOUR)
        for post in own:
            step = (post.time - first) // STEP
            documents[step] += 1
            if post.label == 0:
                negative[step] += 1
                # From now on for an hour, or on from where it was last counted.
                begin = max(step, last.get(post.source, -1) + 1)
                sources[begin : step + HOUR] += 1
                last[post.source] = step + HOUR - 1
        found[topic] = Series(negative, documents, sources[:steps])
    return first, found


def judge(
    fired: dict[str, list[int]],
    planted: Sequence[Planted],
    posts: Sequence[Post],
    drops: Sequence[Move],
) -> Any:
    """Recall, delay, false alerts, and what the controls raised."""
    first, last = posts[0].time + WARM_UP, posts[-1].time
    events = real_events()
    spikes = [p for p in planted if p.kind == "spike"]
    by_topic: dict[str, list[Planted]] = defaultdict(list)
    for one in planted:
        by_topic[one.topic].append(one)
    false = 0
    for topic, times in fired.items():
        for time in times:
            explained = any(p.holds(time, DAY) for p in by_topic[topic])
            real = any(-DAY <= time - day < 2 * DAY for day in events.get(topic, ()))
            false += first <= time <= last and not explained and not real
    topic_months = len({post.topic for post in posts}) * (last - first) / MONTH
    caught = {}
    for spike in spikes:
        times = fired.get(spike.topic, [])
        at = bisect_left(times, spike.times[0])
        if at < len(times) and spike.holds(times[at], 3600):
            caught[spike] = times[at] - spike.times[4]
    table = {
        f"{size} in {duration // 60} min": round(
            np.mean([s in caught for s in spikes if (s.size, s.duration) == (size, duration)]), 3
        )
        for size in SIZES
        for duration in DURATIONS
    }
    soon = [
        s in caught and caught[s] <= 1800 for s in spikes if s.size >= 10 and s.duration <= 3600
    ]
    raised = {
        kind: round(float(np.mean([rang(fired, p) for p in planted if p.kind == kind])), 4)
        for kind in CONTROLS
    }
    return {
        "false_per_topic_month": round(false / topic_months, 4),
        "recall": round(len(caught) / len(spikes), 4),
        "caught_within_30_min_of_the_fifth": round(float(np.mean(soon)), 4),
        "median_delay_s": int(np.median(list(caught.values()))) if caught else None,
        "by_kind": table,
        "controls": raised,
        "spam_days": sum(
            midnight(day) <= time < midnight(day) + 2 * DAY
            for day in SPAM
            for topic in ("watch:fb", "watch:goog", "watch:amzn")
            for time in fired.get(topic, [])
        ),
        "drop_days": drop_days(fired, drops),
    }


def rang(fired: dict[str, list[int]], control: Planted) -> bool:
    """Whether anything was raised while a control lasted, or in the two hours after."""
    times = fired.get(control.topic, [])
    high = control.times[0] + control.duration + 2 * 3600
    return bisect_right(times, high) > bisect_left(times, control.times[0])


def drop_days(fired: dict[str, list[int]], drops: Sequence[Move]) -> dict[str, Any]:
    """Recall of the days of price drops that were talked about, and by chance."""

    def hits(shift: int) -> int:
        return sum(
            any(-DAY <= time + shift - drop.day < DAY for time in fired.get(drop.topic, []))
            for drop in drops
        )

    weeks = [hits(week * 7 * DAY) for week in range(-20, 21) if week]
    return {"days": len(drops), "hits": hits(0), "by_chance": round(float(np.mean(weeks)), 2)}


def at_rates(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Recall at the rates of ``AT``, between the two nearest thresholds; None below them.

    Of thresholds that find no more than another with fewer false alerts, the other one counts.
    """
    points = sorted((row["false_per_topic_month"], row["recall"]) for row in rows)
    rates = [rate for rate, _ in points]
    recalls = np.maximum.accumulate([recall for _, recall in points])
    found: dict[str, float | None] = {}
    for rate in AT:
        # A rule that is more often silent than asked may always be turned up to that.
        between = round(float(np.interp(rate, rates, recalls)), 4)
        found[str(rate)] = between if rate >= rates[0] else None
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.spikes", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--draw", action="store_true", help="only draw what --json holds")
    given = parser.parse_args(arguments)
    if given.draw:
        held = json.loads(given.json.read_text())
        PICTURE.write_text(picture(held["detectors"]), encoding="utf-8")
        return
    posts, planted = plant(stream(), random.Random(given.seed))
    drops = talked_about(posts)
    results: dict[str, list[dict[str, Any]]] = {"this detector": []}
    with ProcessPoolExecutor(given.workers) as pool:
        found = pool.map(partial(detect, posts), TRIED)
        for (budget, min_stories), transitions in zip(TRIED, found, strict=True):
            fired: dict[str, list[int]] = defaultdict(list)
            for alert in fired_first(transitions):
                fired[alert.topic].append(int(alert.detected_at.timestamp()))
            row = {"threshold": budget, "min_stories": min_stories}
            results["this detector"].append({**row, **judge(fired, planted, posts, drops)})
            print(json.dumps(results["this detector"][-1]), flush=True)
    first, series = in_steps(posts)
    for name, (rule, thresholds) in RULES.items():
        results[name] = []
        for threshold in thresholds:
            fired = {topic: alerts(rule(own, threshold), first) for topic, own in series.items()}
            row = {"threshold": threshold}
            results[name].append({**row, **judge(fired, planted, posts, drops)})
    report = {
        "posts": len(posts),
        "topics": len({post.topic for post in posts}),
        "recall_at_false_alerts_per_topic_month": {n: at_rates(r) for n, r in results.items()},
        "detectors": results,
    }
    given.json.write_text(json.dumps(report, indent=1) + "\n")
    PICTURE.write_text(picture(results), encoding="utf-8")
    print(json.dumps(report["recall_at_false_alerts_per_topic_month"], indent=1))


if __name__ == "__main__":
    main()
