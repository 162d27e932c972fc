from __future__ import annotations

import re

from model.labels import SENTIMENTS, TOPICS, slug


def test_a_slug_is_one_word_for_metrics_and_topics() -> None:
    assert slug("Energy | Oil") == "energy-oil"
    assert slug("M&A | Investments") == "ma-investments"
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug(topic)) for topic in TOPICS)


def test_no_two_labels_share_a_slug() -> None:
    assert len({slug(topic) for topic in TOPICS}) == len(TOPICS) == 20
    assert SENTIMENTS == ("negative", "neutral", "positive")
