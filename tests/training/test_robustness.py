from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.dataset import UNKNOWN
from model.robustness import (
    CHANGES,
    CHINESE_NAMES,
    EMOJI,
    ENGLISH_NAMES,
    add_cashtag,
    add_emoji,
    add_link,
    lower_case,
    name_dependence,
    other_name,
    rename,
    steadiness,
    typos,
    upper_case,
)
from model.text import clean

TEXT = "Acme cuts its outlook as Bolt gains on $ACME, see www.example.org/outlook"
LABELS = {"up": 2, "down": 0}


@given(st.text(max_size=80), st.sampled_from(sorted(CHANGES)))
def test_a_change_is_the_same_each_time_and_never_none_at_all(text: str, key: str) -> None:
    changed = CHANGES[key](text)
    assert changed == CHANGES[key](text)
    assert changed != text


def test_case_changes_only_where_there_is_case() -> None:
    assert (upper_case("Up 5%"), lower_case("Up 5%")) == ("UP 5%", "up 5%")
    assert upper_case("UP") is None
    assert lower_case("股价大跌 5%") is None


@given(st.integers(0, 500))
def test_typos_spare_short_words_tickers_links_and_first_letters(seed: int) -> None:
    changed = typos(TEXT, seed=seed, share=1)
    assert changed is not None
    for kept in ("its", "as", "on", "$ACME", "www.example.org/outlook"):
        assert kept in changed.replace(",", "").split()
    before, after = TEXT.split(), changed.split()
    assert [word[0] for word in before] == [word[0] for word in after]
    for old, new in zip(before, after, strict=True):
        assert abs(len(old) - len(new)) <= 1


def test_typos_stand_in_the_asked_share_of_words_and_in_one_at_least() -> None:
    text = " ".join(["shares"] * 20)
    changed = [typos(text, seed=seed, share=0.25) or "" for seed in range(20)]
    assert {sum(word != "shares" for word in t.split()) for t in changed} == {5}
    assert len(set(changed)) > 1
    assert typos("shares", share=0.01) not in (None, "shares")
    assert typos("up 5% on it") is None


def test_what_is_added_is_added_and_nothing_else() -> None:
    assert add_emoji(TEXT).removeprefix(f"{TEXT} ") in EMOJI
    assert add_link(TEXT).startswith(f"{TEXT} https://")
    assert clean(add_link("Acme falls")) == "Acme falls"
    cashtag = add_cashtag(TEXT).removeprefix(f"{TEXT} ")
    assert cashtag[0] == "$"
    assert cashtag[1:].isupper()
    assert add_cashtag(TEXT, seed=1) != add_cashtag(TEXT, seed=2)


def test_a_name_is_replaced_wherever_it_stands_as_a_whole() -> None:
    text = "Acme sues Acmex; ACME's (Acme) $ACME"
    new = other_name(text, "Acme")
    assert new in ENGLISH_NAMES
    assert rename(text, "Acme") == f"{new} sues Acmex; {new}'s ({new}) $ACME"


def test_a_chinese_name_gets_a_chinese_one_without_spaces_around() -> None:
    new = other_name("消息称沐川电子大涨", "沐川电子")
    assert new in CHINESE_NAMES
    assert new != "沐川电子"
    assert rename("消息称沐川电子大涨", "沐川电子") == f"消息称{new}大涨"


def test_a_cashtag_gets_another_cashtag() -> None:
    assert rename("$HLVX down", "$HLVX") == f"{other_name('$HLVX down', '$HLVX')} down"
    assert other_name("$HLVX down", "$HLVX").startswith("$")


@pytest.mark.parametrize("name", ["Bolt", "", "banking"])
def test_no_name_no_change(name: str) -> None:
    assert rename("Acme slips, banking shares too", name) is None


@given(st.sampled_from(ENGLISH_NAMES + CHINESE_NAMES), st.integers(0, 99))
def test_the_new_name_is_not_in_the_text_already(name: str, seed: int) -> None:
    text = f"{name} and {ENGLISH_NAMES[0].upper()} and {CHINESE_NAMES[0]}"
    new = other_name(text, name, seed)
    assert new.casefold() not in text.casefold()


def test_names_with_signs_are_taken_literally() -> None:
    assert rename("A+B (US) falls, AAB US stays", "A+B (US)") is not None
    assert rename("AAB US falls", "A+B (US)") is None


def by_word(texts: Sequence[str], names: Sequence[str] | None) -> Mapping[str, np.ndarray]:
    """Reads the last word, minding its case, and knows no topics."""
    found = [LABELS.get(text.split()[-1], 1) for text in texts]
    return {"sentiment": np.array(found), "topic": np.full(len(texts), UNKNOWN)}


def test_steadiness_counts_labels_that_stay_and_points_that_go() -> None:
    texts = ["it is up", "it is down", "as it was", "it was up"]
    truth = {"sentiment": np.array([2, 0, 1, UNKNOWN]), "topic": np.full(4, UNKNOWN)}
    found = steadiness(texts, truth, by_word(texts, None), by_word)
    assert found["upper_case"] == {
        "texts": 4,
        "sentiment": {"unchanged": 0.25, "accuracy_change": -0.6667},
    }
    assert found["lower_case"] is None
    assert found["emoji"]["sentiment"]["unchanged"] == 0.25


def test_steadiness_of_texts_without_labels_has_no_accuracy() -> None:
    none = {"sentiment": np.array([UNKNOWN]), "topic": np.array([UNKNOWN])}
    found = steadiness(["it is up"], none, by_word(["it is up"], None), by_word)
    assert found["link"]["sentiment"] == {"unchanged": 0.0, "accuracy_change": None}


def by_name(texts: Sequence[str], names: Sequence[str] | None) -> Mapping[str, np.ndarray]:
    """Likes Acme, and whoever is asked for that is Bolt."""
    likes = [
        ("Acme" in text) if names is None else (names[i] == "Bolt") for i, text in enumerate(texts)
    ]
    return {"sentiment": np.array(likes) * 2}


def test_name_dependence_is_the_share_of_labels_that_go_with_the_name() -> None:
    texts, names = ["Acme opens", "Bolt opens", "Crane opens"], ["Acme", "Bolt", "Elm"]
    assert name_dependence(texts, names, by_name) == {"texts": 2, "changed": 0.5}
    found = name_dependence(texts, names, by_name, targets=True)
    assert found == {"texts": 2, "changed": 0.5, "target_changed": 0.5}
    assert name_dependence(texts[2:], names[2:], by_name) is None
