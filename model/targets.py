"""Towards whom: the name behind a target, and where a text mentions it. Pure."""

from __future__ import annotations

import re

from model.text import clean

Target = str | tuple[int, int]
"""A name, or start and end of its characters in the text as given."""


def name_of(text: str, target: Target) -> str:
    """The target's name, cleaned.

    Raises:
        ValueError: the span is empty or not within the text, or nothing is left of the name.
    """
    if isinstance(target, str):
        name = clean(target)
        if not name:
            raise ValueError(f"target {target!r} is no name")
        return name
    start, end = target
    if not 0 <= start < end <= len(text):
        raise ValueError(
            f"target ({start}, {end}) is empty or not within a text of {len(text)} characters"
        )
    name = clean(text[start:end])
    if not name:
        raise ValueError(f"target ({start}, {end}) holds no name, but {text[start:end]!r}")
    return name


CHINESE = re.compile(r"[\u2e80-\u9fff]")


def whole(name: str) -> str:
    """Regular expression of a name that stands as a whole.

    Chinese has no spaces around a name; the ticker in a cashtag is not the name.
    """
    if CHINESE.search(name):
        return re.escape(name)
    return rf"(?<![\w$#@]){re.escape(name)}(?!\w)"


def mention(text: str, target: Target, cleaned: str, name: str) -> tuple[int, int] | None:
    """First and last character of the target in the cleaned text; None where it is not found.

    That is the first mention of a name, and of a span the mention that it marks, which cleaning may
    have moved: as far as what stands before it, cleaned too, has become shorter.
    """
    pattern = re.compile(re.escape(name), re.IGNORECASE)
    after = 0 if isinstance(target, str) else len(clean(text[: target[0]]))
    found = pattern.search(cleaned, after) or pattern.search(cleaned)
    return (found.start(), found.end() - 1) if found else None
