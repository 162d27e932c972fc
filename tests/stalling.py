"""``python -m tests.stalling worker``: as the stand-in, but it never gets its tables from Kafka.

It gives up after seconds rather than a minute.
"""

from __future__ import annotations

import stream.cli
import stream.reads
import stream.stalls
import stream.worker
from stream.reads import Readable
from tests.standin import StandIn, StandInChild


class Deaf(Readable):
    """Lets no record of a table through."""

    def __contains__(self, place: object) -> bool:
        table = getattr(place, "topic", "").endswith("-changelog")
        return not table and super().__contains__(place)


class StallingChild(StandInChild):
    """A process of the program whose recovery stands still."""

    module = "tests.stalling"


if __name__ == "__main__":
    stream.worker.Classifier = StandIn  # type: ignore[misc,assignment]
    stream.reads.Readable = Deaf  # type: ignore[misc]
    stream.stalls.STALLED_LOOKS = 5
    stream.cli.main()
