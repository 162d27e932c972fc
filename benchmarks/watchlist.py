"""How many documents a second a watchlist of 5,000 entries takes, on one core.

``python -m benchmarks.watchlist`` makes entries of words that the tweets of 2014 have, so that
there is much to find, and others of names that hardly occur, and seeks both in 20,000 tweets. The
figures go to ``results/watchlist.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from model.dataset import read_rows
from stream.watchlist import Entry, Watchlist
from tests.conftest import DATA

RESULTS = Path(__file__).parent / "results" / "watchlist.json"
ENTRIES, TWEETS, ROUNDS = 5000, 20_000, 3


def frequent(texts: Sequence[str], dice: random.Random) -> list[Entry]:
    """Entries of two names, a keyword and a ticker, of words that the texts have."""
    words = sorted({word for text in texts for word in text.split() if len(word) > 4})
    return [
        Entry(
            id=f"e{number}",
            names=(f"{dice.choice(words)} {dice.choice(words)}", dice.choice(words)),
            keywords=(f"{dice.choice(words)} {dice.choice(words)}",),
            tickers=("".join(dice.choices("ABCDEFGHIJ", k=4)),),
        )
        for number in range(ENTRIES)
    ]


def rare() -> list[Entry]:
    """Entries of names that occur nowhere."""
    return [Entry(id=f"e{n}", names=(f"Company{n} Holdings",)) for n in range(ENTRIES)]


def measure(entries: Sequence[Entry], texts: Sequence[str]) -> dict[str, float]:
    """The best of some rounds, so that other work on the machine counts least."""
    watchlist = Watchlist(entries)
    best, mentions = 0.0, 0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        mentions = sum(len(watchlist.mentions(text)) for text in texts)
        best = max(best, len(texts) / (time.perf_counter() - started))
    return {"documents_per_second": round(best), "mentions": mentions}


def main() -> None:
    argparse.ArgumentParser(prog="benchmarks.watchlist", description=__doc__).parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = read_rows(DATA / "stocknet_tweets" / "2014.jsonl.gz")
    texts = [row["text"] for _, row in islice(rows, TWEETS)]
    report = {
        "entries": ENTRIES,
        "tweets": len(texts),
        "names_that_occur": measure(frequent(texts, random.Random(1)), texts),
        "names_that_do_not": measure(rare(), texts),
    }
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
