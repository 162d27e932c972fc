"""Which texts are copies of one story.

Retweets and syndicated copies differ in prefix, links, mentions, case and punctuation; some have a
few words changed. What is left without those is compared word by word: the signature of a text is a
sketch of its set of words (one bit of each of 96 minima; Li and König, b-bit minwise hashing,
arXiv 0910.3349), and two texts are copies when enough of those bits are the same. Beside it stand
marks of the text's numbers: the quarter, the price and the percentage are what tells apart two
stories that are put in the same words, so that of those more words must be the same.
"""

from __future__ import annotations

import base64
import hashlib
import re
from bisect import bisect_left, bisect_right, insort
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from model.text import clean

BITS = 96

SAME_BITS = 71
"""Bits that copies have in common, of 96: half of the words that either text has. Texts of which a
share J of the words is common agree in (1 + J) / 2 of their bits, give or take 4."""

SAME_BITS_OTHER_NUMBERS = 84
"""The same where each text has a number that the other lacks: three quarters of the words. No more,
or whoever puts a number of its own into each copy would make a story of each."""

MARKS = 24
"""Bits for numbers. Two different ones may share one, which takes two texts for more alike."""

_PREFIX = re.compile(r"^(?:rt|via)\s+@\w+:?\s*", re.IGNORECASE)
_MENTION = re.compile(r"@\w+")
_SPACED = re.compile(r"[^\W_\u2e80-\U0010ffff]+")
_UNSPACED = re.compile(r"[^\W_\u0000-\u2e7f]+")
_NUMBER = re.compile(r"q?\d")  # A quarter, too; not what a tag has in it.

# Of the two numbers that a signature is compared as.
_SKETCH = np.array([(1 << 64) - 1, (1 << 32) - 1], np.uint64)
_NUMBERS = np.uint64(((1 << MARKS) - 1) << 32)

_dice = np.random.Generator(np.random.PCG64(0x5EED))
_FACTORS = _dice.integers(1 << 63, dtype=np.uint64, size=(BITS, 1)) * np.uint64(2) + np.uint64(1)
_OFFSETS = _dice.integers(1 << 63, dtype=np.uint64, size=(BITS, 1))


def signature(text: str) -> str:
    """96 bits of the text's words and 24 of its numbers, in 20 URL-safe characters.

    A text of links and punctuation alone is its own story.
    """
    bare = _MENTION.sub(" ", _PREFIX.sub("", clean(text))).casefold()
    words = _words(bare) or [text]
    hashes = np.array([_hash(word) for word in words], np.uint64)
    mixed = hashes * _FACTORS + _OFFSETS
    mixed ^= mixed >> np.uint64(32)
    bits = mixed.min(axis=1) & np.uint64(1)
    marks = np.zeros(MARKS, np.uint8)
    marks[[_hash(word) % MARKS for word in words if _NUMBER.match(word)]] = 1
    packed = np.packbits(np.concatenate([bits.astype(np.uint8), marks]))
    return base64.urlsafe_b64encode(packed.tobytes()).decode()


def _words(text: str) -> list[str]:
    """Its words; of a script without spaces, every two characters that stand together."""
    found: list[str] = _SPACED.findall(text)
    for run in _UNSPACED.findall(text):
        found += (run[i : i + 2] for i in range(max(len(run) - 1, 1)))
    return found


@lru_cache(65_536)
def _hash(word: str) -> int:
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _bits(story: str) -> npt.NDArray[np.uint64]:
    """A signature in two numbers: 64 bits of its words; above the other 32 of them its marks."""
    raw = base64.urlsafe_b64decode(story)
    return np.array(
        [int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")], np.uint64
    )


def _alike(
    some: npt.NDArray[np.uint64], one: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """How many bits of their words are the same as in one, and which are copies of it.

    Args:
        some: signatures, (n, 2).
        one: a signature, (2,).
    """
    same = BITS - np.bitwise_count((some ^ one) & _SKETCH).sum(axis=-1, dtype=np.int64)
    mine, theirs = one[1] & _NUMBERS, some[..., 1] & _NUMBERS
    other_numbers = ((mine & ~theirs) != 0) & ((theirs & ~mine) != 0)
    return same, same >= np.where(other_numbers, SAME_BITS_OTHER_NUMBERS, SAME_BITS)


def are_copies(one: str, other: str) -> bool:
    """Whether two signatures are of the same story."""
    return bool(_alike(_bits(one), _bits(other))[1])


def likeness(one: str, other: str) -> float:
    """Estimated share of the words of either text that both have, 0 to 1, give or take 0.1."""
    same, _ = _alike(_bits(one), _bits(other))
    return max(2.0 * float(same) / BITS - 1.0, 0.0)


class NoveltyIndex:
    """In which panes a story was seen, and in which of them it counts.

    A story counts in a pane when no pane of the horizon before it holds a copy, nor the same pane
    one with a smaller signature. That depends on the set of panes alone, not on the order in which
    copies arrive, so live and replay agree.
    """

    def __init__(self, horizon: int) -> None:
        """Horizon: seconds within which a copy is not new."""
        self.horizon = horizon
        self._panes: dict[str, list[int]] = {}
        self._before: dict[tuple[int, str], int] = {}
        """of each place of a story, how many copies come before it"""
        self._stories: list[str] = []
        self._rows: dict[str, int] = {}
        self._bits = np.zeros((64, 2), np.uint64)

    def insert(self, story: str, pane: int) -> list[tuple[int, int]]:
        """Note the story in the pane (its start); returns ``(pane, change of its count)`` pairs."""
        if story not in self._rows:
            self._add(story)
        seen = self._panes[story]
        at = bisect_left(seen, pane)
        if at < len(seen) and seen[at] == pane:
            return []
        here, before, changes = (pane, story), 0, []
        for copy in self.copies(story):
            panes = self._panes[copy]
            low = bisect_left(panes, pane - self.horizon)
            for other in panes[low : bisect_right(panes, pane + self.horizon)]:
                if (other, copy) < here:
                    before += 1
                else:
                    self._before[other, copy] += 1
                    if self._before[other, copy] == 1:
                        changes.append((other, -1))
        insort(seen, pane)
        self._before[here] = before
        if before == 0:
            changes.append((pane, 1))
        return changes

    def forget(self, story: str, pane: int) -> None:
        """Drop the pane, which has expired, without touching any count."""
        if self._before.pop((pane, story), None) is None:
            return
        panes = self._panes[story]
        panes.remove(pane)
        if not panes:
            self._remove(story)

    def is_new(self, story: str, pane: int) -> bool:
        """Whether the story counts in the pane."""
        return self._before.get((pane, story)) == 0

    def copies(self, story: str) -> list[str]:
        """All known copies of a story, itself among them if it is known."""
        _, copies = _alike(self._bits[: len(self._stories)], _bits(story))
        return [self._stories[i] for i in np.flatnonzero(copies)]

    def _add(self, story: str) -> None:
        row = len(self._stories)
        if row == len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
        self._bits[row] = _bits(story)
        self._stories.append(story)
        self._rows[story] = row
        self._panes[story] = []

    def _remove(self, story: str) -> None:
        """The last row takes the place of the one that goes."""
        row, last = self._rows.pop(story), self._stories.pop()
        if last != story:
            self._stories[row] = last
            self._rows[last] = row
            self._bits[row] = self._bits[len(self._stories)]
        del self._panes[story]
