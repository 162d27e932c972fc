"""Which texts run together: pure planning of padded batches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Lengths to pad up to, in tokens: few enough that shapes repeat, close enough to waste little."""


@dataclass(frozen=True)
class Batch:
    """Texts that run together."""

    indices: tuple[int, ...]
    length: int
    """tokens each is padded to"""


def buckets_for(longest: int) -> tuple[int, ...]:
    """Buckets of a model that reads so many tokens at once: none is beyond its last position."""
    return (*(bucket for bucket in BUCKETS if bucket < longest), longest)


def plan(lengths: Sequence[int], budget: int, buckets: Sequence[int] = BUCKETS) -> list[Batch]:
    """Put every text into a batch with others of its bucket, longest first.

    The largest batch comes first, so that memory runs out at once or never, and later batches find
    theirs already allocated.

    Args:
        lengths: tokens of each text.
        budget: tokens a batch may hold, padding included; a text longer than that runs alone.
        buckets: lengths to pad up to, ascending and above 0, at least one; what is longer than the
            last is padded to nothing but its own length.
    """

    def padded(index: int) -> int:
        at = bisect_left(buckets, lengths[index])
        return buckets[at] if at < len(buckets) else lengths[index]

    batches = []
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    for length, members in groupby(order, key=padded):
        indices, rows = tuple(members), max(budget // length, 1)
        batches += [Batch(indices[i : i + rows], length) for i in range(0, len(indices), rows)]
    return batches
