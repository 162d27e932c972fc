"""Texts that are nearly the same: MinHash over word or character triples. Pure.

Broder, On the resemblance and containment of documents (1997): the share of equal minima of two
sets under random permutations estimates their Jaccard similarity. The minima are grouped into
bands, and only texts that agree in a whole band are compared exactly.
"""

from __future__ import annotations

import re
import zlib

SIMILAR = 0.7
"""Jaccard similarity of triples from which two texts are one."""

PERMUTATIONS = 32
BAND = 2
"""Minima a band; of 16 bands a pair at 0.7 misses all with probability 0.00002."""

PRIME = (1 << 61) - 1

_WORD = re.compile(r"\w+")
_SPACELESS = re.compile(r"[\u2e80-\u9fff]")

# Fixed multipliers and offsets: the same text always has the same minima.
_FACTORS = [(zlib.crc32(b"a%d" % n) * 2 + 1, zlib.crc32(b"b%d" % n)) for n in range(PERMUTATIONS)]


class NearDuplicates:
    """A set of texts that also holds whatever is nearly one of them."""

    def __init__(self) -> None:
        self._bags: list[frozenset[int]] = []
        self._bands: dict[tuple[int, ...], list[int]] = {}

    def add(self, text: str) -> None:
        """Take up a text."""
        bag = triples(text)
        for band in _bands(bag):
            self._bands.setdefault(band, []).append(len(self._bags))
        self._bags.append(bag)

    def __contains__(self, text: str) -> bool:
        bag = triples(text)
        candidates = {i for band in _bands(bag) for i in self._bands.get(band, ())}
        return any(similarity(bag, self._bags[i]) >= SIMILAR for i in candidates)


def triples(text: str) -> frozenset[int]:
    """Hashes of the runs of three words, or of three characters where a script has no spaces.

    Case, punctuation and links do not count, and numbers do: "up 5 %" is not "up 7 %".
    """
    words = [
        part
        for word in _WORD.findall(text.casefold())
        for part in (list(word) if _SPACELESS.search(word) else [word])
    ]
    if len(words) < 3:
        return frozenset([zlib.crc32(" ".join(words).encode("utf-8", "replace"))])
    return frozenset(
        zlib.crc32(" ".join(words[i : i + 3]).encode("utf-8", "replace"))
        for i in range(len(words) - 2)
    )


def similarity(one: frozenset[int], other: frozenset[int]) -> float:
    """Jaccard similarity, 0 to 1."""
    return len(one & other) / len(one | other)


def _bands(bag: frozenset[int]) -> list[tuple[int, ...]]:
    minima = [min((a * x + b) % PRIME for x in bag) for a, b in _FACTORS]
    return [(n, *minima[n : n + BAND]) for n in range(0, PERMUTATIONS, BAND)]
