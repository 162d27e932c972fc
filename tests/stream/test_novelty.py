from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.novelty import BITS, MARKS, NoveltyIndex, are_copies, signature

HORIZON = 10

# A and B are copies, and so are B and C, but not A and C.
A = signature("the bank of ostrava halts all withdrawals from its branches after a run on deposits")
B = signature("the bank of ostrava halts all withdrawals at its branches after a run on savings")
C = signature(
    "a bank in ostrava halts all withdrawals at its branches after a rush on savings today"
)
D = signature("coffee futures rise on frost in brazil")
STORIES = (A, B, C, D)


def test_copies_of_copies_need_not_be_copies() -> None:
    assert are_copies(A, B)
    assert are_copies(B, C)
    assert not are_copies(A, C)
    assert not any(are_copies(D, other) for other in (A, B, C))


Places = list[tuple[str, int]]


def counted(index: NoveltyIndex, inserts: Places) -> dict[int, int]:
    counts: dict[int, int] = {}
    for story, pane in inserts:
        for owner, change in index.insert(story, pane):
            counts[owner] = counts.get(owner, 0) + change
    return {pane: count for pane, count in counts.items() if count}


def by_definition(inserts: Places) -> dict[int, int]:
    """A story counts iff no copy comes before it, within the horizon."""
    held = {(pane, story) for story, pane in inserts}
    counts: dict[int, int] = {}
    for pane, story in held:
        if not any(
            other < (pane, story) and pane - other[0] <= HORIZON and are_copies(other[1], story)
            for other in held
        ):
            counts[pane] = counts.get(pane, 0) + 1
    return counts


places = st.lists(st.tuples(st.sampled_from(STORIES), st.integers(0, 60)), max_size=40)


@given(st.data())
def test_counts_are_those_of_the_definition_in_any_order(data: st.DataObject) -> None:
    inserts = data.draw(places)
    shuffled = data.draw(st.permutations(inserts))
    expected = by_definition(inserts)
    assert counted(NoveltyIndex(HORIZON), inserts) == expected
    assert counted(NoveltyIndex(HORIZON), shuffled) == expected


@given(places)
def test_every_step_agrees_with_the_definition(inserts: Places) -> None:
    index = NoveltyIndex(HORIZON)
    counts: dict[int, int] = {}
    for done, (story, pane) in enumerate(inserts, 1):
        for owner, change in index.insert(story, pane):
            counts[owner] = counts.get(owner, 0) + change
        assert {p: c for p, c in counts.items() if c} == by_definition(inserts[:done])


def test_the_horizon_belongs_to_it() -> None:
    assert counted(NoveltyIndex(10), [(A, 0), (B, 10)]) == {0: 1}
    assert counted(NoveltyIndex(10), [(A, 0), (B, 11)]) == {0: 1, 11: 1}


def test_a_forgotten_pane_makes_no_copy_old() -> None:
    index = NoveltyIndex(10)
    index.insert(A, 0)
    index.forget(A, 0)
    index.forget(A, 5)
    index.forget(D, 0)
    assert index.insert(B, 5) == [(5, 1)]


@given(places)
def test_what_is_forgotten_takes_no_room(inserts: Places) -> None:
    index = NoveltyIndex(HORIZON)
    for story, pane in inserts:
        index.insert(story, pane)
    for story, pane in inserts:
        index.forget(story, pane)
    assert not any((index._panes, index._before, index._stories, index._rows))
    assert counted(index, inserts) == by_definition(inserts)


def test_many_stories_are_kept_apart() -> None:
    dice = random.Random(1)
    texts = [" ".join(f"w{dice.randrange(50_000)}" for _ in range(12)) for _ in range(1000)]
    index = NoveltyIndex(HORIZON)
    assert counted(index, [(signature(text), 0) for text in texts]) == {0: 1000}
    assert counted(index, [(signature(f"RT @a: {text}"), 1) for text in texts]) == {}


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
def test_copies_without_a_word_changed_have_one_signature(copy: str) -> None:
    assert signature(copy) == signature("Bank halts withdrawals")


def test_other_words_are_another_story() -> None:
    texts = ["Bank halts withdrawals", "Coffee rises on frost", "银行停止提款", "咖啡期货上涨"]
    for i, text in enumerate(texts):
        assert not any(are_copies(signature(text), signature(other)) for other in texts[:i])


def test_a_chinese_text_with_a_word_changed_is_a_copy() -> None:
    one = "岚桥科技周四公告称公司董事长因涉嫌内幕交易被证监会立案调查股价盘中跌停"
    other = "岚桥科技周五公告称公司董事长因涉嫌内幕交易被证监会立案调查股价开盘跌停"
    assert are_copies(signature(one), signature(other))


def test_a_chinese_text_with_numbers_in_it_is_a_copy_when_a_word_is_changed() -> None:
    one = "北屿生物公告称公司因信息披露违规被证监会罚款400万元董事长被警告"
    other = "北屿生物公告称公司因信息披露违规被证监会罚款400万元总经理被警告"
    assert are_copies(signature(one), signature(other))


def test_stories_in_the_same_words_are_told_apart_by_their_numbers() -> None:
    text = (
        "$TARNWK Tarnwick cut to sell at {}, price target lowered to {} from {} on refinery outage"
    )
    stories = [signature(text.format(*numbers)) for numbers in (("1", "2", "3"), ("4", "5", "6"))]
    words = [signature(text.format(*words)) for words in (("a", "b", "c"), ("d", "e", "f"))]
    assert not are_copies(*stories)
    assert are_copies(*words)
    assert are_copies(stories[0], words[0])


def test_a_text_cut_off_before_its_number_is_a_copy() -> None:
    whole = "Halden Rail Q1 net profit falls on weak freight demand, says it needs 12 million"
    assert are_copies(signature(whole), signature(whole.rpartition(" says")[0]))


def test_a_number_put_into_each_copy_makes_no_story_of_it() -> None:
    text = "Bank of Ostrava halts withdrawals after a run on deposits #{}"
    copies = [(signature(text.format(number)), 0) for number in range(1000, 1300)]
    assert counted(NoveltyIndex(HORIZON), copies) == {0: 1}


def test_a_signature_of_words_alone_is_compared_by_words() -> None:
    """What an earlier version stored has 16 characters."""
    one = "Halden Rail Q1 net profit falls 12 percent on weak freight demand"
    assert are_copies(signature(one), signature(one)[:16])
    assert signature("Halden Rail net profit falls")[16:] == "AAAA"


def test_texts_without_words_are_stories_of_their_own() -> None:
    assert signature("https://a.example/1") != signature("https://a.example/2")
    assert signature("!!!") != signature("???")


@given(st.text(max_size=50))
def test_any_text_has_a_signature_of_twenty_characters(text: str) -> None:
    assert len(signature(text)) == (BITS + MARKS) / 6
    assert signature(text) == signature(text)
    assert are_copies(signature(text), signature(text))
