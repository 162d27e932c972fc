"""``python -m tests.standin …``: the program with a classifier that needs no weights.

What it says depends on words alone, and its version is the name of the folder in the settings, so
that two workers may have two models which differ in nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import stream.cli
import stream.worker
from stream.scorer import Scorer
from stream.settings import Settings
from stream.up import Child
from stream.watchlist import load
from tests.stream.factories import TinyClassifier


class StandIn(TinyClassifier):
    """Scores by words; see ``TinyClassifier``."""

    def __init__(self, version: str) -> None:
        super().__init__(takes_targets=False)
        self.version = version

    @classmethod
    def load(cls, folder: Path | None, *_: object) -> Self:
        return cls(folder.name if folder else "1")


class StandInChild(Child):
    """A process of the program with the stand-in."""

    module = "tests.standin"


def scorer(settings: Settings) -> Scorer:
    """The scorer of such a worker."""
    key = settings.author_key.get_secret_value().encode()
    return Scorer(StandIn.load(settings.model), load(settings.watchlist), key)


if __name__ == "__main__":
    stream.worker.Classifier = StandIn  # type: ignore[misc,assignment]
    stream.cli.main()
