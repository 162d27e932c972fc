from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.novelty import NoveltyIndex, signature

HORIZON = 10


def counted(index: NoveltyIndex, inserts: list[tuple[str, int]]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for story, pane in inserts:
        for owner, change in index.insert(story, pane):
            counts[owner] = counts.get(owner, 0) + change
    return {pane: count for pane, count in counts.items() if count}


def by_definition(inserts: list[tuple[str, int]]) -> dict[int, int]:
    """A pane owns a story iff no pane of the horizon before it holds it."""
    held = set(inserts)
    counts: dict[int, int] = {}
    for story, pane in held:
        if not any((story, earlier) in held for earlier in range(pane - HORIZON, pane)):
            counts[pane] = counts.get(pane, 0) + 1
    return counts


places = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 60)), max_size=40)


@given(st.data())
def test_counts_are_those_of_the_definition_in_any_order(data):
    inserts = data.draw(places)
    shuffled = data.draw(st.permutations(inserts))
    expected = by_definition(inserts)
    assert counted(NoveltyIndex(HORIZON), inserts) == expected
    assert counted(NoveltyIndex(HORIZON), shuffled) == expected


@given(places)
def test_every_step_agrees_with_the_definition(inserts):
    index = NoveltyIndex(HORIZON)
    counts: dict[int, int] = {}
    for done, (story, pane) in enumerate(inserts, 1):
        for owner, change in index.insert(story, pane):
            counts[owner] = counts.get(owner, 0) + change
        assert {p: c for p, c in counts.items() if c} == by_definition(inserts[:done])


def test_the_horizon_belongs_to_it():
    assert counted(NoveltyIndex(10), [("A", 0), ("A", 10)]) == {0: 1}
    assert counted(NoveltyIndex(10), [("A", 0), ("A", 11)]) == {0: 1, 11: 1}


def test_a_forgotten_pane_makes_no_copy_old():
    index = NoveltyIndex(10)
    index.insert("A", 0)
    index.forget("A", 0)
    index.forget("A", 5)
    index.forget("B", 0)
    assert index.insert("A", 5) == [(5, 1)]


@pytest.mark.parametrize(
    "copy",
    [
        "RT @trader: Bank halts withdrawals! https://t.example/abc",
        "via @desk bank HALTS withdrawals",
        "Bank halts   withdrawals…",
        "@someone Bank halts withdrawals",
        "Bank halts\nwithdrawals",
        "Bank halts withdrawals",
        "\N{FULLWIDTH LATIN CAPITAL LETTER B}ank halts withdrawals",
    ],
)
def test_copies_are_one_story(copy):
    assert signature(copy) == signature("Bank halts withdrawals")


def test_other_words_are_another_story():
    texts = ["Bank halts withdrawals", "Bank halts trading", "银行停止提款", "银行暂停提款"]
    assert len({signature(text) for text in texts}) == len(texts)


def test_texts_without_words_are_stories_of_their_own():
    assert signature("https://a.example/1") != signature("https://a.example/2")
    assert signature("!!!") != signature("???")


@given(st.text(max_size=50))
def test_any_text_has_a_signature_of_eleven_characters(text):
    assert len(signature(text)) == 11
    assert signature(text) == signature(text)
