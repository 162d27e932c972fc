"""Is the stated budget of false alarms kept? Simulated streams without any spike say so.

``python -m benchmarks.calibration`` feeds the detector (the class the worker runs) with streams
that have a daily and a weekly rhythm, overdispersion that lasts for hours, slow drift, and from 0.1
to 1,000 documents an hour, and counts what fires. Then it plants bursts of 2, 3, 5 and 10 times the
normal rate and measures how many are found, and after how long. The figures go to
``results/calibration.json``, a picture to ``docs/images/power.svg``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from tqdm import tqdm

from alerts.backtest import fired_first
from alerts.baseline import LENGTHS, SLOTS, Seen
from alerts.lifecycle import TopicDetector
from alerts.records import Alert, ModelName
from alerts.settings import DetectorSettings
from alerts.spikes import MONTH, Counts, Sources, thresholds
from benchmarks.pictures import SIZE, Axis, Panel, Style, line, spread, svg, text

RESULTS = Path(__file__).parent / "results" / "calibration.json"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "power.svg"

RATES = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Documents an hour, negative and other together."""

BUDGETS = (0.1, 0.5, 2.0)
TIMES = (2.0, 3.0, 5.0, 10.0)
"""Of the normal rate, in a burst."""

WITHIN = (10, 20, 30, 45, 60, 90, 120, 180, 240, 360)
"""Minutes."""

SHARE = 0.25
"""Negative share of the documents."""

FIRST = 480_000
"""Hour since 1970 in which a simulated stream begins."""


@dataclass(frozen=True)
class Stream:
    """A topic's stream by the minute, each story distinct."""

    stories: np.ndarray
    negative: np.ndarray
    """of those the negative ones"""


def simulate(
    rate: float,
    hours: int,
    dice: np.random.Generator,
    times: float = 1.0,
    burst: slice | None = None,
) -> Stream:
    """A stream of that mean rate, documents an hour; a burst multiplies the negative ones.

    The intensity is rhythm times drift times a log-normal variable whose logarithm lasts for about
    six hours: its coefficient of variation is 0.35.
    """
    hour = np.arange(hours) + FIRST
    of_day = (hour + dice.integers(24)) % 24
    of_week = (hour // 24) % 7
    rhythm = 1.0 + 0.8 * np.sin(2 * math.pi * of_day / 24)
    rhythm *= np.where(of_week >= 5, 0.4, 1.24)
    drift = np.exp(0.4 * np.sin(2 * math.pi * (hour - FIRST) / (24 * 90) + dice.uniform(0, 6.28)))
    noise = np.empty(hours)
    state, keep, spread = dice.normal(), math.exp(-1 / 6), 0.34
    for i in range(hours):
        state = keep * state + math.sqrt(1 - keep**2) * dice.normal()
        noise[i] = math.exp(spread * state - spread**2 / 2)
    intensity = np.repeat(rate * rhythm * drift * noise / 60, 60)
    share = dice.beta(20 * SHARE, 20 * (1 - SHARE), hours).repeat(60)
    expected = intensity * share
    if burst is not None:
        expected = expected.copy()
        expected[burst] *= times
    negative = dice.poisson(expected)
    return Stream(negative + dice.poisson(intensity * (1 - share)), negative)


def run(stream: Stream, settings: DetectorSettings) -> Iterator[Alert]:
    """The alerts of a stream: what the worker would do with these counts.

    Minutes in which no window comes near its threshold are passed over while nothing fires.
    """
    detector = TopicDetector("class:simulated", settings, ModelName(name="none", version="0"), "0")
    budget = settings.false_alarms_per_topic_month
    # The tail of a skew distribution is longer than the normal one's, so nothing below can pass.
    least = {
        seconds: NormalDist().inv_cdf(1 - 10 ** -thresholds(seconds, budget, len(LENGTHS)).count)
        for seconds in LENGTHS
    }
    stories = np.concatenate([[0], np.cumsum(stream.stories)])
    negative = np.concatenate([[0], np.cumsum(stream.negative)])
    for number in range(len(stream.stories) // 60):
        hour = FIRST + number
        ends = np.arange(number * 60 + 1, number * 60 + 61)
        held = {}
        near = np.zeros(60, bool)
        for seconds in LENGTHS:
            starts = np.maximum(ends - seconds // 60, 0)
            found = negative[ends] - negative[starts]
            held[seconds] = stories[ends] - stories[starts], found
            forecast = detector.before(FIRST * 3600 + int(starts[0]) * 60)
            after = detector.before(FIRST * 3600 + int(starts[-1]) * 60)
            if forecast is None or after is None:
                continue
            mean = min(f.expected(at, seconds) for f in (forecast, after) for at in (0, 3599))
            size = max(f.size(seconds) for f in (forecast, after))
            deviation = math.sqrt(mean + mean**2 / size)
            near |= found > max(settings.min_stories - 1, mean + least[seconds] * deviation)
        for i in range(60):
            if not near[i] and detector.alert is None:
                continue
            counts = {
                seconds: Counts(int(a[i]), int(a[i]), int(n[i]), 0.0, int(n[i]))
                for seconds, (a, n) in held.items()
            }
            end = FIRST * 3600 + int(ends[i]) * 60
            alert = detector.evaluate(
                end, counts, lambda _: Sources(99, 10_000), lambda *_: (), alive=True
            )
            if alert is not None:
                yield alert
        in_hour = slice(number * 60, number * 60 + 60)
        slots = stream.negative[in_hour].reshape(SLOTS, -1).sum(axis=1)
        detector.learn(hour, Seen(int(stream.stories[in_hour].sum()), tuple(map(int, slots))))


def false_alarms(seed: int, rate: float, budget: float, hours: int) -> tuple[int, int, int]:
    """Alerts of one stream without a spike: all, those of its first month, and critical ones."""
    dice = np.random.default_rng([seed, int(rate * 10), int(budget * 10)])
    settings = DetectorSettings(false_alarms_per_topic_month=budget)
    fired = fired_first(run(simulate(rate, hours, dice), settings))
    early = sum(a.detected_at.timestamp() < FIRST * 3600 + MONTH for a in fired)
    critical = sum(a.severity == "critical" for a in fired)
    return len(fired), early, critical


def measure(topics: int, months: int, workers: int) -> list[dict[str, Any]]:
    """Realised against stated rates."""
    hours = round(months * MONTH / 3600)
    rows = []
    with ProcessPoolExecutor(workers) as pool:
        jobs = [(rate, budget) for budget in BUDGETS for rate in RATES]
        for rate, budget in tqdm(jobs, desc="streams"):
            one = partial(false_alarms, rate=rate, budget=budget, hours=hours)
            found = np.array(list(pool.map(one, range(topics), chunksize=4)))
            settings = DetectorSettings()
            watched = topics * (hours - settings.warm_up_hours) * 3600 / MONTH
            total, early, critical = (int(n) for n in found.sum(axis=0))
            rows.append(
                {
                    "documents_per_hour": rate,
                    "budget": budget,
                    "topic_months": round(watched, 1),
                    "alerts": total,
                    "per_topic_month": round(total / watched, 4),
                    "ratio": round(total / watched / budget, 3),
                    # Of as many Poisson alarms as were allowed, 1.96 standard deviations.
                    "chance": round(1.96 / math.sqrt(watched * budget), 3),
                    "in_first_month": early,
                    "critical": critical,
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


def power(seed: int, rate: float, times: float) -> float | None:
    """Minutes from the beginning of a burst to its alert; None when it is missed.

    Six weeks of calm, then six hours in which negative stories come ``times`` as fast.
    """
    dice = np.random.default_rng([seed, int(rate * 10), int(times), 7])
    begin = (6 * 168 + int(dice.integers(168))) * 60
    stream = simulate(rate, begin // 60 + 12, dice, times, slice(begin, begin + 6 * 60))
    start = FIRST * 3600 + begin * 60
    for alert in run(stream, DetectorSettings()):
        minutes = (alert.detected_at.timestamp() - start) / 60
        if alert.state == "firing" and 0 < minutes <= 6 * 60:
            return minutes
    return None


def powers(topics: int, workers: int) -> list[dict[str, Any]]:
    """Share of bursts that are found within a time, at the default budget."""
    rows = []
    with ProcessPoolExecutor(workers) as pool:
        jobs = [(rate, times) for rate in RATES[1:] for times in TIMES]
        for rate, times in tqdm(jobs, desc="bursts"):
            one = partial(power, rate=rate, times=times)
            found = list(pool.map(one, range(topics), chunksize=4))
            within = {
                str(limit): round(float(np.mean([f is not None and f <= limit for f in found])), 3)
                for limit in WITHIN
            }
            rows.append({"documents_per_hour": rate, "times": times, "found_within_min": within})
    return rows


STYLES = (
    Style("#7f9fc6", "2 3"),
    Style("#4a7fb8", "8 3"),
    Style("#2a62a3", "14 3"),
    Style("#0b2f5c"),
)
"""Of the lines of ``TIMES``."""


def picture(rows: Sequence[dict[str, Any]]) -> str:
    """Share found against delay, a panel for each rate, a line for each burst; SVG."""
    by_burst = {(row["documents_per_hour"], row["times"]): row["found_within_min"] for row in rows}
    minutes = Axis(0, WITHIN[-1], {60 * hour: f"{hour} h" for hour in (0, 2, 4, 6)})
    parts: list[str] = []
    for column, rate in enumerate(RATES[1:]):
        shares = Axis(0, 1, {v: f"{v:.0%}" if column == 0 else "" for v in (0.0, 0.5, 1.0)})
        panel = Panel(48 + column * 218, 34, 172, 150, minutes, shares)
        parts += panel.frame(f"Documents an hour: {rate:,.0f}")
        ends: list[float] = []
        for times, style in zip(TIMES, STYLES, strict=True):
            found = [(0, 0.0), *((int(m), v) for m, v in by_burst[rate, times].items())]
            points = [panel.at(*point) for point in found]
            parts.append(line(f"{times:g} times the normal rate", points, style))
            ends.append(points[-1][1])
        for times, y in zip(TIMES, spread(ends, SIZE + 1), strict=True):
            parts.append(text((panel.left + panel.width + 4, y + 4), f"×{times:g}"))
    return svg("Share of bursts found against the time since they began", 920, 212, parts)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.calibration", description=__doc__)
    parser.add_argument("--topics", type=int, default=60, help="streams of each kind")
    parser.add_argument("--months", type=int, default=4, help="length of each stream")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go")
    parser.add_argument("--draw", action="store_true", help="only draw what --json holds")
    given = parser.parse_args(arguments)
    if given.draw:
        held = json.loads(given.json.read_text())
        PICTURE.write_text(picture(held["power"]), encoding="utf-8")
        return
    rows = measure(given.topics, given.months, given.workers)
    found = powers(given.topics, given.workers)
    report = {"false_alarms": rows, "power": found}
    given.json.write_text(json.dumps(report, indent=1) + "\n")
    PICTURE.write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main()
