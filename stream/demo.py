"""The demonstration stream: two quiet weeks, then a bad quarter of an hour.

The texts are the project's own corpus; companies in it are invented. Times are laid out so that the
last document was written just now, and the burst of bad news in the fifteen minutes before it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import model

CORPUS = Path(model.__file__).parent / "corpus"

QUIET_DAYS = 14
QUIET_PER_HOUR = 4
BURST_MINUTES = 15
BURST_STORIES = 60

SOURCES = ("newswire", "exchange-news", "market-forum", "daily-ledger", "trading-desk")

WATCHLIST = Path(__file__).with_name("demo-watchlist.yaml")


@dataclass(frozen=True)
class DemoDocument:
    """A document with the time it is dated."""

    time: datetime
    value: bytes


def documents(now: datetime, seed: int = 7) -> Iterator[DemoDocument]:
    """The stream in order of time, the last document dated ``now``."""
    chance = random.Random(seed)
    rows = [
        json.loads(line)
        for name in ("comments_en", "headlines_en")
        for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    bad = [row for row in rows if row["sentiment"] == "negative"]
    usual = [row for row in rows if row["sentiment"] != "negative"]
    chance.shuffle(bad)
    burst, rest = bad[:BURST_STORIES], bad[BURST_STORIES:]
    begin = now - timedelta(days=QUIET_DAYS)
    burst_begin = now - timedelta(minutes=BURST_MINUTES)
    times = sorted(
        begin + (burst_begin - begin) * chance.random()
        for _ in range(QUIET_DAYS * 24 * QUIET_PER_HOUR)
    )
    for time in times:
        row = chance.choice(rest) if chance.random() < 0.2 else chance.choice(usual)
        yield _document(row, time, chance)
    for i, row in enumerate(burst):
        share = (i + 1) / len(burst)
        yield _document(row, burst_begin + (now - burst_begin) * share, chance)


def _document(row: dict[str, str], time: datetime, chance: random.Random) -> DemoDocument:
    document = {
        "text": row["text"],
        "source": chance.choice(SOURCES),
        "kind": "comment" if row["style"] == "comment" else "news",
        "published_at": time.isoformat(),
        "lang": row["lang"],
    }
    return DemoDocument(time, json.dumps(document, ensure_ascii=False).encode())
