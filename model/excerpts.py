"""Which stretches of a long text the model reads, and how much each counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_EXCERPTS = 16
"""Runs of the model a text may cost."""

FIRST, SECOND = 0, 1
"""The text and the target in the tokenizer's numbering of a pair's parts."""


@dataclass(frozen=True)
class Excerpt:
    """Tokens ``start`` to ``end`` of a text."""

    start: int
    end: int
    own: int
    """tokens that no earlier excerpt has"""


@dataclass(frozen=True)
class Run:
    """Ids for one run of the model."""

    ids: list[int]
    weight: int
    """how much it counts beside the other runs of its text"""


def excerpts(length: int, size: int, limit: int = MAX_EXCERPTS) -> list[Excerpt]:
    """Stretches of ``size`` tokens, evenly spread, each sharing a quarter or more with the next.

    All are full, so that none is judged by its last few words alone. Where more than ``limit``
    would be needed there are gaps between them, but start and end of the text are always read.

    Args:
        length: tokens of the text.
        size: tokens that the model reads at once.
        limit: how many stretches at most, 2 or more.
    """
    if length <= size:
        return [Excerpt(0, length, length)]
    step = size - size // 4
    count = min(1 + -(-(length - size) // step), limit)
    found: list[Excerpt] = []
    before = 0
    for i in range(count):
        start = i * (length - size) // (count - 1)
        found.append(Excerpt(start, start + size, start + size - max(start, before)))
        before = start + size
    return found


def around(length: int, size: int, first: int, last: int) -> Excerpt:
    """The one stretch to read for tokens ``first`` to ``last``.

    It is the beginning, as in training, unless they lie beyond it; then they are its middle.
    """
    size = min(size, length)
    start = 0
    if last >= size:
        start = min(max((first + last + 1 - size) // 2, 0), length - size)
    return Excerpt(start, start + size, size)


def runs(
    ids: list[int],
    parts: Sequence[int | None],
    max_tokens: int,
    mention: tuple[int, int] | None = None,
) -> list[Run]:
    """A tokenized text, or pair of text and target, as runs of at most ``max_tokens`` ids.

    The special tokens around the text, and the target, stand in every run. A pair has one run: a
    target is judged by what is said where it is mentioned. A target longer than half a run is cut.

    Args:
        ids: with special tokens.
        parts: of each id, ``FIRST`` for the text, ``SECOND`` for the target, None for special ones.
        max_tokens: what the model reads at once.
        mention: first and last of the ids where the target is mentioned in the text, if known.
    """
    if len(ids) <= max_tokens:
        return [Run(ids, 1)]
    if FIRST not in parts:
        return [Run(ids[:max_tokens], 1)]
    begin = parts.index(FIRST)
    end = begin + parts.count(FIRST)
    head, body, tail = ids[:begin], ids[begin:end], ids[end:]
    if len(tail) > max_tokens // 2:
        tail = [*tail[: max_tokens // 2 - 1], tail[-1]]
    size = max_tokens - len(head) - len(tail)
    if SECOND in parts:
        first, last = mention or (begin, begin)
        chosen = [around(len(body), size, first - begin, last - begin)]
    else:
        chosen = excerpts(len(body), size)
    return [Run([*head, *body[e.start : e.end], *tail], max(e.own, 1)) for e in chosen]
