"""A worker goes on where one of an earlier version stopped, or says what is to be done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.lifecycle import STATE_VERSION
from alerts.records import Alert, Window
from alerts.versions import StateRefused
from stream.aggregator import Aggregator, Output
from stream.panes import Pane
from stream.scorer import Raw
from tests.stream.states import HOURS, STORED, aggregator, batches, scorer, written

FOLDER = Path(__file__).parent / "states"
READ = sorted(path.stem for path in FOLDER.glob(f"{STATE_VERSION}-*.json"))
REFUSED = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem not in READ)


def tables(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def restored(held: dict[str, dict[str, Any]]) -> Aggregator:
    made = aggregator()
    made.restore(held["panes"].items(), held["states"].items())
    return made


def outputs(made: Aggregator, first: int, last: int) -> Iterator[Output]:
    """What comes of those hours of the stream."""
    score = scorer()
    for batch in batches(first, last):
        scored = score.score([Raw(0, offset, value, None) for offset, value in batch], None)
        for message in (*scored.slices, scored.progress):
            assert message is not None
            yield made.handle(message)


def test_there_are_states_of_both_kinds() -> None:
    assert READ
    assert REFUSED


@pytest.mark.parametrize("name", READ)
def test_counts_and_alerts_go_on(name: str) -> None:
    made = restored(tables(name))
    firing = {topic: detector.alert for topic, detector in made.detectors.items()}
    assert all(firing.values())
    # The hour before is read again first, as after a kill: it changes nothing.
    found = list(outputs(made, STORED - 1, HOURS))
    assert sum(output.repeated for output in found) == 2 * 12
    told = [alert for output in found for alert in output.alerts]
    assert {alert.topic: (alert.id, alert.state) for alert in told} == {
        topic: (alert.id, "resolved") for topic, alert in firing.items() if alert is not None
    }
    plain = list(outputs(aggregator(), 0, HOURS))
    windows = newest(found)
    expected = {key: window for key, window in newest(plain).items() if key in windows}
    assert windows
    assert {key: counts(w) for key, w in windows.items()} == {
        key: counts(w) for key, w in expected.items()
    }
    assert not any(detector.alert for detector in made.detectors.values())


def newest(found: list[Output]) -> dict[tuple[str, Any, Any], Window]:
    return {(w.topic, w.start, w.end): w for output in found for w in output.windows}


def counts(window: Window) -> dict[str, Any]:
    """What no version of the detector can change; earlier ones did not note the model."""
    return window.model_dump(exclude={"expected_negative_stories", "model"})


def test_sources_of_before_they_had_levels_by_day_type_have_them_now() -> None:
    rhythms = restored(tables("2-22bdf02")).tally.sources
    assert rhythms
    assert all(rhythm.baseline.day_types_apart for rhythm in rhythms.values())


@pytest.mark.parametrize("name", REFUSED)
def test_an_older_state_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(StateRefused, match=r"version 1, .* reads 2: set another kafka.app_id"):
        restored(tables(name))


@pytest.mark.parametrize("key", ["@0", "watch:acme"])
def test_a_newer_state_is_refused_with_what_to_do(key: str) -> None:
    held = tables(READ[-1])
    held["states"] = {key: {**held["states"][key], "version": STATE_VERSION + 1}}
    with pytest.raises(StateRefused, match="start the version of Barograph that wrote it, or set"):
        restored(held)


@given(st.data())
def test_what_a_newer_worker_adds_to_its_tables_is_passed_over(data: st.DataObject) -> None:
    """Of the same version, so that workers of both may share the partitions while they change."""
    held = written_once()
    more = {
        name: {key: with_more(data, record) for key, record in records.items()}
        for name, records in held.items()
    }
    assert kept(restored(more)) == kept(restored(held))


def with_more(data: st.DataObject, record: dict[str, Any]) -> dict[str, Any]:
    added = data.draw(st.dictionaries(st.sampled_from(["new", "newer"]), st.integers(), max_size=2))
    found = {**record, **added}
    for name in ("baseline", "watermark", "tally"):
        if isinstance(found.get(name), dict):
            found[name] = {**found[name], **added}
    if isinstance(found.get("forecasts"), list):
        found["forecasts"] = [[*forecast, *added.values()] for forecast in found["forecasts"]]
    return found


def kept(made: Aggregator) -> Any:
    return (
        made._state(),
        {topic: detector.to_json() for topic, detector in made.detectors.items()},
        {topic: windows.panes for topic, windows in made.windows.items()},
    )


def written_once(known: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006  kept on purpose
    if not known:
        known.update(json.loads(json.dumps(written())))
    return known


def test_a_pane_without_models_is_read_and_names_none() -> None:
    record = next(iter(tables(READ[0])["panes"].values()))
    assert Pane.from_json({**record, "m": []}) == Pane.from_json(
        {key: value for key, value in record.items() if key != "m"}
    )


def test_an_alert_that_fires_in_a_state_is_one() -> None:
    held = tables(READ[-1])["states"]["watch:acme"]["alert"]
    assert Alert.model_validate(held).state == "firing"
