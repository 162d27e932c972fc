from __future__ import annotations

from typing import Any

from benchmarks.spikes import at_rates, compared, mean, silent


def row(false: float, recall: float, copies: float = 0.0) -> dict[str, Any]:
    return {
        "false_per_topic_month": false,
        "recall": recall,
        "controls": {"copies": copies, "gap": 0.0},
    }


def test_recall_is_taken_between_thresholds_and_never_falls_with_more_alerts() -> None:
    rows = [row(0.75, 0.6), row(0.25, 0.4), row(1.5, 0.5)]
    assert at_rates(rows) == {"0.25": 0.4, "0.5": 0.5, "1.0": 0.6, "2.0": 0.6}
    assert at_rates([row(0.75, 0.6)]) == {"0.25": None, "0.5": None, "1.0": 0.6, "2.0": 0.6}
    assert set(at_rates([]).values()) == {None}


def test_a_setting_that_controls_raise_is_left_out_of_the_second_comparison() -> None:
    loud, quiet = row(0.1, 0.99, copies=0.84), row(0.2, 0.9, copies=0.02)
    assert silent([loud, quiet]) == [quiet]
    found = compared({"a": [loud, quiet], "b": [loud]})
    everything, kept = found.values()
    assert everything["a"]["0.25"] == everything["b"]["0.25"] == 0.99
    assert (kept["a"]["0.25"], kept["b"]["0.25"]) == (0.9, None)


def test_figures_of_several_plantings_are_their_means() -> None:
    one = {"a": [{"threshold": 2, "recall": 0.5, "delay": 10, "controls": {"gap": 0.0}}]}
    two = {"a": [{"threshold": 2, "recall": 0.7, "delay": None, "controls": {"gap": 0.02}}]}
    assert mean([one]) == one
    assert mean([one, two]) == {
        "a": [{"threshold": 2, "recall": 0.6, "delay": None, "controls": {"gap": 0.01}}]
    }
