"""The label sets every part of Barograph agrees on.

The order is part of the model's output: column ``i`` of a head is label ``i`` of its tuple. The
topics are those of the twitter-financial-news-topic data set (MIT), in its own order.
"""

from __future__ import annotations

import re
from typing import Literal

Sentiment = Literal["negative", "neutral", "positive"]

SENTIMENTS: tuple[Sentiment, ...] = ("negative", "neutral", "positive")

TOPICS: tuple[str, ...] = (
    "Analyst Update",
    "Fed | Central Banks",
    "Company | Product News",
    "Treasuries | Corporate Debt",
    "Dividend",
    "Earnings",
    "Energy | Oil",
    "Financials",
    "Currencies",
    "General News | Opinion",
    "Gold | Metals | Materials",
    "IPO",
    "Legal | Regulation",
    "M&A | Investments",
    "Macro",
    "Markets",
    "Politics",
    "Personnel Change",
    "Stock Commentary",
    "Stock Movement",
)


def slug(label: str) -> str:
    """A label as a name for topics and metric labels: ``Energy | Oil`` becomes ``energy-oil``."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower().replace("&", "")).strip("-")
