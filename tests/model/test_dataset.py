from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.dataset import (
    CORPUS,
    UNKNOWN,
    DatasetError,
    Example,
    contrasted,
    key_of,
    merge,
    read_examples,
    split,
    without,
    write_examples,
)
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
    with pytest.raises(DatasetError, match=r"unknown label 'angry'; known: negative, neutral"):
        read_examples(path)


@pytest.mark.parametrize(("line", "says"), [("{", "not JSON"), ("[1]", "not a JSON object")])
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(DatasetError, match=f"line 2: {says}"):
        read_examples(path)


def test_labels_of_one_text_are_joined_and_the_first_of_a_kind_wins() -> None:
    merged = merge([Example("A b", 0), Example("a B", 2, 5), Example("", 1), Example("c", 1)])
    assert merged == [Example("A b", 0, 5), Example("c", 1)]


def test_csv_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label,kind\n"Down, much",bearish,news\nUp,,\n')
    assert read_examples(path) == [Example("Down, much", 0, kind="news"), Example("Up")]


def test_other_labels_may_be_mapped(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"text": "x", "label": "LABEL_2"}, {"text": "y", "label": 0})
    label_map = {"LABEL_2": "positive", "0": "negative"}
    assert [e.sentiment for e in read_examples(path, label_map)] == [2, 0]


def test_targets_are_examples_of_their_own(tmp_path: Path) -> None:
    path = rows(
        tmp_path / "a.jsonl",
        {
            "text": "A up, B down",
            "sentiment": "neutral",
            "topic": "Markets",
            "targets": [
                {"name": "A", "sentiment": "positive"},
                {"name": "B", "sentiment": "negative"},
            ],
        },
        {"text": "C flat", "entities": [{"start": 0, "end": 1, "name": "C", "label": "neutral"}]},
        {"text": "D up", "entities": {"D": "positive"}},
    )
    towards = [(e.target, e.sentiment, e.topic) for e in read_examples(path, targets=True)]
    assert towards == [
        (None, 1, TOPICS.index("Markets")),
        ("A", 2, UNKNOWN),
        ("B", 0, UNKNOWN),
        (None, UNKNOWN, UNKNOWN),
        ("C", 1, UNKNOWN),
        (None, UNKNOWN, UNKNOWN),
        ("D", 2, UNKNOWN),
    ]


def test_a_row_without_a_text_is_named(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"text": "fine"}, {"label": "neutral"})
    with pytest.raises(DatasetError, match="row 2: no text"):
        read_examples(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read .*none.jsonl"):
        read_examples(tmp_path / "none.jsonl")
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b'{"text": "x"}\n' * 100)[:-10])
    with pytest.raises(DatasetError, match="cannot read .*cut.jsonl.gz"):
        read_examples(cut)


texts = st.text("aAbB ", min_size=1, max_size=3)
targets = st.none() | st.sampled_from("xyX")
examples = st.lists(
    st.builds(Example, texts, st.integers(0, 2), st.integers(0, 19), targets), max_size=12
)


@given(examples, examples)
def test_no_held_out_text_is_trained_on(found: list[Example], held_out: list[Example]) -> None:
    kept = without(merge(found), held_out)
    assert not {e.text.casefold() for e in kept} & {e.text.casefold() for e in held_out}
    assert len({key_of(e) for e in kept}) == len(kept)


def test_a_held_out_text_with_a_word_changed_is_not_trained_on() -> None:
    held_out = Example("Shares of Corvane fall 5% after the company cuts its outlook for the year")
    same = Example("RT shares of CORVANE fall 5% after the company cuts its outlook for the year!")
    other = Example("Shares of Corvane rise 7% after the company lifts its outlook for the year")
    assert without([same, other], [held_out]) == [other]


@given(examples, st.floats(0, 1))
def test_a_text_falls_on_one_side_with_all_its_targets(found: list[Example], share: float) -> None:
    first, second = split(found, share)
    assert sorted(map(str, first + second)) == sorted(map(str, found))
    assert not {e.text.casefold() for e in first} & {e.text.casefold() for e in second}
    assert split(found[::-1], share) == (first[::-1], second[::-1])


def test_a_split_has_about_the_share_that_was_asked_for() -> None:
    first, second = split([Example(f"text {n}") for n in range(2000)], 0.1)
    assert len(first) + len(second) == 2000
    assert 140 < len(second) < 260


def test_texts_whose_targets_fare_differently_come_again() -> None:
    apart = [Example("A up, B down", 2, target="A"), Example("A up, B down", 0, target="B")]
    others = [
        Example("A up, B down", 1),
        Example("A and B up", 2, target="A"),
        Example("A and B up", 2, target="B"),
        Example("A up, B unclear", 2, target="A"),
        Example("A up, B unclear", UNKNOWN, target="B"),
    ]
    assert contrasted([*apart, *others], 1) == [*apart, *others]
    assert contrasted([*apart, *others], 3) == [*apart, *others, *apart, *apart]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found = [Example("a", 0, 3, "b", "en", "news"), Example("股价", 2), Example("c", UNKNOWN, 1)]
    write_examples(tmp_path / "x.jsonl", found)
    assert read_examples(tmp_path / "x.jsonl") == found


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_corpus_that_ships_can_be_trained_on(path: Path) -> None:
    found = read_examples(path)
    assert all(example.text and example.sentiment != UNKNOWN for example in found)
    assert {example.sentiment for example in found} == {0, 1, 2}
    assert len(merge(found)) > 0.99 * len(found)


def test_the_corpus_has_both_languages_and_says_so_in_its_datasheet() -> None:
    found = [example for path in CORPUS.glob("*.jsonl") for example in read_examples(path)]
    by_language = {lang: sum(e.lang == lang for e in found) for lang in ("en", "zh")}
    assert by_language["en"] >= 4_000
    assert by_language["zh"] >= 2_000
    datasheet = (CORPUS / "README.md").read_text()
    for count in (len(found), *by_language.values()):
        assert f"{count:,}" in datasheet
    for path in CORPUS.glob("*.jsonl"):
        assert f"| `{path.name}` | {len(read_examples(path))} |" in datasheet
