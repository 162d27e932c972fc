"""How far the model's inputs and outputs have shifted."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.drift import ENOUGH, ENOUGH_EARLIER, INPUTS, Drift, stability_index
from stream.metrics import Metrics
from stream.records import ScoredDocument
from stream.scorer import Batch, Scorer
from stream.watchlist import Watchlist
from tests.stream.factories import DAY0, TinyClassifier, body, raw

DAY = 86_400
THRESHOLD = 0.2
WORDS = {"negative": "bad", "neutral": "plain", "positive": "good"}


def scored(*texts: str, **fields: str) -> list[ScoredDocument]:
    scorer = Scorer(TinyClassifier(), Watchlist(()), b"key")
    messages = [raw(body(text=text, **fields), n) for n, text in enumerate(texts)]
    return [document for _, document in scorer.score(messages, DAY0).scored]


BAD, PLAIN, GOOD = scored("bad", "plain", "good")
LONG, FOREIGN = scored("plain " * 100)[0], scored("plain", lang="und")[0]
DRAW = random.Random(7)


def usual() -> ScoredDocument:
    return DRAW.choices((BAD, PLAIN, GOOD, LONG, FOREIGN), (20, 45, 25, 5, 5))[0]


def watched(days: Sequence[Callable[[], ScoredDocument]], each: int = 1000) -> dict[str, float]:
    """What is said after days of so many documents each, spread over the hours."""
    drift = Drift()
    said: dict[str, float] = {}
    for day, draw in enumerate(days):
        for hour in range(24):
            documents = [draw() for _ in range(each // 24)]
            said = drift.add(documents, DAY0 + day * DAY + hour * 3600)
    return said


def test_what_stays_as_it_was_has_not_drifted() -> None:
    said = watched([usual] * 30)
    assert said.keys() == INPUTS.keys()
    assert all(index < 0.03 for index in said.values()), said


@pytest.mark.parametrize(
    ("draw", "shifted"),
    [
        (lambda: DRAW.choice((BAD, BAD, usual())), {"sentiment"}),
        (lambda: DRAW.choice((LONG, usual())), {"text_length"}),
        (lambda: DRAW.choice((FOREIGN, usual())), {"language"}),
    ],
    ids=["sentiment", "text_length", "language"],
)
def test_a_shift_shows_within_two_days_in_its_own_input(
    draw: Callable[[], ScoredDocument], shifted: set[str]
) -> None:
    said = watched([usual] * 30 + [draw] * 2)
    assert shifted <= {name for name, index in said.items() if index > THRESHOLD}, said


def test_a_model_that_is_less_sure_shows() -> None:
    def unsure() -> ScoredDocument:
        document = usual()
        sentiment = document.sentiment.model_copy(
            update={"negative": 0.3, "neutral": 0.4, "positive": 0.3}
        )
        return document.model_copy(update={"sentiment": sentiment})

    said = watched([usual] * 10 + [unsure])
    assert said["confidence"] > THRESHOLD


def test_what_stays_shifted_becomes_usual() -> None:
    def other() -> ScoredDocument:
        return DRAW.choice((BAD, usual()))

    assert watched([usual] * 30 + [other] * 2)["sentiment"] > THRESHOLD
    assert watched([usual] * 30 + [other] * 60)["sentiment"] < THRESHOLD / 2


def test_too_few_documents_say_nothing() -> None:
    drift = Drift()
    assert drift.add([PLAIN] * int(ENOUGH_EARLIER - 1), DAY0) == {}
    assert drift.add([PLAIN], DAY0).keys() == INPUTS.keys()
    # Many there were, but of late there were none.
    quiet = DAY0 + DAY * math.log(ENOUGH_EARLIER / ENOUGH) + 60
    assert drift.add([], quiet) == {}


def test_a_clock_that_goes_back_does_no_harm() -> None:
    drift = Drift()
    drift.add([usual() for _ in range(6000)], DAY0)
    said = drift.add([], DAY0 - 30 * DAY)
    assert all(0 <= index < 0.01 for index in said.values())


COUNTS = st.lists(st.floats(0, 1e9), min_size=2, max_size=8)


@given(st.data())
def test_the_index_is_a_distance(data: st.DataObject) -> None:
    one = data.draw(COUNTS)
    other = data.draw(st.lists(st.floats(0, 1e9), min_size=len(one), max_size=len(one)))
    assert stability_index(one, one) == pytest.approx(0, abs=1e-9)
    assert stability_index(one, other) == pytest.approx(stability_index(other, one))
    assert 0 <= stability_index(one, other) + 1e-9 < math.inf


def test_the_index_by_hand() -> None:
    found = stability_index([0.3e9, 0.7e9], [0.5e9, 0.5e9])
    assert found == pytest.approx(0.2 * math.log(0.7 / 0.3), rel=1e-6)


def test_the_worker_shows_it_once_there_is_something_to_say() -> None:
    metrics = Metrics()

    def shown() -> float | None:
        return metrics.registry.get_sample_value("barograph_model_drift", {"input": "sentiment"})

    few = Batch(scored=[(raw(b""), PLAIN)] * 100)
    metrics.scored_batch(few, 100, 0.1, DAY0)
    assert shown() is None
    for hour in range(60):
        metrics.scored_batch(few, 100, 0.1, DAY0 + hour)
    assert shown() == pytest.approx(0, abs=1e-3)


def test_another_model_is_compared_with_itself_alone() -> None:
    """The worker that takes it up is a new process, and its reference begins with it."""

    def harsher() -> ScoredDocument:
        return DRAW.choice((BAD, BAD, usual()))

    # Were the reference kept over the change, it would be taken for a shift.
    assert watched([usual] * 30 + [harsher] * 2)["sentiment"] > THRESHOLD
    said = watched([harsher] * 9)
    assert said
    assert all(index < THRESHOLD for index in said.values()), said
