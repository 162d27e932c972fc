from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.dataset import CORPUS, UNKNOWN, Example, merge, read_examples, without
from model.labels import TOPICS


def rows(path: Path, *found: object) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in found)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_labels_of_either_kind_are_read(tmp_path: Path, name: str) -> None:
    path = rows(
        tmp_path / name,
        {"text": "Down", "label": "bearish"},
        {"text": "Up &amp; away", "label": "bullish"},
        {"text": "Rates", "label": "Fed | Central Banks"},
        {"text": "Both", "sentiment": "neutral", "topic": "Macro"},
        {"text": "Neither"},
    )
    assert read_examples(path) == [
        Example("Down", 0),
        Example("Up & away", 2),
        Example("Rates", UNKNOWN, 1),
        Example("Both", 1, TOPICS.index("Macro")),
        Example("Neither"),
    ]


def test_a_label_that_is_none_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"text": "x", "label": "angry"})
    with pytest.raises(ValueError, match=r"unknown label 'angry'; known: negative, neutral"):
        read_examples(path)


@pytest.mark.parametrize(("line", "says"), [("{", "not JSON"), ("[1]", "not a JSON object")])
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(ValueError, match=f"line 2: {says}"):
        read_examples(path)


def test_labels_of_one_text_are_joined_and_the_first_of_a_kind_wins() -> None:
    merged = merge([Example("A b", 0), Example("a B", 2, 5), Example("", 1), Example("c", 1)])
    assert merged == [Example("A b", 0, 5), Example("c", 1)]


texts = st.text("aAbB ", min_size=1, max_size=3)
examples = st.lists(st.builds(Example, texts, st.integers(0, 2), st.integers(0, 19)), max_size=12)


@given(examples, examples)
def test_no_held_out_text_is_trained_on(found: list[Example], held_out: list[Example]) -> None:
    kept = without(merge(found), held_out)
    assert not {e.text.casefold() for e in kept} & {e.text.casefold() for e in held_out}
    assert len({e.text.casefold() for e in kept}) == len(kept)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_corpus_that_ships_can_be_trained_on(path: Path) -> None:
    found = read_examples(path)
    assert all(example.text and example.sentiment != UNKNOWN for example in found)
    assert {example.sentiment for example in found} == {0, 1, 2}
    assert len(merge(found)) > 0.99 * len(found)
