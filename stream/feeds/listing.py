"""The feeds file: which feeds there are, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

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
    return _listed(values["feeds"], _lines(tree), path.parent)


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


def _lines(tree: yaml.MappingNode) -> list[int]:
    """The line of each entry, from 1."""
    for key, value in tree.value:
        if key.value == "feeds":
            return [node.start_mark.line + 1 for node in value.value]
    return []


def _listed(entries: list[Any], lines: list[int], folder: Path) -> Listing:
    feeds: list[Feed] = []
    problems: list[Problem] = []
    first: dict[str, int] = {}
    for number, (entry, line) in enumerate(zip(entries, lines, strict=True), start=1):
        name = f"feed {number}"
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
        found = _feed(entry, folder)
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
        known = source.Options.model_fields
        return [_reason(dict(found), sorted(known)) for found in error.errors(include_url=False)]
    return list(options.problems()) or Feed(options, source)


def _reason(error: dict[str, Any], known: list[str]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{where} is missing; add it"
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}; this type takes {', '.join(known)}"
    if error["loc"] == ("id",) and error["type"] == "string_pattern_mismatch":
        return "id: use 1 to 64 letters, digits, dots, dashes and underscores"
    if error["loc"] == ("lang",):
        return "lang: use a tag such as en or zh-Hans"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"
