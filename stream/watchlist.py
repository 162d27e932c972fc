"""The watchlist: which documents mention which watched entries.

All names and keywords of all entries are sought at once (Aho-Corasick), as whole words; a word
without spaces around it, as in Chinese, counts wherever it stands. A ticker counts as a cashtag
(``$AAPL``), as a tag of the document, or in capitals as a word of at least two letters.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import yaml
from ahocorasick_rs import AhoCorasick
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alerts.records import Severity
from alerts.settings import DetectorSettings

_CASHTAG = re.compile(r"(?<![\w$])\$([A-Za-z][A-Za-z.]{0,9})\b")
_CAPITALS = re.compile(r"(?<![\w$.])[A-Z]{2,6}(?![\w])")

# Capitals that are words more often than companies; these tickers count as cashtags or tags only.
_WORDS = frozenset(
    "ALL AM ARE AT BE BIG CAN CEO CFO CPI DD DO EPS ETF EU FOR FX GDP GO HAS HE IN IPO IT "
    "LOW ME NEW NEXT NOW OF ON ONE OR OUT PM REAL RUN SEC SEE SO SP TV UK UP US USA "
    "USD WELL YOU".split()
)


# The one in C, where it is built in: thousands of entries take the other one seconds.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

OWN = ("false_alarms_per_topic_month", "min_stories", "min_sources", "severity")
"""Detector settings that an entry may have for itself."""


class WatchlistError(Exception):
    """The watchlist is wrong; the message says in one line what to change."""


class Entry(BaseModel):
    """One watched company, sector, market or word."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    names: tuple[Annotated[str, Field(min_length=2)], ...] = ()
    tickers: tuple[Annotated[str, Field(pattern=r"^[A-Z0-9.]{1,10}$")], ...] = ()
    keywords: tuple[Annotated[str, Field(min_length=2)], ...] = ()
    exclude: tuple[Annotated[str, Field(min_length=2)], ...] = ()
    match: Literal["mentions", "all"] = "mentions"
    false_alarms_per_topic_month: Annotated[float, Field(gt=0, le=100)] | None = None
    min_stories: Annotated[int, Field(ge=1)] | None = None
    min_sources: Annotated[int, Field(ge=1)] | None = None
    severity: Severity | None = None

    @model_validator(mode="after")
    def _finds_something(self) -> Entry:
        if self.match == "mentions" and not (self.names or self.tickers or self.keywords):
            raise ValueError(f"entry {self.id} needs names, tickers, keywords or 'match: all'")
        return self

    @property
    def topic(self) -> str:
        """The monitored topic of the entry."""
        return f"watch:{self.id}"

    def detector(self, common: DetectorSettings) -> DetectorSettings:
        """The entry's detector settings: the common ones, but for what it says itself."""
        own = {name: getattr(self, name) for name in OWN if getattr(self, name) is not None}
        return common.model_copy(update=own)


class Mention(NamedTuple):
    """A watched entry that a text is about, and by what name the text calls it."""

    topic: str
    name: str | None
    """None where the text names nothing: the entry takes everything, or a tag said so"""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    topics: tuple[Entry, ...]


class Watchlist:
    """Finds the entries a text mentions."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Raises WatchlistError when two entries share an id."""
        self.entries = tuple(entries)
        for identity, times in Counter(entry.id for entry in entries).items():
            if times > 1:
                raise WatchlistError(f"watchlist: the id {identity} occurs twice")
        self._always = {i for i, e in enumerate(entries) if e.match == "all"}
        self._tickers: dict[str, set[int]] = {}
        self._tags: dict[str, set[int]] = {}
        words: dict[str, dict[int, str | None]] = {}
        for i, entry in enumerate(entries):
            for ticker in entry.tickers:
                self._tickers.setdefault(ticker, set()).add(i)
            for tag in (entry.id, *entry.tickers):
                self._tags.setdefault(tag.casefold(), set()).add(i)
            for word in (*entry.names, *entry.keywords):
                words.setdefault(word.casefold(), {})[i] = word
            for word in entry.exclude:
                words.setdefault(word.casefold(), {})[i] = None
        self._words = list(words.items())
        self._automaton = AhoCorasick([word for word, _ in self._words]) if words else None

    @property
    def topics(self) -> tuple[str, ...]:
        """The monitored topics of all entries."""
        return tuple(entry.topic for entry in self.entries)

    def mentions(self, text: str, tags: Iterable[str] = ()) -> list[Mention]:
        """The entries this text is about, in the watchlist's order."""
        found: dict[int, str | None] = dict.fromkeys(self._always)
        excluded: set[int] = set()
        for tag in tags:
            found.update(dict.fromkeys(self._tags.get(tag.casefold(), ())))
        if self._tickers:
            cashtags = [(m[0], m[1].upper()) for m in _CASHTAG.finditer(text)]
            capitals = [(m[0], m[0]) for m in _CAPITALS.finditer(text) if m[0] not in _WORDS]
            for name, ticker in reversed(cashtags + capitals):
                found.update(dict.fromkeys(self._tickers.get(ticker, ()), name))
        if self._automaton is not None:
            folded = text.casefold()
            matches = self._automaton.find_matches_as_indexes(folded, overlapping=True)
            # The longest name is the best one: "Corvane Energy" rather than "Corvane".
            for which, start, end in sorted(matches, key=lambda match: match[2] - match[1]):
                if _is_word(folded, start, end):
                    for i, word in self._words[which][1].items():
                        if word is None:
                            excluded.add(i)
                        else:
                            found[i] = word
        return [Mention(self.entries[i].topic, found[i]) for i in sorted(found.keys() - excluded)]


def changed_at(path: Path | None) -> tuple[int, int] | None:
    """What tells one state of the file from another; None where there is none."""
    try:
        state = None if path is None else path.stat()
    except OSError:
        return None
    return None if state is None else (state.st_mtime_ns, state.st_size)


def collisions(watchlist: Watchlist) -> list[str]:
    """What in a watchlist is probably not meant, a line each: one word for two, and silent tickers.

    A name inside a longer one of another entry counts for both: "Bank" in "Bank of Ostrava".
    """
    found = []
    owners: dict[str, dict[str, None]] = defaultdict(dict)
    tickers: dict[str, dict[str, None]] = defaultdict(dict)
    for entry in watchlist.entries:
        for word in (*entry.names, *entry.keywords):
            owners[word.casefold()][entry.id] = None
        for ticker in entry.tickers:
            tickers[ticker][entry.id] = None
            if len(ticker) == 1 or ticker in _WORDS:
                found.append(f"{entry.id}: {ticker} counts as ${ticker} and as a tag only")
    for what, shared in (("word", owners), ("ticker", tickers)):
        for text, owning in shared.items():
            if len(owning) > 1:
                found.append(f"{', '.join(owning)}: share the {what} {text!r}")
    if owners:
        words = list(owners)
        automaton = AhoCorasick(words)
        for word in words:
            for which, start, end in automaton.find_matches_as_indexes(word, overlapping=True):
                inner = words[which]
                others = [identity for identity in owners[inner] if identity not in owners[word]]
                if inner != word and others and _is_word(word, start, end):
                    ids = ", ".join(owners[word])
                    found.append(f"{', '.join(others)}: {inner!r} is in {word!r} of {ids}")
    return found


def _is_word(text: str, start: int, end: int) -> bool:
    """Whether no letter or digit continues the match on either side.

    Scripts without spaces (here: anything from U+2E80 on) have no such borders.
    """
    return not (
        (start > 0 and _joins(text[start - 1], text[start]))
        or (end < len(text) and _joins(text[end - 1], text[end]))
    )


def _joins(left: str, right: str) -> bool:
    return left.isalnum() and right.isalnum() and left < "\u2e80" and right < "\u2e80"


def load(path: Path | None) -> Watchlist:
    """The watchlist of a YAML file; None is an empty one.

    Raises:
        WatchlistError: the file cannot be read or is wrong; one line says where.
    """
    if path is None:
        return Watchlist(())
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
        return Watchlist(_File.model_validate(data).topics)
    except OSError as error:
        raise WatchlistError(f"cannot read watchlist {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WatchlistError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "topics"
        raise WatchlistError(f"{path}, {where}: {first['msg']}") from None
