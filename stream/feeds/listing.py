"""The feeds file: which feeds there are, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from stream.feeds.base import FeedOptions, Source
from stream.feeds.registry import UnknownType, names, source_class


class FeedsError(Exception):
    """The feeds file cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Feed:
    """A feed of the file, with the class that reads it."""

    options: FeedOptions
    source: type[Source]

    @property
    def id(self) -> str:
        """Its name, in states and metrics."""
        return self.options.id


@dataclass(frozen=True)
class Problem:
    """Something to change in the file."""

    line: int
    feed: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.feed}: {self.reason}"


@dataclass(frozen=True)
class Listing:
    """The feeds of a file that can be used, and what keeps the others from it."""

    feeds: Sequence[Feed]
    problems: Sequence[Problem]


def read_feeds(path: Path) -> Listing:
    """The feeds of a file, with every problem in it.

    Raises:
        FeedsError: it cannot be read, is no YAML, or has no list ``feeds``.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values: Any = yaml.safe_load(text)
        tree: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise FeedsError(f"cannot read feeds {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FeedsError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict) or not isinstance(values.get("feeds"), list):
        raise FeedsError(f"{path} must hold a list under the key feeds")
    if unknown := sorted(str(key) for key in values if key != "feeds"):
        raise FeedsError(f"{path}: unknown key {unknown[0]}; the file has one key, feeds")
    if not values["feeds"]:
        raise FeedsError(f"{path}: the list feeds is empty")
    return _listed(values["feeds"], _entries(tree), path.parent)


def usable_feeds(path: Path) -> list[Feed]:
    """The feeds of a file without problems.

    Raises:
        FeedsError: with the first problem.
    """
    listing = read_feeds(path)
    if listing.problems:
        more = len(listing.problems) - 1
        rest = f" (and {more} more: barograph feed check {path})" if more else ""
        raise FeedsError(f"{path}, {listing.problems[0]}{rest}")
    return list(listing.feeds)


def _entries(tree: yaml.MappingNode) -> list[yaml.Node]:
    """Each entry as it is written."""
    for key, value in tree.value:
        if key.value == "feeds":
            return list(value.value)
    return []


def _twice(node: yaml.Node) -> Iterator[str]:
    """Keys that a mapping, or one in it, has more than once: YAML takes the last in silence."""
    if isinstance(node, yaml.MappingNode):
        counts = Counter(str(key.value) for key, _ in node.value)
        yield from (key for key, count in counts.items() if count > 1)
        for _, value in node.value:
            yield from _twice(value)


def _listed(entries: list[Any], nodes: list[yaml.Node], folder: Path) -> Listing:
    feeds: list[Feed] = []
    problems: list[Problem] = []
    first: dict[str, int] = {}
    for number, (entry, node) in enumerate(zip(entries, nodes, strict=True), start=1):
        name, line = f"feed {number}", node.start_mark.line + 1
        if not isinstance(entry, dict):
            problems.append(Problem(line, name, "must be a mapping with id, type and source"))
            continue
        identity = entry.get("id")
        if isinstance(identity, str):
            name = f"feed {identity}"
            if identity in first:
                taken = f"the id is that of line {first[identity]}; give it another"
                problems.append(Problem(line, name, taken))
                continue
            first[identity] = line
        twice = [f"key {key} is there twice; leave one out" for key in _twice(node)]
        found = twice or _feed(entry, folder)
        if isinstance(found, Feed):
            feeds.append(found)
        else:
            problems += [Problem(line, name, reason) for reason in found]
    return Listing(feeds, problems)


def _feed(entry: dict[str, Any], folder: Path) -> Feed | list[str]:
    """The feed of an entry, or what is wrong with it; paths are relative to the folder."""
    kind = entry.get("type")
    if not isinstance(kind, str):
        return [f"type is missing; it is one of {', '.join(names())}"]
    try:
        source = source_class(kind)
        options = source.Options.model_validate(entry, context={"folder": folder})
    except UnknownType as error:
        return [str(error)]
    except ValidationError as error:
        return [_reason(dict(found), source.Options) for found in error.errors(include_url=False)]
    return list(options.problems()) or Feed(options, source)


def _takes(options: type[BaseModel], place: Sequence[Any]) -> str:
    """The keys that may stand where one is unknown, which is in the model at ``place``."""
    model: Any = options
    for name in place:
        field = getattr(model, "model_fields", {}).get(name)
        parts = () if field is None else (field.annotation, *get_args(field.annotation))
        model = next((part for part in parts if hasattr(part, "model_fields")), None)
    keys = ", ".join(sorted(getattr(model, "model_fields", ())))
    return f"{place[0] if place else 'this type'} takes {keys}" if keys else "leave it out"


def _reason(error: dict[str, Any], options: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{where} is missing; add it"
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}; {_takes(options, error['loc'][:-1])}"
    if error["loc"] == ("id",) and error["type"] == "string_pattern_mismatch":
        return "id: use 1 to 64 letters, digits, dots, dashes and underscores"
    if error["loc"] == ("lang",):
        return "lang: use a tag such as en or zh-Hans"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"
