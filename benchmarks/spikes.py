"""Which detector finds planted spikes in a year of real tweets, at how many false alerts?

``python -m benchmarks.spikes`` scores the tweets of 2014 about 87 tickers once, with the model that
ships, plants spikes of distinct negative texts and controls that must stay silent, and runs the
detector (through the worker's own aggregator) beside the rules people use today, each over its
range of thresholds. Figures go to ``results/spikes.json``; see ``docs/detector.md``.
"""

from __future__ import annotations

import argparse
import json
import random
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from alerts.backtest import fired_first
from alerts.records import Alert, ModelName
from alerts.settings import DetectorSettings
from alerts.spikes import MONTH
from benchmarks.planted import (
    CONTROLS,
    DAY,
    DURATIONS,
    SIZES,
    SPAM,
    WARM_UP,
    Move,
    Planted,
    Post,
    entry,
    line,
    midnight,
    moves,
    plant,
    real_events,
    stream,
)
from benchmarks.rules import HOUR, RULES, STEP, Series, alerts
from benchmarks.spike_picture import picture
from stream.aggregator import Aggregator, AggregatorConfig
from stream.slices import Entry, Mark, Progress, Slice

RESULTS = Path(__file__).parent / "results" / "spikes.json"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "spikes.svg"

TRIED = ((0.1, 5), (0.5, 5), (0.5, 3), (2.0, 3), (8.0, 3), (0.5, 2), (2.0, 2), (8.0, 2))
"""Budgets and least numbers of stories; the second of these is the default."""

AT = (0.25, 0.5, 1.0, 2.0)
"""False alerts per topic and month at which detectors are compared."""

KEPT_SILENT = 0.02
"""Part of the controls of a kind that may raise an alert; more makes alerts that nobody reads."""


def talked_about(posts: Sequence[Post]) -> list[Move]:
    """The drops of which five distinct texts were written, on that day or the day before."""
    texts: dict[Move, set[str]] = {move: set() for move in moves() if move.change < 0}
    by_topic: dict[str, list[Move]] = defaultdict(list)
    for move in texts:
        by_topic[move.topic].append(move)
    for post in posts:
        for move in by_topic[post.topic]:
            if -DAY <= post.time - move.day < DAY:
                texts[move].add(post.story)
    return [move for move, stories in texts.items() if len(stories) >= 5]


def detect(posts: Sequence[Post], tried: tuple[float, int]) -> list[Alert]:
    """All transitions, by the worker's own aggregator."""
    budget, min_stories = tried
    topics = tuple(sorted({post.topic for post in posts}))
    aggregator = Aggregator(
        0,
        AggregatorConfig(
            topics=topics,
            detector=DetectorSettings(false_alarms_per_topic_month=budget, min_stories=min_stories),
            model=ModelName(name="benchmark", version="1"),
            config_version=str(budget),
            allowed_lateness=0.0,
        ),
    )
    found: list[Alert] = []
    start = 0
    while start < len(posts):
        block = posts[start].time // STEP
        end = start
        by_topic: dict[str, list[Entry]] = defaultdict(list)
        while end < len(posts) and posts[end].time // STEP == block:
            by_topic[posts[end].topic].append(entry(end, posts[end]))
            end += 1
        for topic, entries in by_topic.items():
            found += aggregator.handle(Slice(topic, tuple(entries))).alerts
        newest = posts[end - 1].time
        read = tuple(line(offset, posts[offset]) for offset in range(start, end))
        mark = Mark(newest, float(newest))
        found += aggregator.handle(Progress({0: mark}, read, ("twitter",))).alerts
        start = end
    return found


def in_steps(posts: Sequence[Post]) -> tuple[int, dict[str, Series]]:
    """When the first step begins, and each topic as the rules see it."""
    first = posts[0].time // STEP * STEP
    steps = (posts[-1].time - first) // STEP + 1
    found = {}
    per_topic: dict[str, list[Post]] = defaultdict(list)
    for post in posts:
        per_topic[post.topic].append(post)
    for topic, own in per_topic.items():
        negative, documents = np.zeros(steps), np.zeros(steps)
        last: dict[str, int] = {}
        sources = np.zeros(steps + HOUR)
        for post in own:
            step = (post.time - first) // STEP
            documents[step] += 1
            if post.label == 0:
                negative[step] += 1
                # From now on for an hour, or on from where it was last counted.
                begin = max(step, last.get(post.source, -1) + 1)
                sources[begin : step + HOUR] += 1
                last[post.source] = step + HOUR - 1
        found[topic] = Series(negative, documents, sources[:steps])
    return first, found


def judge(
    fired: dict[str, list[int]],
    planted: Sequence[Planted],
    posts: Sequence[Post],
    drops: Sequence[Move],
) -> Any:
    """Recall, delay, false alerts, and what the controls raised."""
    first, last = posts[0].time + WARM_UP, posts[-1].time
    events = real_events()
    spikes = [p for p in planted if p.kind == "spike"]
    by_topic: dict[str, list[Planted]] = defaultdict(list)
    for one in planted:
        by_topic[one.topic].append(one)
    false = 0
    for topic, times in fired.items():
        for time in times:
            explained = any(p.holds(time, DAY) for p in by_topic[topic])
            real = any(-DAY <= time - day < 2 * DAY for day in events.get(topic, ()))
            false += first <= time <= last and not explained and not real
    topic_months = len({post.topic for post in posts}) * (last - first) / MONTH
    caught = {}
    for spike in spikes:
        times = fired.get(spike.topic, [])
        at = bisect_left(times, spike.times[0])
        if at < len(times) and spike.holds(times[at], 3600):
            caught[spike] = times[at] - spike.times[4]
    table = {
        f"{size} in {duration // 60} min": round(
            np.mean([s in caught for s in spikes if (s.size, s.duration) == (size, duration)]), 3
        )
        for size in SIZES
        for duration in DURATIONS
    }
    soon = [
        s in caught and caught[s] <= 1800 for s in spikes if s.size >= 10 and s.duration <= 3600
    ]
    raised = {
        kind: round(float(np.mean([rang(fired, p) for p in planted if p.kind == kind])), 4)
        for kind in CONTROLS
    }
    return {
        "false_per_topic_month": round(false / topic_months, 4),
        "recall": round(len(caught) / len(spikes), 4),
        "caught_within_30_min_of_the_fifth": round(float(np.mean(soon)), 4),
        "median_delay_s": int(np.median(list(caught.values()))) if caught else None,
        "by_kind": table,
        "controls": raised,
        "spam_days": sum(
            midnight(day) <= time < midnight(day) + 2 * DAY
            for day in SPAM
            for topic in ("watch:fb", "watch:goog", "watch:amzn")
            for time in fired.get(topic, [])
        ),
        "drop_days": drop_days(fired, drops),
    }


def rang(fired: dict[str, list[int]], control: Planted) -> bool:
    """Whether anything was raised while a control lasted, or in the two hours after."""
    times = fired.get(control.topic, [])
    high = control.times[0] + control.duration + 2 * 3600
    return bisect_right(times, high) > bisect_left(times, control.times[0])


def drop_days(fired: dict[str, list[int]], drops: Sequence[Move]) -> dict[str, Any]:
    """Recall of the days of price drops that were talked about, and by chance."""

    def hits(shift: int) -> int:
        return sum(
            any(-DAY <= time + shift - drop.day < DAY for time in fired.get(drop.topic, []))
            for drop in drops
        )

    weeks = [hits(week * 7 * DAY) for week in range(-20, 21) if week]
    return {"days": len(drops), "hits": hits(0), "by_chance": round(float(np.mean(weeks)), 2)}


def at_rates(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Recall at the rates of ``AT``, between the two nearest thresholds; None below them.

    Of thresholds that find no more than another with fewer false alerts, the other one counts.
    """
    if not rows:
        return dict.fromkeys(map(str, AT))
    points = sorted((row["false_per_topic_month"], row["recall"]) for row in rows)
    rates = [rate for rate, _ in points]
    recalls = np.maximum.accumulate([recall for _, recall in points])
    found: dict[str, float | None] = {}
    for rate in AT:
        # A rule that is more often silent than asked may always be turned up to that.
        between = round(float(np.interp(rate, rates, recalls)), 4)
        found[str(rate)] = between if rate >= rates[0] else None
    return found


def silent(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The settings at which no kind of control raises more than it may."""
    return [row for row in rows if max(row["controls"].values()) <= KEPT_SILENT]


def compared(detectors: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Who finds most at equal rates: of all settings, and of those that leave controls silent."""
    return {
        "recall_at_false_alerts_per_topic_month": {n: at_rates(r) for n, r in detectors.items()},
        "the_same_of_settings_that_leave_controls_silent": {
            name: at_rates(silent(rows)) for name, rows in detectors.items()
        },
    }


def played(seed: int, workers: int) -> dict[str, list[dict[str, Any]]]:
    """What each detector makes of one planting, at each of its settings."""
    posts, planted = plant(stream(), random.Random(seed))
    drops = talked_about(posts)
    results: dict[str, list[dict[str, Any]]] = {"this detector": []}
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(partial(detect, posts), TRIED)
        for (budget, min_stories), transitions in zip(TRIED, found, strict=True):
            fired: dict[str, list[int]] = defaultdict(list)
            for alert in fired_first(transitions):
                fired[alert.topic].append(int(alert.detected_at.timestamp()))
            row = {"threshold": budget, "min_stories": min_stories}
            results["this detector"].append({**row, **judge(fired, planted, posts, drops)})
            print(json.dumps(results["this detector"][-1]), flush=True)
    first, series = in_steps(posts)
    for name, (rule, thresholds) in RULES.items():
        results[name] = []
        for threshold in thresholds:
            fired = {topic: alerts(rule(own, threshold), first) for topic, own in series.items()}
            row = {"threshold": threshold}
            results[name].append({**row, **judge(fired, planted, posts, drops)})
    return results


def mean(found: Sequence[Any]) -> Any:
    """Of figures by name, by setting, or single ones: what several plantings gave, on average.

    Each has as many spikes and controls, so that recalls are those of all together. What one of
    them lacks is lacking.
    """
    first = found[0]
    if isinstance(first, dict):
        return {name: mean([each[name] for each in found]) for name in first}
    if isinstance(first, list):
        return [mean(of_setting) for of_setting in zip(*found, strict=True)]
    if None in found:
        return None
    average = round(sum(found) / len(found), 4)
    return int(average) if average.is_integer() and isinstance(first, int) else average


def write(path: Path, seeds: Sequence[int], detectors: dict[str, list[dict[str, Any]]]) -> None:
    """The figures and the picture; what is compared is printed, too."""
    found = compared(detectors)
    report = {"seeds": seeds, **found, "detectors": detectors}
    path.write_text(json.dumps(report, indent=1) + "\n")
    PICTURE.write_text(picture(detectors), encoding="utf-8")
    print(json.dumps(found, indent=1))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.spikes", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1], help="one planting each; figures are means"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument(
        "--draw", action="store_true", help="only compare and draw what --json holds"
    )
    given = parser.parse_args(arguments)
    if given.draw:
        held = json.loads(given.json.read_text())
        write(given.json, held["seeds"], held["detectors"])
    else:
        plantings = [played(seed, given.workers) for seed in given.seeds]
        write(given.json, given.seeds, mean(plantings))


if __name__ == "__main__":
    main()
