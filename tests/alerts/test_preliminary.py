from __future__ import annotations

import json

import pytest

from alerts.erasure import document_digest
from alerts.preliminary import Preliminary
from alerts.records import Alert
from alerts.spikes import Counts, Sources
from tests.alerts.test_lifecycle import detector, evidence, held, quiet, step


def who(_seconds: int) -> Sources:
    return Sources(3, 10_000)


def foresee(made: Preliminary, end: int, counts: dict[int, Counts]) -> Alert | None:
    return made.foresee(end, counts, who, evidence)


def test_it_is_the_alert_that_would_fire_but_a_warning() -> None:
    made = detector()
    end = quiet(made)
    before = json.dumps(made.to_json())
    early = foresee(Preliminary(made), end, held(200))
    assert json.dumps(made.to_json()) == before
    assert made.results == {}
    begun = step(made, end, held(200))
    assert early is not None
    assert begun is not None
    assert (early.severity, begun.severity) == ("warning", "critical")
    kept = {"severity": "warning", "preliminary": True}
    assert early == begun.model_copy(update=kept)


def test_where_there_is_one_severity_it_has_that() -> None:
    made = detector(severity="critical")
    early = foresee(Preliminary(made), quiet(made), held(20))
    assert early is not None
    assert early.severity == "critical"


@pytest.mark.parametrize(
    "settings", [{"min_stories": 30}, {"min_sources": 4}, {"warm_up_hours": 101}]
)
def test_all_that_an_alert_needs_it_needs(settings: dict[str, int]) -> None:
    made = detector(**settings)
    assert foresee(Preliminary(made), quiet(made), held(20)) is None


def test_it_is_stored_and_taken_up_again() -> None:
    made = detector()
    told = Preliminary(made)
    assert told.to_json() is None
    end = quiet(made)
    foresee(told, end, held(20))
    again = Preliminary(made)
    again.restore(json.loads(json.dumps(told.to_json())))
    assert again.told == told.told
    assert again.due == end
    again.restore(None)
    assert again.told is None


def test_what_is_forgotten_goes_from_it() -> None:
    made = detector()
    told = Preliminary(made)
    assert not told.erase({document_digest("1")})
    foresee(told, quiet(made), held(20))
    assert told.erase({document_digest("1")})
    assert told.told is not None
    assert [item.id for item in told.told.evidence] == ["0", "2", "3", "4"]
    assert not told.erase({document_digest("1")})


def test_its_sentence_says_that_it_is_preliminary_and_that_it_is_withdrawn() -> None:
    made = detector()
    told = Preliminary(made)
    end = quiet(made)
    early = foresee(told, end, held(20))
    assert early is not None
    assert early.summary.startswith("class:macro, preliminary, its last minute not yet complete: ")
    assert step(made, end, held(0)) is None
    assert told.settle(end, held(0), who) == "withdrawn"
    assert told.told is not None
    assert told.told.summary.startswith(
        "class:macro: the preliminary alert is withdrawn, it is not borne out now that its last "
        "minute is complete: 0 negative stories"
    )
