"""How surprising is each count of a series, by the detector's own baseline and test?

``python -m alerts.surprise --csv IN --out OUT`` reads ``timestamp,value`` rows in time order and
writes ``timestamp,surprise``: of each row the largest ``-log10`` of the tail probabilities of the
windows that end with it, less what is to be paid for looking at several lengths. Each row is judged
by what came before its windows, and the series' own rhythm is learned on the way.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from alerts.baseline import HOUR, LENGTHS, SLOTS, Baseline, Forecast, Seen
from alerts.negative_binomial import surprise
from alerts.settings import DetectorSettings

WARM_UP = 24
"""Hours that must have been learned when a window begins, before it can be surprising."""

Row = tuple[int, float | None]
"""Seconds since 1970 at which the interval begins, and its count; None where it is unknown."""


class SeriesError(Exception):
    """The series cannot be used; the message says where and why."""


def surprises(rows: Sequence[Row]) -> Iterator[float]:
    """The surprise of each row; 0 of an unknown one.

    Args:
        rows: in time order. What lies between most of them is the interval that each counts; it
            must be an hour or a part of one. A missing row is unknown, and not zero.

    Raises:
        SeriesError: the rows are not in order, or lie too far apart.
    """
    step = interval(rows)
    lengths = [seconds for seconds in LENGTHS if seconds >= step]
    baseline = Baseline(DetectorSettings().memory_hours)
    forecasts: dict[int, Forecast] = {}
    held: deque[tuple[int, float]] = deque()
    under_way: list[tuple[int, float]] = []
    warm: int | None = None
    for start, value in rows:
        if under_way and under_way[0][0] // HOUR != start // HOUR:
            _learn(baseline, under_way, step, forecasts)
            under_way = []
        if start // HOUR not in forecasts:
            forecasts[start // HOUR] = baseline.forecast(start // HOUR)
            forecasts.pop(start // HOUR - 50, None)
            if warm is None and baseline.hours >= WARM_UP:
                warm = start // HOUR * HOUR
        if value is None:
            yield 0.0
            continue
        under_way.append((start, value))
        held.append((start, value))
        while held[0][0] < start + step - LENGTHS[-1]:
            held.popleft()
        end = start + step
        found = [
            _of_window(end - seconds, seconds, step, held, forecasts)
            for seconds in lengths
            if warm is not None and end - seconds >= warm
        ]
        yield max(0.0, max(found, default=0.0) - math.log10(len(lengths)))


def interval(rows: Sequence[Row]) -> int:
    """Seconds between most rows.

    Raises:
        SeriesError: see ``surprises``.
    """
    between = [after - before for (before, _), (after, _) in pairwise(rows)]
    for row, seconds in enumerate(between, start=2):
        if seconds <= 0:
            raise SeriesError(
                f"row {row} is not later than the one before it: rows must be in time order, "
                "each timestamp once (add up the counts of those that share one)"
            )
    step = Counter(between).most_common(1)[0][0] if between else HOUR
    if step > HOUR:
        raise SeriesError(f"the rows lie {step} s apart; at most an hour can be judged")
    return step


def _of_window(
    start: int,
    seconds: int,
    step: int,
    held: deque[tuple[int, float]],
    forecasts: dict[int, Forecast],
) -> float:
    forecast = forecasts.get(start // HOUR)
    if forecast is None:  # it begins in a gap
        return 0.0
    inside = [value for at, value in held if at >= start]
    covered = len(inside) * step / max(seconds, step)
    mean = forecast.expected(start, seconds) * min(covered, 1.0)
    return surprise(round(sum(inside)), mean, forecast.size(seconds))


def _learn(
    baseline: Baseline, rows: list[tuple[int, float]], step: int, forecasts: dict[int, Forecast]
) -> None:
    """Take in an hour, if all of it is known."""
    if len(rows) * step < HOUR - step / 2:
        return
    slots = [0] * SLOTS
    for start, value in rows:
        slots[start % HOUR * SLOTS // HOUR] += round(value)
    if step > HOUR // SLOTS:  # what is not known closer than that is taken to be even
        total = sum(slots)
        slots = [total * (i + 1) // SLOTS - total * i // SLOTS for i in range(SLOTS)]
    hour = rows[0][0] // HOUR
    baseline.learn(hour, Seen(sum(slots), tuple(slots)), forecasts[hour])


def read(path: Path) -> tuple[list[str], list[Row]]:
    """Timestamps as they stand in the file, and the rows.

    Raises:
        SeriesError: a row cannot be read; says which.
    """
    stamps, rows = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            if not {"timestamp", "value"} <= set(reader.fieldnames or ()):
                raise SeriesError(f"{path}: the first line must name timestamp and value")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                stamps.append(row["timestamp"])
                rows.append((_time(row["timestamp"], where), _count(row["value"], where)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SeriesError(f"cannot read {path}: {error}") from None
    return stamps, rows


def _time(text: str | None, where: str) -> int:
    try:
        return int(float(text or ""))
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        raise SeriesError(f"{where}: {text!r} is no timestamp (ISO 8601, or seconds)") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _count(text: str | None, where: str) -> float | None:
    if not (text or "").strip():
        return None
    try:
        value = float(text or "")
    except ValueError:
        raise SeriesError(f"{where}: {text!r} is no number") from None
    if math.isnan(value):
        return None
    if not 0 <= value < 1e12:
        raise SeriesError(f"{where}: {text} is no count")
    return value


def main(arguments: Sequence[str] | None = None) -> None:
    """From one file to another; exit status 1 with a reason where that cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m alerts.surprise",
        description="Judge each count of a series by the detector's own baseline and test.",
        epilog="example: python -m alerts.surprise --csv mentions.csv --out surprises.csv",
    )
    parser.add_argument("--csv", type=Path, required=True, help="timestamp,value in time order")
    parser.add_argument("--out", type=Path, required=True, help="timestamp,surprise")
    given = parser.parse_args(arguments)
    try:
        stamps, rows = read(given.csv)
        found = list(surprises(rows))
        with given.out.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(("timestamp", "surprise"))
            writer.writerows(
                (stamp, f"{value:.4f}") for stamp, value in zip(stamps, found, strict=True)
            )
    except (SeriesError, OSError) as error:
        print(f"surprise: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
