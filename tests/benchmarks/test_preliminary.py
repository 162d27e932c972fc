from __future__ import annotations

from datetime import timedelta

from benchmarks.preliminary import Document, apart, outcomes
from stream.slices import Read, slices_of
from tests.alerts.examples import NOON, alert, resolved
from tests.stream.factories import DAY0, entry, progress


def test_batches_come_apart_into_their_documents() -> None:
    one, two = entry(offset=1, time=DAY0), entry(offset=2, time=DAY0 + 5, label=0, source="other")
    pairs = [("class:macro", one), ("watch:acme", one), ("class:macro", two)]
    batch = [*slices_of(pairs), progress([one, two])]
    documents = list(apart(iter(batch)))
    assert documents == [
        Document((pairs[0], pairs[1]), Read(0, 1, DAY0, 0, 1, 0), "source"),
        Document((pairs[2],), Read(0, 2, DAY0 + 5, 1, 1, 1), "other"),
    ]
    *slices, end = documents[1].messages
    assert [piece.topic for piece in slices] == ["class:macro"]
    assert end.sources == ("other",)
    assert end.read[0].source == 0


def test_what_became_of_them_is_counted() -> None:
    def early(name: str) -> list[object]:
        return [alert(id=name, preliminary=True)]

    def back(name: str, ended: timedelta = timedelta(0)) -> list[object]:
        return [alert(id=name, preliminary=True, state="resolved", ends_at=NOON + ended)]

    soon = alert(id="soon", detected_at=NOON + timedelta(minutes=9))
    told = [*early("a"), alert(id="a"), resolved(id="a"), *early("b"), soon, *back("b")]
    told += [*early("c"), *back("c", -timedelta(minutes=1))]
    assert outcomes(told) == {
        "alerts": 2,
        "preliminary": 3,
        "confirmed": 1,
        "withdrawn": 2,
        "withdrawn_for_an_earlier_minute": 1,
        "withdrawn_but_an_alert_within_the_hour": 1,
        "withdrawn_share": 0.6667,
        "alerts_without_one": 1,
    }
