from __future__ import annotations

import copy
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from model.labels import SENTIMENTS, TOPICS
from model.metrics import detailed
from model.report import confusion_svg, html_page, markdown, reliability_svg

VOID = {"meta", "br", "hr", "img", "link", "input"}
EVIL = '<script>alert("1")</script> & | `x`'


def figures(names: tuple[str, ...], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, len(names), (2, 80))
    kinds = {"kind": ["press-release"] * 40 + [""] * 40, "lang": ["zh"] * 80}
    return detailed(truth, predicted, rng.uniform(0.4, 1, 80), names, kinds)


def evaluation() -> dict[str, Any]:
    change = {"texts": 9, "sentiment": {"unchanged": 0.9876, "accuracy_change": -0.0123}}
    return {
        "model": {"name": "reader", "version": "v7"},
        "sets": {
            "news/dev": {
                "texts": 80,
                "sentiment": {**figures(SENTIMENTS, 1), "brier": 0.4321, "ece_before": 0.1357},
                "topic": figures(TOPICS, 2),
                "target": {
                    **figures(SENTIMENTS, 3),
                    "document_accuracy": 0.2468,
                    "by_fate": {"differ": {"rows": 31, "accuracy": 0.8, "document_accuracy": 0.1}},
                },
                "robustness": {"upper_case": None, "emoji": change},
                "names": {"texts": 77, "changed": 0.0135, "target_changed": 0.0246},
            },
            "posts/dev": {
                "texts": 3,
                "sentiment": None,
                "topic": figures(TOPICS, 4),
                "target": None,
                "robustness": {"emoji": None},
                "names": None,
            },
        },
        "throughput": {
            "texts": 83,
            "characters": 61.2,
            "rounds": 3,
            "processors": 2,
            "texts_per_second": 258.4,
        },
    }


class Page(HTMLParser):
    """Elements that are closed in the order they were opened, and what they hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_the_page_is_well_formed_and_needs_nothing_from_anywhere() -> None:
    text = html_page(evaluation())
    page = Page(text)
    assert page.open == []
    assert page.addresses == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_has_a_matrix_and_a_diagram_for_each_head() -> None:
    assert Page(html_page(evaluation())).tags.count("svg") == 8


@pytest.mark.parametrize(
    "number", ["0.1357", "0.4321", "0.2468", "0.9876", "-0.0123", "0.0135", "0.0246", "258.4"]
)
def test_both_forms_show_the_figures(number: str) -> None:
    assert number in markdown(evaluation())
    assert number in html_page(evaluation())


def test_what_was_not_measured_is_left_out() -> None:
    text = markdown(evaluation())
    assert "upper case" not in text
    posts = text[text.index("## posts/dev") :]
    assert "### Sentiment" not in posts
    assert "### Robustness" not in posts
    assert "| posts/dev | 3 | – | – | – |" in text


def test_tables_in_markdown_have_rows_as_wide_as_their_header() -> None:
    widths: list[int] = []
    for line in markdown(evaluation()).splitlines():
        if not line.startswith("|"):
            widths.clear()
            continue
        widths.append(line.replace("\\|", "").count("|"))
        assert widths[-1] == widths[0]


def test_names_from_outside_stay_text() -> None:
    result = evaluation()
    result["model"] = {"name": EVIL, "version": EVIL}
    found = copy.deepcopy(result["sets"].pop("news/dev"))
    found["sentiment"]["by_kind"] = {EVIL: found["sentiment"]["by_kind"]["press-release"]}
    result["sets"][EVIL] = found
    page = Page(html_page(result))
    assert "script" not in page.tags
    assert page.open == []
    assert EVIL in page.words
    text = markdown(result)
    assert "<script" not in text
    assert "\\`x\\`" in text


def test_svg_labels_are_escaped() -> None:
    drawn = Page(confusion_svg(["<script>", "b"], [[1, 0], [0, 0]]))
    assert "script" not in drawn.tags
    assert "<script>" in drawn.words


def test_each_row_that_was_counted_is_drawn() -> None:
    drawn = Page(confusion_svg(TOPICS, [[int(i == j) * 7 for j in range(20)] for i in range(20)]))
    assert drawn.tags.count("rect") == 400
    assert drawn.words.count("7") == 20
    part = {"low": 0.4, "high": 0.4667, "count": 9, "confidence": 0.45, "accuracy": 0.5}
    assert "9 rows, confidence 0.45, accuracy 0.5" in reliability_svg([part])
