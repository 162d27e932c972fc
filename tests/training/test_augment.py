"""Variations say the same of somebody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from model.augment import is_company, varied
from model.dataset import Example
from model.encoding import Tokenized
from model.labels import TOPICS

TEXTS = [
    Example("Ostrava Steel slumps while Kirrin Foods soars", 1, 14),
    Example("Ostrava Steel slumps while Kirrin Foods soars", 0, target="Ostrava Steel"),
    Example("Ostrava Steel slumps while Kirrin Foods soars", 2, target="Kirrin Foods"),
    Example("Brokers cut Ostrava Steel again", 0, 0),
    Example("岚桥科技跌停,大盘平稳", 0, target="岚桥科技"),
    Example("$ABCD falls, $ABCDE does not", 0, 19),
    Example("Gold slips as the dollar firms", 0, target="Gold"),
    Example("Ostrava Steel helps the rouble", 1, TOPICS.index("Currencies")),
    Example("nothing here", 1),
]
VARIED = varied(TEXTS, 0.5)


def drawn(index: int) -> list[Example]:
    return [VARIED.draw(index, f"1/{epoch}") for epoch in range(60)]


@pytest.mark.parametrize("index", range(len(TEXTS)))
@given(seed=st.text(max_size=5))
def test_labels_stay_and_a_seed_repeats(index: int, seed: str) -> None:
    new = VARIED.draw(index, seed)
    assert (new.sentiment, new.topic) == (TEXTS[index].sentiment, TEXTS[index].topic)
    assert new == VARIED.draw(index, seed)


def test_a_target_is_renamed_where_it_stands_and_so_are_the_others() -> None:
    renamed = [e for e in drawn(1) if e.target.casefold() != "ostrava steel"]
    assert 15 < len(renamed) < 50
    for example in renamed:
        assert example.text.startswith(example.target)
        assert "ostrava" not in example.text.casefold()
        assert "kirrin" not in example.text.casefold()
        assert "slumps while" in example.text.casefold()
    assert len({example.target for example in renamed}) > 10


@pytest.mark.parametrize(("share", "kept"), [(0.0, {True}), (1.0, {False})])
def test_as_many_are_renamed_as_is_asked(share: float, kept: set[bool]) -> None:
    variations = varied(TEXTS, share)
    drawn = (variations.draw(1, f"1/{epoch}").text.casefold() for epoch in range(20))
    assert {"ostrava" in text for text in drawn} == kept


def test_a_name_known_from_targets_is_found_in_other_texts() -> None:
    assert any("Ostrava" not in e.text and e.text.startswith("Brokers cut") for e in drawn(3))


def test_chinese_names_and_cashtags_get_their_like() -> None:
    chinese = {e.text for e in drawn(4)} - {TEXTS[4].text}
    assert chinese
    assert all(text.endswith("跌停,大盘平稳") for text in chinese)
    tags = [e.text for e in drawn(5) if "ABCD" not in e.text.upper()]
    assert tags
    assert all(text.count("$") == 2 for text in tags)


@pytest.mark.parametrize("index", [6, 7, 8])
def test_what_a_text_is_about_is_not_renamed(index: int) -> None:
    same = TEXTS[index].text.casefold()
    assert {e.text.casefold() for e in drawn(index)} == {same}
    assert len({e.text for e in drawn(index)}) > 1  # other case, now and then


@pytest.mark.parametrize(
    ("name", "whether"),
    [("Apple", True), ("S&P 500", False), ("the Fed", False), ("banking", False), ("茅台", True)],
)
def test_companies(name: str, whether: bool) -> None:
    assert is_company(name) is whether


def test_each_epoch_learns_another_variation(backbone) -> None:
    tokenizer = AutoTokenizer.from_pretrained(backbone("bert"))
    data = Tokenized(
        TEXTS, tokenizer, 32, lambda index, epoch, view: Example(f"Acme {'meets ' * epoch}")
    )
    lengths = []
    for epoch in range(3):
        data.set_epoch(epoch)
        lengths.append(len(data[0]["input_ids"]))
    assert lengths == sorted(set(lengths))
    assert data[0]["sentiment"] == TEXTS[0].sentiment
