"""Are copies of a story counted as one, and different stories apart?

``python -m benchmarks.novelty`` asks that of the retweets among the tweets of 2014 (what is a copy
is told by comparing the texts, not the signatures), of edits made to single texts, of different
stories that fill one template (``benchmarks.templates``), and of random pairs of tweets about one
ticker. Texts are one story when their signatures are alike (``joined``) and the model that ships
finds both negative or neither (``counted_as_one``): each side is counted by itself. The figures go
to ``results/novelty.json``; see ``docs/detector.md``.
"""

from __future__ import annotations

import argparse
import html
import json
import random
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from benchmarks.planted import DAY, SPAM, edited, midnight, rows_of
from benchmarks.templates import TEMPLATES, Template
from model.classifier import Classifier
from model.text import clean
from stream.novelty import NoveltyIndex, are_copies, signature
from stream.records import NEGATIVE_FROM
from stream.windows import HORIZON
from tests.conftest import DATA

RESULTS = Path(__file__).parent / "results" / "novelty.json"

ENOUGH = 40
"""Characters of a text that tell it from others, if another begins with them."""

LENGTHS = ((18, 24), (6, 9))
"""Words of the texts that are edited, at least and at most."""

TEXTS, MOST_CHANGED = 2000, 7
RANDOM_PAIRS = 200_000

APART, CHARACTERS_APART = (1, 4, 7, 10, 1000), (1, 15, 20, 1000)
"""Words and Chinese characters that differ: the ends of the bands in which pairs are counted."""

COMMON = (0.0, 0.4, 0.5, 0.6, 0.7, 1.01)
"""The same for the share of words in common."""

_RETWEET = re.compile(r"\s*(?:rt\s+@\w+\s*:?\s*)+", re.IGNORECASE)
"""At the start of a text; several where a retweet was retweeted by hand."""

_ADDRESS = re.compile(r"https?://\S*|@\w*")
# Twitter cuts at 140 characters, within a link as well.
_CUT = re.compile(r"(?:\s(?:h|ht|htt|https?|https?:/?/?))?\s*(?:…|\.\.\.)\s*$")
_WORD = re.compile(r"[\u2e80-\u9fff]|[^\W_\u2e80-\u9fff]+")


class Tweet(NamedTuple):
    """A text about one ticker."""

    time: int
    ticker: str
    text: str


@cache
def body(text: str) -> str:
    """A tweet without the prefix of a retweet, links, mentions and the mark that it was cut."""
    prefix = _RETWEET.match(text)
    bare = _ADDRESS.sub(" ", html.unescape(text[prefix.end() if prefix else 0 :]))
    return " ".join(_CUT.sub("", bare).split())


def is_retweet(text: str) -> bool:
    return _RETWEET.match(text) is not None


def begins(one: str, other: str) -> bool:
    """Whether one body is the beginning of the other, and long enough to mean anything."""
    return len(one) >= ENOUGH and other.startswith(one)


def kind_of_copy(retweet: str, other: str) -> str | None:
    """How the retweet repeats the other text, or None: the truth that signatures are held to."""
    one, two = body(retweet), body(other)
    if not is_retweet(retweet) or not any(map(str.isalnum, one)):
        return None
    if one == two:
        return "same words"
    return "the beginning" if begins(one, two) else None


def words(text: str) -> frozenset[str]:
    """Its words, case aside; a Chinese text's characters."""
    return frozenset(_WORD.findall(text.casefold()))


def in_common(one: str, other: str) -> float:
    """Share of the words of either body that both have."""
    a, b = words(body(one)), words(body(other))
    return len(a & b) / max(len(a | b), 1)


def words_apart(one: str, other: str) -> int:
    """Words that have to be replaced to make one text of the other."""
    a, b = words(one), words(other)
    return max(len(a - b), len(b - a))


@cache
def story(text: str) -> str:
    return signature(text)


@cache
def classifier() -> Classifier:
    return Classifier.load()


@cache
def tells_negative(text: str) -> bool:
    return classifier().classify([text])[0].probabilities[0] >= NEGATIVE_FROM


def joined(pair: Sequence[str]) -> bool:
    return are_copies(story(pair[0]), story(pair[1]))


def counted_as_one(pair: Sequence[str]) -> bool:
    return joined(pair) and tells_negative(pair[0]) == tells_negative(pair[1])


def share(pairs: Iterable[Sequence[str]]) -> dict[str, Any]:
    """How many pairs there are, and which share of them is joined, and counted as one."""
    found = [(joined(pair), counted_as_one(pair)) for pair in pairs]
    both, one = np.mean(found, axis=0) if found else (0.0, 0.0)
    return {
        "pairs": len(found),
        "joined": round(float(both), 4),
        "counted_as_one": round(float(one), 4),
    }


def in_bands(
    pairs: Iterable[tuple[str, str]],
    measure: Callable[[str, str], float],
    ends: Sequence[float],
) -> dict[str, Any]:
    """Shares by what a pair measures, in bands from one end up to the next; none of empty ones."""
    bands: dict[str, list[tuple[str, str]]] = {f"from {low:g}": [] for low in ends[:-1]}
    for pair in pairs:
        bands[f"from {ends[bisect_right(ends, measure(*pair)) - 1]:g}"].append(pair)
    return {name: share(own) for name, own in bands.items() if own}


def tweets() -> list[Tweet]:
    """The real tweets in time order, one a ticker."""
    return [
        Tweet(int(datetime.fromisoformat(row["time"]).timestamp()), ticker, row["text"])
        for row in rows_of(DATA / "stocknet_tweets" / "2014.jsonl.gz")
        for ticker in row["tickers"]
    ]


def by_ticker(posts: Iterable[Tweet]) -> dict[str, list[Tweet]]:
    found: dict[str, list[Tweet]] = defaultdict(list)
    for post in posts:
        found[post.ticker].append(post)
    return found


def retweet_pairs(posts: Sequence[Tweet]) -> dict[tuple[str, str], str]:
    """Pairs of different texts within the horizon of which one is a retweet that repeats the other.

    Each pair of texts is there once, however often either was sent.
    """
    found: dict[tuple[str, str], str] = {}
    for own in tqdm(by_ticker(posts).values(), desc="retweets"):
        times = [post.time for post in own]
        for post in own:
            if not is_retweet(post.text):
                continue
            near = own[
                bisect_left(times, post.time - HORIZON) : bisect_right(times, post.time + HORIZON)
            ]
            for other in {near_by.text for near_by in near} - {post.text}:
                kind = kind_of_copy(post.text, other)
                if kind is not None:
                    found[min(post.text, other), max(post.text, other)] = kind
    return found


def of_retweets(posts: Sequence[Tweet]) -> dict[str, Any]:
    pairs = retweet_pairs(posts)
    by_kind: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair, kind in pairs.items():
        by_kind[kind].append(pair)
    beginnings = by_kind["the beginning"]
    return {
        "retweets_counted_for_each_ticker": sum(is_retweet(post.text) for post in posts),
        "all": share(pairs),
        "by_kind": {kind: share(own) for kind, own in sorted(by_kind.items())},
        "beginnings_by_share_of_words_in_common": in_bands(beginnings, in_common, COMMON),
        "missed": reasons(pair for pair in pairs if not joined(pair)),
    }


def reasons(missed: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Why copies were missed, each counted for the first reason that holds."""
    found: Counter[str] = Counter()
    for one, other in missed:
        if in_common(one, other) < 0.5:
            found["less than half of the words in common"] += 1
        elif len(words(body(one)) & words(body(other))) < 8:
            found["fewer than 8 words in common"] += 1
        else:
            found["chance: the sketch is an estimate"] += 1
    return dict(found)


def of_spam(posts: Sequence[Tweet]) -> list[dict[str, Any]]:
    """The days on which one tweet was copied hundreds of times: how many stories that makes."""
    found = []
    for date in SPAM:
        day = range(midnight(date), midnight(date) + DAY)
        texts = [post.text for post in posts if post.ticker == "AMZN" and post.time in day]
        most, _ = Counter(map(body, texts)).most_common(1)[0]
        copies = [text for text in texts if body(text) == most or begins(body(text), most)]
        index = {side: NoveltyIndex(HORIZON) for side in (False, True)}
        counted = sum(
            change
            for text in copies
            for _, change in index[tells_negative(text)].insert(story(text), 0)
        )
        found.append(
            {"date": date, "tweets": len(texts), "copies_of_one": len(copies), "stories": counted}
        )
    return found


def changed(text: str, count: int, pool: Sequence[str], dice: random.Random) -> str:
    """The text with so many of its words replaced by others."""
    found = text.split()
    for place in dice.sample(range(len(found)), count):
        found[place] = dice.choice([word for word in dice.choices(pool, k=9) if word not in found])
    return " ".join(found)


FORMS: dict[str, Callable[[str, random.Random], str]] = {
    "another link": lambda text, dice: f"{text} https://t.example/{dice.getrandbits(32):x}",
    "two tracking links": lambda text, dice: (
        f"{text} https://n.example/?utm_source={dice.getrandbits(32):x} www.n.example/?fbclid=1"
    ),
    "upper case": lambda text, _: text.upper(),
    "lower case": lambda text, _: text.lower(),
    "RT @x: before": lambda text, dice: f"RT @user{dice.randrange(999)}: {text}",
    "via @x before": lambda text, dice: f"via @user{dice.randrange(999)} {text}",
    "via @x after": lambda text, dice: f"{text} via @user{dice.randrange(999)}",
    "RT @x: RT @y: before": lambda text, _: f"RT @x: RT @y: {text}",
    "as planted by benchmarks.spikes": edited,
}
"""Edits that leave the words of a story as they are, or nearly so."""


def of_edits(texts: Sequence[str], dice: random.Random) -> dict[str, Any]:
    """Each of some texts against an edited copy of itself."""
    pool = sorted({word for text in texts for word in text.split()})
    report = {}
    for least, most in LENGTHS:
        fit = [text for text in texts if least <= len(text.split()) <= most]
        chosen = dice.sample(fit, min(TEXTS, len(fit)))
        report[f"{least} to {most} words"] = {
            **{
                name: share((text, form(text, dice)) for text in chosen)
                for name, form in tqdm(FORMS.items(), desc=f"{least} to {most} words")
            },
            **{
                f"{count} changed": share(
                    (text, changed(text, count, pool, dice)) for text in chosen
                )
                for count in tqdm(range(1, min(MOST_CHANGED, least) + 1), desc="words changed")
            },
        }
    return report


def pairs_of(templates: Iterable[Template]) -> list[tuple[str, str]]:
    return [pair for template in templates for pair in combinations(template.texts, 2)]


def of_templates() -> dict[str, Any]:
    """Pairs of different stories in the same words: none should be joined."""
    chinese = [t for t in TEMPLATES if t.style == "chinese"]
    english = [t for t in TEMPLATES if t.style != "chinese"]
    styles = sorted({t.style for t in TEMPLATES})
    return {
        "templates": len(TEMPLATES),
        "all": share(pairs_of(TEMPLATES)),
        "by_style": {s: share(pairs_of(t for t in TEMPLATES if t.style == s)) for s in styles},
        "by_share_of_words_in_common": in_bands(pairs_of(TEMPLATES), in_common, COMMON),
        "by_words_that_differ": in_bands(pairs_of(english), words_apart, APART),
        "by_characters_that_differ": in_bands(pairs_of(chinese), words_apart, CHARACTERS_APART),
        "wrongly_joined": [pair for pair in pairs_of(TEMPLATES) if joined(pair)],
        "wrongly_counted_as_one": [pair for pair in pairs_of(TEMPLATES) if counted_as_one(pair)],
    }


def random_pairs(posts: Iterable[Tweet], count: int, dice: random.Random) -> list[tuple[str, str]]:
    """Pairs of tweets about one ticker, at any distance in time, of which neither begins the other.

    Tickers come in proportion to the distinct texts about them.
    """
    texts = {
        ticker: sorted({body(post.text): post.text for post in own}.values())
        for ticker, own in by_ticker(posts).items()
    }
    tickers = sorted(ticker for ticker, own in texts.items() if len(own) > 1)
    weights = [len(texts[ticker]) for ticker in tickers]
    found: list[tuple[str, str]] = []
    while len(found) < count:
        for ticker in dice.choices(tickers, weights, k=count - len(found)):
            one, other = dice.sample(texts[ticker], 2)
            a, b = body(one), body(other)
            if not begins(a, b) and not begins(b, a):
                found.append((one, other))
    return found


def of_random_pairs(posts: Sequence[Tweet], dice: random.Random) -> dict[str, Any]:
    pairs = random_pairs(posts, RANDOM_PAIRS, dice)
    wrong = [pair for pair in pairs if joined(pair)]
    common = [in_common(*pair) for pair in wrong]
    return {
        "pairs": len(pairs),
        "joined": len(wrong),
        "counted_as_one": sum(map(counted_as_one, wrong)),
        "share": round(len(wrong) / len(pairs), 6),
        "of_these_with_half_of_the_words_in_common": sum(value >= 0.5 for value in common),
        "of_these_with_less_than_40_percent": sum(value < 0.4 for value in common),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.novelty", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args(arguments)
    posts = tweets()
    rows = rows_of(DATA / "twitter_financial_sentiment" / "train.jsonl.gz")
    report = {
        "retweets": of_retweets(posts),
        "spam": of_spam(posts),
        "edits": of_edits([clean(row["text"]) for row in rows], random.Random(given.seed)),
        "templates": of_templates(),
        "random_pairs_about_one_ticker": of_random_pairs(posts, random.Random(given.seed)),
    }
    given.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
