from __future__ import annotations

import json
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import calibration, spike_picture, spikes
from benchmarks.pictures import STYLES, Axis, Panel, line, names_beside, spread, svg, text

SVG = "{http://www.w3.org/2000/svg}"
ACROSS = Axis(0.0, 10.0, {0.0: "0", 10.0: "10"})


def row(rate: float, recall: float) -> dict[str, object]:
    controls = {"copies": 0.25, "gap": 0.0}
    return {"false_per_topic_month": rate, "recall": recall, "controls": controls}


RESULTS = {
    "this detector": [row(0.0, 0.5), row(0.4, 0.9), row(2.0, 0.9)],
    "z-score": [row(3.0, 0.99), row(0.1, 0.7)],
    "a < b & c": [row(0.02, 0.6)],
}


def drawn(picture: str) -> tuple[ElementTree.Element, list[str]]:
    root = ElementTree.fromstring(picture)
    return root, [found.text or "" for found in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("results", [RESULTS, json.loads(spikes.RESULTS.read_text())["detectors"]])
def test_spikes_has_a_line_and_a_name_for_each_detector(results: spike_picture.Results) -> None:
    root, words = drawn(spike_picture.picture(results))
    lines = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert lines == list(results)
    assert len(list(root.iter(f"{SVG}polyline"))) == len(results)
    assert all(words.count(name) == 1 for name in results)


def test_bars_are_of_the_threshold_nearest_to_half_a_false_alert() -> None:
    root, words = drawn(spike_picture.picture(RESULTS))
    assert {"this detector (0.4)", "z-score (0.1)", "a < b & c (0.02)"} <= set(words)
    bars = [rect for rect in root.iter(f"{SVG}rect") if rect.get("x")]
    assert len(bars) == 3 * 2
    assert words.count("25%") == words.count("0%") == 3


def test_lines_differ_by_more_than_colour() -> None:
    root, _ = drawn(spike_picture.picture(RESULTS))
    dashes = [found.get("stroke-dasharray") for found in root.iter(f"{SVG}polyline")]
    assert len(set(dashes)) == len(RESULTS)


def test_power_has_a_line_for_each_burst_and_rate() -> None:
    rows = json.loads(calibration.RESULTS.read_text())["power"]
    root, _ = drawn(calibration.picture(rows))
    rates = len(calibration.RATES) - 1
    assert len(list(root.iter(f"{SVG}polyline"))) == len(calibration.TIMES) * rates


def test_a_picture_may_say_anything() -> None:
    root, words = drawn(svg('"a" < b', 10, 10, [text((0, 0), "<&>"), line("<&>", [], STYLES[0])]))
    assert root.get("aria-label") == '"a" < b'
    assert words == ["<&>"]


def test_an_axis_ends_where_it_ends() -> None:
    logarithmic = Axis(0.01, 100.0, {}, logarithmic=True)
    assert logarithmic.share(1.0) == pytest.approx(0.5)
    assert logarithmic.share(0.0) == 0.0
    assert ACROSS.share(11.0) == 1.0
    assert Panel(5, 5, 100, 50, ACROSS, ACROSS).at(10.0, 10.0) == (105, 5)


@given(st.lists(st.floats(0, 100), max_size=8))
def test_heights_are_spread_in_their_order(wanted: list[float]) -> None:
    found = spread(wanted, 12.0)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    heights = [found[i] for i in order]
    assert all(b - a >= 12.0 - 1e-9 for a, b in pairwise(heights))
    assert sum(found) == pytest.approx(sum(wanted), abs=1e-6)


def test_heights_far_enough_apart_stay() -> None:
    assert spread([50.0, 10.0, 30.0], 12.0) == [50.0, 10.0, 30.0]


def test_names_do_not_lie_on_each_other() -> None:
    panel = Panel(0, 0, 400, 200, ACROSS, ACROSS)
    lines = {f"line {n}": [panel.at(x, 5.0 + 0.1 * n) for x in (2.0, 5.0, 8.0)] for n in range(4)}
    boxes = [label.box(name) for name, label in names_beside(lines, panel).items()]
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            assert (
                one.right <= other.left
                or other.right <= one.left
                or one.bottom <= other.top
                or other.bottom <= one.top
            )
