"""How much a document counts: decided when it is scored, and the same live and in replay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alerts.records import utc
from stream.evidence import evidence_of, representative
from stream.novelty import signature
from stream.panes import Pane
from stream.replay import Replay, replay
from stream.scorer import BadDocument, Scorer, parse
from stream.slices import WEIGHT, Slice, decode, encode
from stream.watchlist import Entry as Watched
from stream.watchlist import Watchlist
from tests.stream.factories import (
    DAY0,
    TinyClassifier,
    bad_news,
    body,
    config,
    entry,
    quiet_days,
    raw,
)

WATCHLIST = Watchlist((Watched(id="market", match="all"),))
TOPIC = "watch:market"


def scored(weights: dict[str, float] | None = None, **fields: Any) -> tuple[float | None, int]:
    """The weight that a document is told and counted with."""
    batch = Scorer(TinyClassifier(), WATCHLIST, b"key", weights).score([raw(body(**fields))], DAY0)
    (_, document), *_ = batch.scored
    weights_of_entries = {e.weight for piece in batch.slices for e in piece.entries}
    assert len(weights_of_entries) == 1
    return document.weight, weights_of_entries.pop()


def test_the_settings_win_over_the_document_and_that_over_what_is_usual():
    assert scored() == (1.0, WEIGHT)
    assert scored(weight=0.5) == (0.5, 500)
    assert scored({"wire": 2}, weight=0.5) == (2, 2000)
    assert scored({"other": 2}, weight=0.5) == (0.5, 500)
    assert scored({"wire": 0}) == (0, 0)


def test_a_weight_over_0_never_becomes_0():
    assert scored(weight=0.0001) == (0.0001, 1)


@pytest.mark.parametrize("weight", [-0.1, 10.1, "much", "NaN", None])
def test_what_is_no_weight_is_refused(weight: object):
    if weight is None:
        assert parse(body(weight=None)).weight is None
        return
    with pytest.raises(BadDocument, match="weight"):
        parse(body(weight=weight))


def test_an_entry_of_usual_weight_is_written_as_before_there_were_weights():
    message = Slice(TOPIC, (entry(offset=1), entry(offset=2, weight=0)))
    usual, other = json.loads(encode(message))["entries"]
    assert (len(usual), len(other)) == (8, 9)
    assert decode(encode(message)) == message


def test_a_pane_of_usual_weights_is_stored_as_before_there_were_any():
    made = Pane()
    made.add(entry(offset=1))
    assert "w" not in made.to_json()
    made.add(entry(offset=2, weight=500))
    stored = made.to_json()
    assert Pane.from_json(json.loads(json.dumps(stored))) == made
    assert stored["w"] == [-500, -500 * 100]


def test_evidence_of_little_weight_comes_after_that_of_more():
    def item(text: str, **changes: Any) -> dict[str, Any]:
        return {
            **evidence_of(text, text, None, text, DAY0, 0.9),
            "story": signature(text),
            **changes,
        }

    first = item("The regulator shuts the bank of the north")
    light = item("Union votes for a strike from Monday", negative=0.99, weight=0.5)
    chosen = representative([light, first], {}, 2)
    assert [found["id"] for found in chosen] == [first["id"], light["id"]]


def stream(source: str, **fields: Any) -> list[tuple[int, bytes]]:
    """Two quiet days of two sources, then a burst of bad news from one."""
    rows = [
        body(text=text, source="wire", published_at=utc(time).isoformat())
        for time, text in quiet_days()
    ]
    for number in range(24):
        time = utc(DAY0 + 48 * 3600 + 20 * number).isoformat()
        rows.append(body(text=bad_news(number), source=source, published_at=time, **fields))
    end = utc(DAY0 + 49 * 3600).isoformat()
    rows.append(body(text="calm end", source="wire", published_at=end))
    return list(enumerate(rows))


def replayed(rows: list[tuple[int, bytes]], weights: dict[str, float] | None = None) -> Replay:
    scorer = Scorer(TinyClassifier(), WATCHLIST, b"key", weights)
    return replay(rows, scorer, config((TOPIC,), document_partitions=1))


def hour_of_burst(found: Replay) -> Any:
    return found.windows[TOPIC, 3600, DAY0 + 48 * 3600]


def test_a_burst_from_a_source_of_weight_0_is_counted_and_makes_no_alert():
    rows = stream("noise")
    assert replayed(rows).alerts
    silent = replayed(rows, {"noise": 0})
    assert silent.alerts == []
    window = hour_of_burst(silent)
    assert (window.documents, window.negative) == (24, 24)
    assert (window.stories, window.negative_stories, window.sources) == (0, 0, 0)
    assert window.mean_sentiment == 0.0
    # The document may say it itself, with the same outcome.
    said = replayed(stream("noise", weight=0))
    assert said.windows == silent.windows


def test_a_weight_changes_the_mean_and_no_count():
    end = utc(DAY0 + 49 * 3600).isoformat()
    rows = [*stream("wire"), (1000, body(text="good", source="blog", published_at=end))]
    plain, weighed = replayed(rows), replayed(rows, {"wire": 0.5})
    key = (TOPIC, 86400, DAY0 + 2 * 86400)
    counts = {"mean_sentiment"}
    assert plain.windows[key].model_dump(exclude=counts) == weighed.windows[key].model_dump(
        exclude=counts
    )
    assert plain.windows[key].mean_sentiment < weighed.windows[key].mean_sentiment
    assert [a.detected_at for a in plain.alerts] == [a.detected_at for a in weighed.alerts]
