"""Whether what the model reads and answers is still like what it used to be. Pure.

Of each input the share of documents in each of some bins is kept twice: of late, and for weeks.
How far the two are apart is the population stability index, the sum over all bins of
(r - e) * ln(r / e), with r the recent share and e the earlier: Kullback and Leibler's symmetric
divergence (On information and sufficiency, Ann. Math. Stat. 22, 1951). The custom in credit scoring
(Siddiqi, Credit Risk Scorecards, 2006, ch. 8) calls less than 0.1 no change and over 0.25 a shift;
0.2, at which ``ModelDrift`` fires, lies between, to be seen before it is over. Without any change
its mean is (bins - 1) * (1/n + 1/m), of n recent and m earlier documents (Yurdakul, Statistical
properties of population stability index, 2018): at the least numbers below, under 0.04.

Measured on 38,910 posts of crypto forums, April to June 2021 (72 days with enough of them), scored
by the model that ships: no input ever passed 0.2. The highest were sentiment with 0.18 and
confidence with 0.14 on the days of the crash of 2021-05-19, and 0.08 on all other days.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from model.labels import SENTIMENTS
from model.language import UNDETERMINED
from stream.records import ScoredDocument

DAY = 86_400.0

RECENT = 1 * DAY
"""Seconds after which a document counts for 1/e among the recent ones: a day, as moods change with
the hours of it."""

EARLIER = 28 * DAY
"""The same for the earlier ones, which the recent ones become a part of."""

ENOUGH = 200.0
"""Recent documents, decayed, below which nothing is said."""

ENOUGH_EARLIER = 5_000.0
"""Earlier ones, likewise."""

CONFIDENCES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Borders of the probability of the chosen sentiment."""

LENGTHS = (50, 100, 200, 400, 800, 1600, 3200)
"""Borders of the characters of title and text."""

INPUTS = {
    "sentiment": len(SENTIMENTS),
    "confidence": len(CONFIDENCES) + 1,
    "text_length": len(LENGTHS) + 1,
    "language": 2,
}
"""Names of what is watched, and how many bins each has."""


class Drift:
    """Keeps both distributions of each input, of all documents that one worker scores.

    A worker has one model for life, so a model is only ever compared with itself: when another one
    is taken up, the workers start anew, and so does this.
    """

    def __init__(self) -> None:
        self._recent = {name: [0.0] * bins for name, bins in INPUTS.items()}
        self._earlier = {name: [0.0] * bins for name, bins in INPUTS.items()}
        self._total = [0.0, 0.0]
        self._now: float | None = None

    def add(self, documents: Iterable[ScoredDocument], now: float) -> dict[str, float]:
        """Count documents, and say how far each input has shifted.

        Args:
            documents: as they were scored.
            now: seconds since 1970; a clock that goes back counts as one that stands.

        Returns:
            The index of each input; empty while there are too few documents to say.
        """
        self._age(now)
        for document in documents:
            self._total = [total + 1 for total in self._total]
            for name, place in _places(document):
                self._recent[name][place] += 1
                self._earlier[name][place] += 1
        recent, earlier = self._total
        if recent < ENOUGH or earlier < ENOUGH_EARLIER:
            return {}
        return {name: stability_index(self._recent[name], self._earlier[name]) for name in INPUTS}

    def _age(self, now: float) -> None:
        before, self._now = self._now, max(now, self._now or now)
        if before is None or self._now == before:
            return
        factors = [math.exp((before - self._now) / memory) for memory in (RECENT, EARLIER)]
        self._total = [t * f for t, f in zip(self._total, factors, strict=True)]
        for kept, factor in zip((self._recent, self._earlier), factors, strict=True):
            for name, counts in kept.items():
                kept[name] = [count * factor for count in counts]


def stability_index(recent: Sequence[float], earlier: Sequence[float]) -> float:
    """The population stability index of two counts over the same bins, 0 or more.

    Half a document is added to every bin, so that an empty one gives no infinity.
    """
    bins = len(recent)
    of_recent, of_earlier = sum(recent) + bins / 2, sum(earlier) + bins / 2
    index = 0.0
    for new, old in zip(recent, earlier, strict=True):
        r, e = (new + 0.5) / of_recent, (old + 0.5) / of_earlier
        index += (r - e) * math.log(r / e)
    return index


def _places(document: ScoredDocument) -> Iterable[tuple[str, int]]:
    """The bin of each input that a document falls into."""
    sentiment = document.sentiment
    confidence = max(sentiment.negative, sentiment.neutral, sentiment.positive)
    return (
        ("sentiment", SENTIMENTS.index(sentiment.label)),
        ("confidence", bisect_right(CONFIDENCES, confidence)),
        ("text_length", bisect_right(LENGTHS, len(document.content))),
        ("language", int(document.lang == UNDETERMINED)),
    )
