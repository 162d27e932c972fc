from __future__ import annotations

from pathlib import Path

import pytest

from alerts.settings import DetectorSettings
from stream.watchlist import Entry, Watchlist, WatchlistError, changed_at, collisions, load

WATCHLIST = Watchlist(
    (
        Entry(id="apple", names=("Apple",), tickers=("AAPL",), exclude=("apple pie", "Big Apple")),
        Entry(id="ford", tickers=("F",)),
        Entry(id="all-co", tickers=("ALL",)),
        Entry(id="maotai", names=("茅台",), keywords=("白酒",)),
        Entry(id="oil", keywords=("crude", "Brent")),
        Entry(id="brk", tickers=("BRK.B",)),
    )
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Apple falls", ["apple"]),
        ("APPLE'S results", ["apple"]),
        ("Pineapple prices; Apples too", []),
        ("$AAPL, $aapl and AAPL", ["apple"]),
        ("aapl", []),
        ("An apple pie from the Big Apple", []),
        ("Apple sells apple pie", []),
        ("F grade; $F rallies", ["ford"]),
        ("F grade", []),
        ("ALL stocks fall", []),
        ("$ALL falls", ["all-co"]),
        ("贵州茅台大跌", ["maotai"]),
        ("白酒板块走弱 AAPL", ["apple", "maotai"]),
        ("Brent crude", ["oil"]),
        ("crudely", []),
        ("$BRK.B splits", ["brk"]),
        ("", []),
    ],
)
def test_what_a_text_mentions(text: str, found: list[str]) -> None:
    assert [m.topic for m in WATCHLIST.mentions(text)] == [f"watch:{name}" for name in found]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("apple falls", "Apple"),
        ("$aapl falls", "$aapl"),
        ("AAPL, later $AAPL", "$AAPL"),
        ("AAPL: Apple falls", "Apple"),
        ("Nothing but a tag", None),
    ],
)
def test_by_what_name_a_text_calls_it(text: str, name: str | None) -> None:
    assert WATCHLIST.mentions(text, ["AAPL"]) == [("watch:apple", name)]


def test_of_several_names_the_longest_counts() -> None:
    watchlist = Watchlist((Entry(id="x", names=("Xylo", "Xylo Energy", "Energy")),))
    assert watchlist.mentions("xylo energy falls") == [("watch:x", "Xylo Energy")]


@pytest.mark.parametrize("tag", ["AAPL", "aapl", "apple", "APPLE"])
def test_a_tag_is_an_id_or_a_ticker(tag: str) -> None:
    assert WATCHLIST.mentions("No name in here", [tag]) == [("watch:apple", None)]


def test_an_entry_may_take_everything() -> None:
    watchlist = Watchlist((Entry(id="market", match="all"), Entry(id="x", names=("Xylo",))))
    assert watchlist.mentions("anything") == [("watch:market", None)]
    assert watchlist.mentions("Xylo") == [("watch:market", None), ("watch:x", "Xylo")]
    assert watchlist.topics == ("watch:market", "watch:x")


def test_an_empty_one_finds_nothing() -> None:
    assert load(None).mentions("Apple $AAPL") == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("topics: [{id: a, names: [Ab]}, {id: a, names: [Cd]}]", "the id a occurs twice"),
        ("topics: [{id: Upper, names: [Ab]}]", r"topics\.0\.id"),
        ("topics: [{id: a}]", "needs names, tickers, keywords or 'match: all'"),
        ("topics: [{id: a, names: [A]}]", r"topics\.0\.names\.0"),
        ("topics: [{id: a, tickers: [aapl]}]", r"topics\.0\.tickers\.0"),
        ("topics: [{id: a, nmaes: [Ab]}]", r"topics\.0\.nmaes"),
        ("companies: []", "topics"),
        ("- a", "topics"),
        ("", "topics"),
        ("{", "is not YAML"),
    ],
)
def test_a_mistake_is_said_in_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "watchlist.yaml"
    path.write_text(content)
    with pytest.raises(WatchlistError, match=says) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(WatchlistError, match=r"cannot read watchlist .*: No such file"):
        load(tmp_path / "none.yaml")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "watchlist.yaml"
    path.write_text("topics:\n  - {id: moutai, names: [茅台], tickers: ['600519']}\n")
    assert load(path).mentions("茅台", ["600519"]) == [("watch:moutai", "茅台")]


# Settings of its own


def test_an_entry_may_have_its_own_thresholds_and_severity() -> None:
    common = DetectorSettings(min_stories=7, warm_up_hours=24)
    plain, own = (
        Entry(id="a", names=("Acme",)),
        Entry(
            id="b",
            names=("Bolt",),
            false_alarms_per_topic_month=2,
            min_sources=1,
            severity="critical",
        ),
    )
    assert plain.detector(common) == common
    found = own.detector(common)
    assert (found.false_alarms_per_topic_month, found.min_sources) == (2, 1)
    assert (found.min_stories, found.warm_up_hours, found.severity) == (7, 24, "critical")


@pytest.mark.parametrize(
    "line", ["severity: loud", "min_stories: 0", "false_alarms_per_topic_month: -1"]
)
def test_a_wrong_setting_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "watchlist.yaml"
    path.write_text(f"topics: [{{id: a, names: [Acme], {line}}}]\n")
    with pytest.raises(WatchlistError, match=line.split(":")[0]):
        load(path)


# What collides


def test_what_collides_is_told() -> None:
    found = collisions(
        Watchlist(
            (
                Entry(id="acme", names=("Acme",), tickers=("ACM",)),
                Entry(id="acme-foods", names=("Acme Foods",), tickers=("ACM",)),
                Entry(id="ford", names=("Ford",), tickers=("F", "ALL")),
                Entry(id="fords", keywords=("ford", "Fordham")),
                Entry(id="maotai", names=("贵州茅台",)),
                Entry(id="liquor", keywords=("茅台", "白酒")),
            )
        )
    )
    assert sorted(found) == [
        "acme, acme-foods: share the ticker 'ACM'",
        "acme: 'acme' is in 'acme foods' of acme-foods",
        "ford, fords: share the word 'ford'",
        "ford: ALL counts as $ALL and as a tag only",
        "ford: F counts as $F and as a tag only",
        "liquor: '茅台' is in '贵州茅台' of maotai",
    ]


def test_a_clear_watchlist_has_no_collisions() -> None:
    assert collisions(Watchlist((Entry(id="a", names=("Acme",)), Entry(id="m", match="all")))) == []
    assert collisions(Watchlist(())) == []


def test_an_edit_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "watchlist.yaml"
    assert changed_at(None) is None
    assert changed_at(path) is None
    path.write_text("topics: []\n")
    before = changed_at(path)
    assert before == changed_at(path)
    path.write_text("topics: [{id: a, names: [Acme]}]\n")
    assert changed_at(path) != before


def test_thousands_of_entries_are_sought_at_once() -> None:
    watchlist = Watchlist([Entry(id=f"e{n}", names=(f"Company {n} Group",)) for n in range(5000)])
    text = "Company 17 Group and Company 4999 Group merge; Company 50000 Group does not"
    assert [m.topic for m in watchlist.mentions(text)] == ["watch:e17", "watch:e4999"]
