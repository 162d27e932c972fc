"""The stories an alert shows: negative, told by many, and unlike one another. Pure.

A document that may be shown is kept in little with its pane, and carries its story; what is public
of it is an ``Evidence``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from alerts.records import Evidence
from stream.novelty import are_copies, likeness

SAME_SOURCE = 0.5
"""What a story is worth when another one of its source is shown already."""


def identity_of(document: str) -> str:
    """A document's id as evidence has it: the beginning of a long one."""
    return _beginning(document, 64, 192)


def evidence_of(
    identity: str,
    text: str,
    url: str | None,
    source: str,
    time: int,
    negative: float,
    author: str | None = None,
) -> dict[str, Any]:
    """A negative document in little: a pane's record must stay small whatever the texts.

    A stored character takes up to 12 bytes, hence limits in both. ``author`` is a keyed hash, by
    which the document is found when its author is to be forgotten.
    """
    short = _beginning(text, 200, 1200)
    if short != text:
        short = f"{_beginning(text, 199, 1194)}…"
    return {
        "id": identity_of(identity),
        "text": short,
        "url": url if url is not None and _beginning(url, 500, 500) == url else None,
        "source": _beginning(source, 80, 240),
        "time": time,
        "negative": round(negative, 4),
        **({} if author is None else {"author": author}),
    }


def _beginning(text: str, characters: int, stored: int) -> str:
    """At most so many characters of the text, and so many bytes of JSON."""
    text = text[:characters]
    if len(json.dumps(text)) - 2 <= stored:
        return text
    size = 0
    for at, character in enumerate(text):
        size += len(json.dumps(character)) - 2
        if size > stored:
            return text[:at]
    return text


def to_evidence(data: Mapping[str, Any]) -> Evidence:
    """The public record of stored evidence."""
    return Evidence.model_validate(data)


def strongest(evidence: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """The most negative documents by their weight, one a story.

    Ties go by what they hold, not by their order.
    """
    kept: list[dict[str, Any]] = []
    for item in sorted(evidence, key=_rank):
        if len(kept) == limit:
            break
        if not any(are_copies(item["story"], other["story"]) for other in kept):
            kept.append(item)
    return kept


def representative(
    stories: Sequence[dict[str, Any]], told: Mapping[str, int], limit: int
) -> list[dict[str, Any]]:
    """Few stories that stand for all, the weightiest first.

    One after the other, that which is worth most beside those chosen before it: its negativity by
    its weight, times one more for each doubling of the documents that tell it, less by what it
    shares with one of them, half when that has its source (maximal marginal relevance, Carbonell
    and Goldstein, SIGIR 1998).

    Args:
        stories: one document each.
        told: by story, the documents that tell it.
        limit: how many at most.
    """
    left, chosen = sorted(stories, key=_rank), list[dict[str, Any]]()
    while left and len(chosen) < limit:
        # Of equals the first, which is the more negative.
        best = max(left, key=lambda item: _worth(item, told, chosen))
        left.remove(best)
        chosen.append(best)
    return chosen


def _worth(
    item: Mapping[str, Any], told: Mapping[str, int], chosen: Sequence[Mapping[str, Any]]
) -> float:
    reach = 1.0 + math.log2(told.get(item["story"], 1))
    shared = max((likeness(item["story"], other["story"]) for other in chosen), default=0.0)
    again = any(item["source"] == other["source"] for other in chosen)
    return _negativity(item) * reach * (1.0 - shared) * (SAME_SOURCE if again else 1.0)


def _negativity(item: Mapping[str, Any]) -> float:
    return float(item["negative"]) * float(item.get("weight", 1.0))


def _rank(item: dict[str, Any]) -> tuple[Any, ...]:
    # A document sent twice has one id in two places, perhaps with another time or address.
    held = (item["story"], item["time"], item["source"], item["text"], item["url"] or "")
    return (-_negativity(item), item["id"], *held)
