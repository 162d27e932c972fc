"""Changes of a text that should not change what it says, and how many labels they change. Pure.

A change gives the changed text, the same for the same seed, or None where it does not apply
(Chinese has no upper case).
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model.dataset import UNKNOWN
from model.metrics import Labels, figure
from model.targets import CHINESE, whole

Change = Callable[[str], str | None]

Ask = Callable[[Sequence[str], Sequence[str] | None], Mapping[str, Labels]]
"""Labels by head (``sentiment``, ``topic``) of texts, towards targets if there are any."""

TYPO_SHARE = 0.2
"""Share of a text's words that get a typo."""

# Without a mood of their own: a rocket would be an argument.
EMOJI = ("📊", "📰", "📌", "🔎", "🗓", "📎", "🏢", "📋")

ENGLISH_NAMES = (
    "Varnholt Group",
    "Ostrella",
    "Quillmere Holdings",
    "Tesslyn Industries",
    "Bexington",
    "Norrvik Systems",
    "Calderwyn",
    "Palumbra",
    "Hestermann & Co",
    "Ridgeholme Partners",
    "Zenovar",
    "Kirrindale",
    "Mossavelt",
    "Tarquin Bell",
    "Elverstone Labs",
)
CHINESE_NAMES = (
    "岚桥科技",
    "澄岳股份",
    "恒砚集团",
    "沐川电子",
    "禾砺重工",
    "云栎生物",
    "衡屿控股",
    "青砚传媒",
    "楚樾材料",
    "泊远物流",
    "桐序软件",
    "柏翎食品",
    "鹿泽机械",
    "松屿医药",
    "朔禾能源",
)

# Four letters or more, and no part of a ticker, a handle or a link.
_WORD = re.compile(r"(?<![\w$#@/.])[^\W\d_]{4,}(?!\w)")
_CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"


def upper_case(text: str) -> str | None:
    """All in capitals."""
    return _changed(text, text.upper())


def lower_case(text: str) -> str | None:
    """All in small letters."""
    return _changed(text, text.lower())


def typos(text: str, seed: int = 0, share: float = TYPO_SHARE) -> str | None:
    """Two letters swapped, one dropped or one doubled in a share of the words, in one at least."""
    words = list(_WORD.finditer(text))
    if not words:
        return None
    dice = _dice("typos", text, seed)
    chosen = dice.sample(words, max(1, min(len(words), round(share * len(words)))))
    for word in sorted(chosen, key=lambda match: -match.start()):
        text = text[: word.start()] + _mistyped(word[0], dice) + text[word.end() :]
    return text


def add_emoji(text: str, seed: int = 0) -> str:
    """An emoji without a mood at the end."""
    return f"{text} {_dice('emoji', text, seed).choice(EMOJI)}"


def add_link(text: str, seed: int = 0) -> str:
    """A link at the end."""
    return f"{text} https://example.com/{_dice('link', text, seed).getrandbits(40):010x}"


def add_cashtag(text: str, seed: int = 0) -> str:
    """A ticker nobody has at the end."""
    return f"{text} {_cashtag(_dice('cashtag', text, seed))}"


CHANGES: Mapping[str, Change] = {
    "upper_case": upper_case,
    "lower_case": lower_case,
    "typos": typos,
    "emoji": add_emoji,
    "link": add_link,
    "cashtag": add_cashtag,
}


def other_name(text: str, name: str, seed: int = 0) -> str:
    """An invented name of the same sort (Chinese, cashtag or other) that is not in the text."""
    dice = _dice("name", text, seed)
    if name.startswith("$"):
        return _cashtag(dice)
    pool = CHINESE_NAMES if CHINESE.search(name) else ENGLISH_NAMES
    free = [other for other in pool if other.casefold() not in text.casefold()]
    return dice.choice(free or pool)


def rename(text: str, name: str, seed: int = 0) -> str | None:
    """The text with another name wherever this one stands as a whole.

    None where it stands nowhere, and for a common noun in small letters ("banking"): the text would
    then be about something else, not about someone else.
    """
    if not name or name.islower():
        return None
    new = other_name(text, name, seed)
    return _changed(text, re.sub(whole(name), lambda _: new, text, flags=re.IGNORECASE))


def steadiness(
    texts: Sequence[str], truth: Mapping[str, Labels], before: Mapping[str, Labels], ask: Ask
) -> dict[str, Any]:
    """For each change the share of labels it leaves, and what it does to the accuracy.

    Args:
        texts: as they are.
        truth: their labels by head, ``UNKNOWN`` where there is none.
        before: the answers to them, ``UNKNOWN`` throughout a head that the model has not.
        ask: the model.

    Returns:
        Null for a change that applies to none of the texts.
    """
    return {key: _steadiness(texts, change, truth, before, ask) for key, change in CHANGES.items()}


def _steadiness(
    texts: Sequence[str],
    change: Change,
    truth: Mapping[str, Labels],
    before: Mapping[str, Labels],
    ask: Ask,
) -> dict[str, Any] | None:
    changed = {i: new for i, text in enumerate(texts) if (new := change(text)) is not None}
    if not changed:
        return None
    rows = list(changed)
    after = ask(list(changed.values()), None)
    result: dict[str, Any] = {"texts": len(rows)}
    for head, answers in before.items():
        one, other, true = answers[rows], after[head], truth[head][rows]
        if (one == UNKNOWN).all():
            continue
        known = true != UNKNOWN
        gained = ((true == other).astype(int) - (true == one))[known]
        result[head] = {
            "unchanged": figure((one == other).mean()),
            "accuracy_change": figure(gained.mean()) if len(gained) else None,
        }
    return result


def name_dependence(
    texts: Sequence[str], names: Sequence[str], ask: Ask, targets: bool = False
) -> dict[str, Any] | None:
    """Share of sentiments that change with nothing but a name; null where no name is found.

    Args:
        texts: as they are.
        names: whom each is about.
        ask: the model.
        targets: also for the sentiment towards the one named.
    """
    pairs = zip(texts, names, strict=True)
    found = [(text, name, new) for text, name in pairs if (new := rename(text, name)) is not None]
    if not found:
        return None
    old, renamed = [text for text, _, _ in found], [new for _, _, new in found]
    differs = ask(old, None)["sentiment"] != ask(renamed, None)["sentiment"]
    result: dict[str, Any] = {"texts": len(found), "changed": figure(differs.mean())}
    if targets:
        before = ask(old, [name for _, name, _ in found])
        after = ask(renamed, [other_name(text, name) for text, name, _ in found])
        result["target_changed"] = figure((before["sentiment"] != after["sentiment"]).mean())
    return result


def _changed(text: str, new: str) -> str | None:
    return None if new == text else new


def _mistyped(word: str, dice: random.Random) -> str:
    """The first letter stays, as it mostly does when people mistype."""
    at = dice.randrange(1, len(word) - 1)
    kind = dice.choice(("swap", "drop", "double"))
    if kind == "swap" and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "double":
        return word[:at] + word[at] + word[at:]
    return word[:at] + word[at + 1 :]


def _cashtag(dice: random.Random) -> str:
    return f"${''.join(dice.choices(_CONSONANTS, k=5))}"


def _dice(what: str, text: str, seed: int) -> random.Random:
    return random.Random(f"{what} {seed} {zlib.crc32(text.encode('utf-8', 'replace'))}")
