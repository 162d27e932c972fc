"""Which class reads which type of feed: the ones here, and those of installed packages."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from stream.feeds.base import Source

GROUP = "barograph.feeds"
"""The group of entry points in which a package names its sources."""

BUILT_IN = {
    "file": "stream.feeds.files:FileSource",
    "http-json": "stream.feeds.json_api:JsonSource",
    "kafka": "stream.feeds.kafka_topic:KafkaSource",
    "rss": "stream.feeds.rss:RssSource",
    "sse": "stream.feeds.sse:SseSource",
    "websocket": "stream.feeds.websocket:WebSocketSource",
}


class UnknownType(Exception):
    """No source has this type, or its class cannot be used; the message says what to change."""


def names() -> list[str]:
    """All types there are."""
    return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))})


def source_class(name: str) -> type[Source]:
    """The class that reads feeds of a type; one of a package does not replace one of these.

    Raises:
        UnknownType: there is none, or it cannot be loaded.
    """
    found: object
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        found = getattr(importlib.import_module(module), attribute)
    else:
        entries = entry_points(group=GROUP, name=name)
        if not entries:
            raise UnknownType(f"type {name!r} is none of {', '.join(names())}")
        try:
            found = next(iter(entries)).load()
        except Exception as error:  # what a package raises on import is its own affair
            raise UnknownType(f"the plug-in of type {name!r} cannot be loaded: {error}") from None
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise UnknownType(f"the plug-in of type {name!r} is no stream.feeds.base.Source")
    return found
