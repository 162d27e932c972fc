from __future__ import annotations

import random
import re
from itertools import combinations

import pytest

from benchmarks.novelty import (
    ENOUGH,
    Tweet,
    body,
    changed,
    counted_as_one,
    in_common,
    joined,
    kind_of_copy,
    random_pairs,
    retweet_pairs,
    share,
    words_apart,
)
from benchmarks.templates import TEMPLATES
from stream.windows import HORIZON

STORY = "$OLDMR Oldenmoor halts withdrawals from all of its branches, says it needs time"


@pytest.mark.parametrize(
    "retweet",
    [
        f"RT @desk: {STORY}",
        f"rt @desk {STORY} http://t.example/other",
        f"RT @a: RT @b: {STORY} @someone",
        f"RT @desk: {STORY} http://t…",
        f"RT @desk: {STORY} htt…",
        f"RT @desk: {STORY}...",
    ],
)
def test_a_retweet_of_the_same_words_is_a_copy(retweet: str) -> None:
    assert kind_of_copy(retweet, f"{STORY} http://t.example/1") == "same words"


def test_a_retweet_that_was_cut_off_is_a_copy() -> None:
    assert kind_of_copy(f"RT @desk: {STORY[:60]}…", STORY) == "the beginning"
    assert kind_of_copy(f"RT @desk: {STORY[: ENOUGH - 1]}…", STORY) is None


def test_what_is_no_retweet_or_has_other_words_is_no_copy() -> None:
    assert kind_of_copy(STORY, STORY) is None
    assert kind_of_copy(f"RT @desk: {STORY}", f"Today {STORY}") is None
    assert kind_of_copy(f"RT @desk: {STORY.replace('time', 'money')}", STORY) is None
    assert kind_of_copy("RT @desk: http://t.example/1", "http://t.example/2") is None


def test_a_body_keeps_its_words() -> None:
    assert body("Profit &amp; loss\n of $ACME @ http://a.example/x?y #stocks") == (
        "Profit & loss of $ACME #stocks"
    )
    assert body("a start @nobo… http://a.ex…") == "a start"


def test_pairs_are_of_one_ticker_within_the_horizon_and_there_once() -> None:
    retweet = f"RT @desk: {STORY}"
    posts = [
        Tweet(0, "A", STORY),
        Tweet(5, "A", retweet),
        Tweet(5, "B", retweet),
        Tweet(6, "A", retweet),
        Tweet(7, "A", f"RT @other: {STORY}"),
    ]
    assert retweet_pairs(posts) == {
        (STORY, retweet): "same words",
        (STORY, f"RT @other: {STORY}"): "same words",
        (f"RT @desk: {STORY}", f"RT @other: {STORY}"): "same words",
    }
    assert retweet_pairs([Tweet(0, "A", STORY), Tweet(HORIZON + 1, "A", retweet)]) == {}


def test_words_in_common_and_apart() -> None:
    assert in_common("RT @x: Bank halts trading", "bank HALTS payments http://a.example") == 0.5
    assert words_apart("Bank halts trading", "the bank halts payments") == 2
    assert words_apart("银行停止提款", "银行恢复提款") == 2


def test_so_many_words_are_changed() -> None:
    pool = [f"other{n}" for n in range(100)]
    for count in range(6):
        assert words_apart(STORY, changed(STORY, count, pool, random.Random(1))) == count


def test_random_pairs_are_of_one_ticker_and_no_copies() -> None:
    texts = {
        ticker: [f"{ticker} {word}" for word in ("rises", "falls", "stays")] for ticker in "AB"
    }
    posts = [Tweet(0, ticker, text) for ticker, own in texts.items() for text in own]
    posts += [Tweet(0, "A", STORY), Tweet(0, "A", f"RT @x: {STORY[:50]}…")]
    for one, other in random_pairs(posts, 200, random.Random(1)):
        assert one != other
        assert one[0] == other[0] or STORY[0] in (one[0], other[0]) or "RT" in one + other
        assert {body(one), body(other)} != {STORY, STORY[:50].strip()}


def test_there_are_templates_of_every_style_with_fillings_of_their_own() -> None:
    assert len(TEMPLATES) >= 25
    assert sum(template.style == "chinese" for template in TEMPLATES) >= 6
    assert {t.style for t in TEMPLATES} == {"tweet", "headline", "release", "chinese"}
    texts = [text for template in TEMPLATES for text in template.texts]
    assert len(set(texts)) == len(texts)
    assert all(len(template.texts) in (3, 4) for template in TEMPLATES)


def test_fillings_differ_by_more_than_a_number() -> None:
    for template in TEMPLATES:
        for one, other in combinations(template.texts, 2):
            assert words_apart(re.sub(r"\d", "", one), re.sub(r"\d", "", other)) >= 3


def test_one_form_of_words_told_on_both_sides_is_counted_as_two() -> None:
    bad = "Oldenmoor shares plunge 12% after it warns of a heavy loss this year"
    good = "Oldenmoor shares soar 12% after it tells of a heavy profit this year"
    assert joined((bad, good))
    assert not counted_as_one((bad, good))
    assert counted_as_one((bad, f"RT @desk: {bad} http://t.example/1"))
    found = share([(bad, good), (bad, bad.upper()), (bad, STORY)])
    assert found == {"pairs": 3, "joined": 0.6667, "counted_as_one": 0.3333}
