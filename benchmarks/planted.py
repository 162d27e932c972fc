"""A year of real tweets with spikes and controls planted in it, scored by the model that ships.

What ``benchmarks.spikes`` and ``benchmarks.preliminary`` play to the detector.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from model.classifier import Classifier
from model.dataset import read_rows
from stream.evidence import evidence_of
from stream.novelty import signature
from stream.records import NEGATIVE_FROM
from stream.slices import AUTHOR, Entry, Read
from tests.conftest import DATA

CACHE = Path("build/spikes")

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


def midnight(date: str) -> int:
    """Of a date, UTC, seconds since 1970."""
    return int(datetime.fromisoformat(f"{date}T00:00:00+00:00").timestamp())


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


def line(offset: int, post: Post) -> Read:
    """The post's line in a progress of tweets alone."""
    return Read(0, offset, post.time, 0, 1, int(post.tells_negative))
