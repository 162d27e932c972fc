from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.neardup import SIMILAR, NearDuplicates, similarity, triples

WORDS = "the market shares fall rise after company bank oil profit loss outlook year cut".split()


@given(st.text(max_size=30))
def test_a_text_is_nearly_itself(text: str) -> None:
    seen = NearDuplicates()
    seen.add(text)
    assert text in seen
    assert text.upper().lower() in seen or text.upper().lower().casefold() != text.casefold()


def test_an_empty_set_holds_nothing() -> None:
    assert "a text" not in NearDuplicates()


@pytest.mark.parametrize(
    ("text", "is_copy"),
    [
        ("RT: Shares of Corvane Energy fall after it cuts the outlook for the whole year", True),
        ("shares of corvane energy fall, after it cuts the outlook for the whole year!", True),
        ("Shares of Corvane Energy fall after it cuts the outlook for the half year", True),
        ("Shares of Dunmere Energy rise after it lifts the outlook for the whole year", False),
        ("Corvane", False),
    ],
)
def test_copies_are_told_from_other_news(text: str, is_copy: bool) -> None:
    seen = NearDuplicates()
    seen.add("Shares of Corvane Energy fall after it cuts the outlook for the whole year")
    assert (text in seen) is is_copy


def test_chinese_is_compared_by_characters() -> None:
    seen = NearDuplicates()
    seen.add("沅江锂能发布盈利预警，预计全年净利润同比下降六成")
    assert "沅江锂能发布盈利预警，预计全年净利润同比下降六成！" in seen
    assert "沅江锂能发布业绩预告，预计上半年净利润同比增长三成" not in seen


def test_similar_pairs_are_found_and_others_are_not() -> None:
    chance = random.Random(3)
    texts = [" ".join(chance.choices(WORDS, k=20)) for _ in range(400)]
    seen = NearDuplicates()
    for text in texts:
        seen.add(text)
    found = missed = 0
    for text in texts:
        words = text.split()
        words[-1] = "changed"
        changed = " ".join(words)
        assert similarity(triples(text), triples(changed)) >= SIMILAR
        found, missed = (found + 1, missed) if changed in seen else (found, missed + 1)
    assert missed < 0.02 * found
    assert not any(" ".join(chance.choices(WORDS, k=20)) in seen for _ in range(200))
