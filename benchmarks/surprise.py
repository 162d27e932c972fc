"""How often is a count surprising for no reason, and a burst not? Simulated series say so.

``python -m benchmarks.surprise`` judges the simulated streams of ``benchmarks.calibration`` as
plain series of counts, by 5 minutes and by the hour, and counts how many rows come out at 1, 2, 3
and 4, where a tenth, a hundredth and so on would by chance. Then it plants an hour of 3, 5 and 10
times the normal rate into each, and looks for it. The figures go to ``results/surprise.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from alerts.surprise import surprises
from benchmarks.calibration import FIRST, SHARE, simulate

RESULTS = Path(__file__).parent / "results" / "surprise.json"

STEPS = (300, 3600)
"""Seconds that a row counts."""

MEANS = (1.0, 10.0, 100.0, 1000.0)
"""Counts an hour."""

LEVELS = (1, 2, 3, 4)
TIMES = (3.0, 5.0, 10.0)
WEEKS = 8


def judged(seed: int, mean: float, step: int, times: float = 1.0) -> tuple[np.ndarray, slice]:
    """Surprises by row, and the rows of the hour in the last week whose rate is multiplied."""
    dice = np.random.default_rng([seed, int(mean), step, int(times)])
    hour = (WEEKS - 1) * 168 + int(dice.integers(160))
    burst = slice(hour * 60, (hour + 1) * 60)
    counts = simulate(mean / SHARE, WEEKS * 168, dice, times, burst).negative
    by_row = counts.reshape(-1, step // 60).sum(axis=1)
    rows = [(FIRST * 3600 + at * step, float(count)) for at, count in enumerate(by_row)]
    return np.array(list(surprises(rows))), slice(hour * 3600 // step, (hour + 1) * 3600 // step)


def measure(series: int) -> list[dict[str, Any]]:
    """A row of figures for each mean and step."""
    found = []
    for mean, step in tqdm([(mean, step) for mean in MEANS for step in STEPS], desc="series"):
        calm = np.concatenate([judged(seed, mean, step)[0] for seed in range(series)])
        bursts = {times: [judged(s, mean, step, times) for s in range(series)] for times in TIMES}
        found.append(
            {
                "counts_per_hour": mean,
                "seconds": step,
                "rows": len(calm),
                "rows_at_or_over": {str(n): round(float((calm >= n).mean()), 6) for n in LEVELS},
                "bursts_at_3_or_over": {
                    f"{times:g}": round(
                        float(np.mean([all_of[inside].max() >= 3 for all_of, inside in each])), 3
                    )
                    for times, each in bursts.items()
                },
            }
        )
        print(json.dumps(found[-1]), flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.surprise", description=__doc__)
    parser.add_argument("--series", type=int, default=20, help="of each kind")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args(arguments)
    given.json.write_text(json.dumps(measure(given.series), indent=1) + "\n")


if __name__ == "__main__":
    main()
