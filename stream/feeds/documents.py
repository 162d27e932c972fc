"""An item of a source as it goes to Kafka."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from stream.authors import marked
from stream.feeds.base import FeedOptions, Item
from stream.publisher import Outgoing
from stream.records import MAX_TEXT
from stream.scorer import parse

MAX_TITLE = 1000
MAX_URL = 2000


def outgoing(item: Item, options: FeedOptions, source: str, topic: str, key: bytes) -> Outgoing:
    """The message of an item.

    Args:
        item: what the source read.
        options: of the feed; what it says of source, kind, language and weight fills gaps.
        source: where neither item nor feed name one.
        topic: of the documents.
        key: of the hash that replaces the author.

    Raises:
        stream.scorer.BadDocument: it is no document.
    """
    row: dict[str, Any] = {
        name: value for name, value in item.document.items() if value not in (None, "")
    }
    row.setdefault("source", options.source or source)
    row.setdefault("kind", options.kind)
    if options.lang:
        row.setdefault("lang", options.lang)
    if options.weight is not None:
        row.setdefault("weight", options.weight)
    if item.key is not None and "id" not in row:
        row["id"] = _identity(str(row["source"]), item.key)
    _shorten(row)
    if "author" in row:
        row["author"] = marked(str(row["author"]), key)
    # Half a surrogate pair survives this as an escape, and parse() refuses it.
    value = json.dumps(row, ensure_ascii=True, separators=(",", ":"), default=str).encode()
    document = parse(value)
    return Outgoing(
        topic, document.id.encode(), document.model_dump_json(exclude_none=True).encode()
    )


def _identity(source: str, key: str) -> str:
    """The id of an item, the same each time it is read."""
    return hashlib.sha256(f"{source}\x1f{key}".encode("utf-8", "replace")).hexdigest()[:32]


def _shorten(row: dict[str, Any]) -> None:
    """Cut what is too long; a source does not choose how long texts are."""
    for name, most in (("text", MAX_TEXT), ("title", MAX_TITLE)):
        if isinstance(row.get(name), str):
            row[name] = row[name][:most]
    if isinstance(row.get("url"), str) and len(row["url"]) > MAX_URL:
        del row["url"]


def summary(row: Mapping[str, Any]) -> str:
    """A line about a document, for a person."""
    text = str(row.get("title") or row.get("text") or "")
    return f"{row.get('published_at') or 'no date'}  {' '.join(text.split())[:100]}"
