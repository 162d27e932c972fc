"""Variations of training texts that leave their labels as they are: other names, other case.

What a text says does not depend on who it is about, yet a network learns whom its texts blame. So
in each epoch some texts speak of somebody else. Drawn from the seed, the epoch and the text's
number, so that a run repeats.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from model.dataset import Example
from model.labels import TOPICS
from model.targets import CHINESE, whole

UPPER, LOWER = 0.06, 0.04
"""Shares of the texts in capitals, and in small letters."""

# Here a name may be what the topic is about: the Fed, gold, a currency, a minister.
NAMED_TOPICS = frozenset(
    TOPICS.index(name)
    for name in (
        "Fed | Central Banks",
        "Treasuries | Corporate Debt",
        "Energy | Oil",
        "Currencies",
        "Gold | Metals | Materials",
        "Macro",
        "Markets",
        "Politics",
    )
)

# Targets that are no companies: what falls with one index does not fall with another.
_NO_COMPANY = re.compile(
    r"s&p|dow\b|nasdaq|nyse|tsx|russell|ftse|dax\b|nikkei|hang seng|stoxx|cac\b|wall street|index"
    r"|\bfed\b|federal reserve|\b(ecb|boj|boe|rbi|rbnz|rba|imf|opec|sec|ftc|fda)\b|central bank"
    r"|bank of (england|japan|canada|russia)|treasur|bond|stocks|shares|sector|market"
    r"|gold|silver|copper|lithium|crude|brent|\bwti\b|oil\b|gas\b|coffee|bitcoin|\bbtc\b"
    r"|dollar|euro|sterling|yen\b|yuan|pound|reuters|refinitiv|bloomberg|cnbc"
    r"|^(u\.?s\.?|u\.?k\.?|america|africa|asia|australia|brazil|brit|canad|chin|dutch|europe|franc"
    r"|french|german|greece|hong kong|india|indonesia|ital|japan|korea|mexic|russia|saudi|south"
    r"|spain|swiss|switz|taiwan|turk|ukrain)",
    re.IGNORECASE,
)

_CASHTAG = re.compile(r"\$[A-Z]{1,6}\b")
_WORD = re.compile(r"[\w&'.-]+")

_STARTS = (
    "Al An Bel Bra Cal Cor Dar Del El Fen Gar Hal In Jor Kal Kes Lin Lor Mar Mel Nor Ob Or Pel Per "
    "Qua Ral Ros Sal Sen Sol Tal Ter Tri Ul Val Ver Wex Wil Yar Zan"
).split()
_MIDDLES = "a an ar da de do en er i in ka la le li lo ma me mi na ne o ra re ri ta te va".split()
_ENDS = (
    "bay bert by corp da dine don fax ford gen kin land lex line lon max mer mont nex nova on ra "
    "ric ron sen sia son tan tech tel ter ton tra vex via ville wick yx"
).split()
_SORTS = (*("",) * 6, *"Inc Corp Group Holdings Ltd PLC Bank Energy Pharma Motors Systems".split())
_HAN = "安邦博昌成德鼎丰福光广海航合恒宏华汇吉佳建江京景凯康科蓝联龙美明"
_HAN_SORTS = ("", "", *"科技 股份 集团 电子 重工 生物 控股 传媒 材料 物流 软件 银行 能源".split())


@dataclass(frozen=True)
class Varied:
    """Examples and, for each, the names in its text that may be another's."""

    examples: Sequence[Example]
    names: Sequence[tuple[str, ...]]
    pool: tuple[str, ...]
    """real names, to be given to other texts"""
    renamed: float
    """share of the texts with names that get others"""

    def draw(self, index: int, seed: str) -> Example:
        """The example as it is to be learned this time."""
        dice = random.Random(f"{seed}/{index}")
        example = self.examples[index]
        if self.names[index] and dice.random() < self.renamed:
            example = self._renamed(example, self.names[index], dice)
        case = dice.random()
        if case < UPPER:
            return _in_case(example, str.upper)
        if case < UPPER + LOWER:
            return _in_case(example, str.lower)
        return example

    def in_epoch(self, seed: int, index: int, epoch: int, view: int) -> Example:
        """The example as one of its views is to be learned in an epoch of a run with this seed."""
        return self.draw(index, f"{seed}/{epoch}" if view == 0 else f"{seed}/{epoch}/{view}")

    def _renamed(self, example: Example, names: Sequence[str], dice: random.Random) -> Example:
        new: dict[str, str] = {}
        for name in names:
            other = self._name(name, dice)
            while other in example.text or other in new.values():
                other = self._name(name, dice)
            new[name] = other
        # All at once: what has been put in place of one name may be another one.
        pattern = re.compile("|".join(_pattern(name).pattern for name in names))
        text = pattern.sub(lambda found: new[found[0]], example.text)
        return replace(example, text=text, target=new.get(example.target or "", example.target))

    def _name(self, old: str, dice: random.Random) -> str:
        """A name of the same sort."""
        if old.startswith("$"):
            return "$" + "".join(dice.choices("ABCDEFGHIKLMNOPRSTUVWXZ", k=dice.randint(2, 5)))
        if CHINESE.search(old):
            return "".join(dice.sample(_HAN, 2)) + dice.choice(_HAN_SORTS)
        if self.pool and dice.random() < 0.5:
            return dice.choice(self.pool)
        middle = dice.choice(_MIDDLES) if dice.random() < 0.5 else ""
        name = dice.choice(_STARTS) + middle + dice.choice(_ENDS)
        return f"{name} {dice.choice(_SORTS)}".strip()


def varied(examples: Sequence[Example], renamed: float) -> Varied:
    """Find the names in the examples: all their targets, wherever they stand, and cashtags.

    ``renamed`` is the share of the texts with names that get others.
    """
    own: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        if example.target and is_company(example.target):
            own[example.text].add(example.target)
    words = Counter(word for e in examples if e.target is None for word in _WORD.findall(e.text))
    pool = sorted(
        name
        for name in set().union(*own.values())
        # "Target" and "Growth" are words as well.
        if _is_plain(name) and 4 * words[name.lower()] <= words[name]
    )
    by_word: dict[str, list[str]] = defaultdict(list)
    for name in pool:
        by_word[_WORD.findall(name)[0]].append(name)
    found = []
    for example in examples:
        if example.topic in NAMED_TOPICS:
            found.append(())
            continue
        text = example.text
        names = {*own.get(text, ()), *_CASHTAG.findall(text)}
        for word in set(_WORD.findall(text)):
            names.update(name for name in by_word.get(word, ()) if _pattern(name).search(text))
        # The longer first: "Apple" is in "Apple Inc".
        found.append(tuple(sorted(names, key=lambda name: (-len(name), name))))
    return Varied(examples, found, tuple(pool), renamed)


def is_company(name: str) -> bool:
    """Whether another may stand in its place: it is no common noun, index, commodity or office."""
    return not name.islower() and not _NO_COMPANY.search(name)


def _is_plain(name: str) -> bool:
    """Whether it means the same wherever it stands, and can stand in for another."""
    return len(name) >= 4 and name[0].isupper() and not CHINESE.search(name)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(whole(name))


def _in_case(example: Example, change: Callable[[str], str]) -> Example:
    target = None if example.target is None else change(example.target)
    return replace(example, text=change(example.text), target=target)
