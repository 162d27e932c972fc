from __future__ import annotations

import json
import re
from typing import Any

import pytest

from model.card import card
from model.labels import SENTIMENTS, TOPICS
from tests.training.test_report import evaluation

# Numbers as words of their own: not the one in "F1", nor a licence's version.
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-\d+)?(?![\w])")
LICENCE = "ODC-BY 1.0"

ABOUT: dict[str, Any] = {
    "name": "barograph-e5-small",
    "version": "0a1b2c",
    "sentiments": list(SENTIMENTS),
    "topics": list(TOPICS),
    "languages": ["en", "zh"],
    "max_tokens": 128,
    "sha256": {"model.onnx": "25ff67", "tokenizer.json": "79ea22"},
    "temperature": {"sentiment": 1.2345, "topic": 0.9876},
    "parity": {"texts": 1428, "sentiment_agreement": 0.9931, "largest_difference": 0.0808},
    "training": {
        "settings": {"epochs": 2.0, "learning_rate": 1e-05, "method": "full", "bf16": True},
        "minutes": 61.5,
        "versions": {"python": "3.12.3"},
    },
    "data": {
        "twitter_financial_sentiment/train.jsonl.gz": "aa11",
        "twitter_financial_topic/valid_clean.jsonl.gz": "bb22",
        "finentity/paragraphs.jsonl.gz": "cc33",
        "wire_en.jsonl": "dd44",
    },
}


def test_every_number_in_the_card_stands_in_its_inputs() -> None:
    text = card(ABOUT, evaluation()).replace(LICENCE, "")
    known = set(NUMBER.findall(json.dumps([ABOUT, evaluation()])))
    found = set(NUMBER.findall(text))
    assert found - known == set()
    assert {"1428", "0.9931", "0.0808", "1.2345", "0.9876", "128", "258.4", "1e-05"} <= found


@pytest.mark.parametrize(
    "section",
    [
        "What it is",
        "Intended use",
        "Training data",
        "Training",
        "Figures",
        "Calibration",
        "Robustness",
        "Limits",
        "How to repeat",
    ],
)
def test_the_card_has_what_a_reader_looks_for(section: str) -> None:
    text = card(ABOUT, evaluation())
    assert f"\n## {section}\n\n" in text
    assert text.startswith("# barograph-e5-small\n")
    assert "English and Chinese" in text


@pytest.mark.parametrize(
    ("file", "use", "licence"),
    [
        ("twitter_financial_sentiment/train.jsonl.gz", "training", "MIT"),
        ("twitter_financial_topic/valid_clean.jsonl.gz", "held out", "MIT"),
        ("finentity/paragraphs.jsonl.gz", "training", LICENCE),
        ("wire_en.jsonl", "training", "the project's own corpus"),
    ],
)
def test_each_file_of_the_data_has_its_use_and_licence(file: str, use: str, licence: str) -> None:
    text = card(ABOUT, evaluation())
    assert f"| {file} | {use} | {licence}" in text
    assert "yixuantt/FinEntity" in text


def test_runs_that_go_on_from_one_another_stand_beside_each_other() -> None:
    first = {"settings": {"epochs": 6, "seed": 1}, "data": {"elsewhere/a.csv": "aa"}}
    second = {"settings": {"epochs": 2, "soft": 0.7}, "data": {"elsewhere/b.csv": "bb"}}
    about = {**ABOUT, "data": None, "training": {**second, "after": first, "minutes": 5}}
    text = card(about, evaluation())
    assert "| setting or outcome | run 1 | run 2 |" in text
    assert "| settings.epochs | 6 | 2 |" in text
    assert "| settings.seed | 1 | |" in text.replace("|  |", "| |")
    assert "| minutes | | 5 |" in text.replace("|  |", "| |")
    assert "elsewhere/a.csv" in text
    assert "elsewhere/b.csv" in text


def test_runs_whose_mean_was_taken_stand_in_one_column() -> None:
    first = {"mean_of": 2, "settings": {"seed": [1, 2]}}
    about = {**ABOUT, "training": {"settings": {"seed": 3}, "after": first}}
    text = card(about, evaluation())
    assert "| settings.seed | [1, 2] | 3 |" in text
    assert "A list is of runs side by side" in text


def test_data_may_stand_in_the_training_or_nowhere() -> None:
    nested = {**ABOUT, "training": {"data": ABOUT["data"]}}
    del nested["data"]
    assert "| finentity/paragraphs.jsonl.gz | training |" in card(nested, evaluation())
    unknown = {**ABOUT, "data": ["elsewhere/x.csv"]}
    assert "| elsewhere/x.csv | training | not stated |" in card(unknown, evaluation())
    nowhere = {**ABOUT, "data": {}}
    text = card(nowhere, evaluation())
    assert "does not name its files" in text
    assert "yixuantt/FinEntity" in text


def test_figures_of_the_evaluation_are_in_the_card() -> None:
    text, found = card(ABOUT, evaluation()), evaluation()["sets"]["news/dev"]
    figures = found["sentiment"]
    row = f"| news/dev | sentiment | 80 | {figures['accuracy']} | {figures['macro_f1']} |"
    assert row in text
    assert f"| news/dev | sentiment | {figures['ece']} | 0.1357 |" in text
    assert "| news/dev | that differ | 31 | 0.8 | 0.1 |" in text
    assert "| news/dev | emoji | 9 | 0.9876 | -0.0123 |" in text
    assert "| news/dev | 77 | 0.0135 | 0.0246 |" in text


def test_what_is_not_known_is_not_claimed() -> None:
    keys = ("name", "version", "sentiments", "topics", "languages")
    bare = {key: ABOUT[key] for key in keys}
    found = evaluation()
    found["sets"] = {"posts/dev": found["sets"]["posts/dev"]}
    del found["throughput"]
    text = card(bare, found)
    for word in ("Throughput", "quantized", "temperature fitted", "## Robustness", "tokens"):
        assert word not in text


def test_names_from_outside_break_no_table() -> None:
    found = evaluation()
    found["sets"]["<b>a|b"] = found["sets"].pop("posts/dev")
    text = card(ABOUT, found)
    assert "| &lt;b>a\\|b | topic |" in text
