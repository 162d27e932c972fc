"""The geometry of the charts, in units of their view boxes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerts.records import Alert, Expectation, Window

WIDTH = 640.0
HEIGHT = 160.0
GAP = 1.5

SPARK_WIDTH = 96.0
SPARK_HEIGHT = 20.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One window: its negative stories as a bar, what was expected as the height of a tick."""

    window: Window
    x: float
    y: float
    width: float
    height: float
    expected_y: float | None
    labels: tuple[tuple[str, float, float], ...]
    """sentiment, y and height of each label's share of the documents"""


@dataclass(frozen=True, slots=True)
class Mark:
    """An alert on the chart: where it begins, and how long it fires."""

    alert: Alert
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws; ``top`` is the number at the upper edge."""

    bars: tuple[Bar, ...]
    top: int
    middle: datetime
    start: datetime
    end: datetime
    marks: tuple[Mark, ...] = ()
    width: float = WIDTH
    height: float = HEIGHT


def draw(
    windows: Sequence[Window], start: datetime, end: datetime, alerts: Iterable[Alert] = ()
) -> Chart:
    """Lay out the windows that lie in [start, end); times without a window stay empty."""
    top = _top(max(w.negative_stories, w.expected_negative_stories or 0.0) for w in windows)
    span = (end - start) / timedelta(seconds=1)
    bars = []
    for window in windows:
        expected = window.expected_negative_stories
        height = HEIGHT * window.negative_stories / top
        room = WIDTH * window.seconds / span
        gap = min(GAP, room / 4)
        bars.append(
            Bar(
                window=window,
                x=round(WIDTH * (window.start - start).total_seconds() / span + gap / 2, 2),
                y=round(HEIGHT - height, 2),
                width=round(room - gap, 2),
                height=round(height, 2),
                expected_y=None if expected is None else round(HEIGHT * (1 - expected / top), 2),
                labels=_labels(window),
            )
        )
    marks = []
    for alert in alerts:
        left = max((alert.starts_at - start).total_seconds() / span, 0.0)
        right = min(((alert.ends_at or end) - start).total_seconds() / span, 1.0)
        if left <= 1 and right >= 0:
            width = max(WIDTH * (right - left), 4.0)
            marks.append(Mark(alert, round(min(WIDTH * left, WIDTH - width), 2), round(width, 2)))
    return Chart(tuple(bars), top, start + (end - start) / 2, start, end, tuple(marks))


def _top(values: Iterable[float]) -> int:
    """A multiple of 4 that no value exceeds."""
    return max(4, -(-int(max(values, default=0.0) + 0.999) // 4) * 4)


def _labels(window: Window) -> tuple[tuple[str, float, float], ...]:
    """The shares from the lower edge up: negative, neutral, positive."""
    total = window.negative + window.neutral + window.positive
    found = []
    below = 0.0
    for name in ("negative", "neutral", "positive"):
        share = getattr(window, name) / total if total else 0.0
        below += share
        found.append((name, round(HEIGHT * (1 - below), 2), round(HEIGHT * share, 2)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Block:
    """As long as the tested window, so that both are measured by one expectation."""

    start: datetime
    end: datetime
    negative: int
    stories: int
    x: float
    y: float
    width: float
    height: float
    tested: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """An alert's window among those before and after it, and what was expected of it."""

    blocks: tuple[Block, ...]
    top: int
    mean_y: float
    low_y: float
    high_y: float
    start: datetime
    end: datetime
    width: float = WIDTH
    height: float = HEIGHT


def piece_of(seconds: int) -> int:
    """Length (s) of the published windows that a tested one of ``seconds`` is made of."""
    return 300 if seconds <= 3600 else 3600


def span_of(alert: Alert, before: int = 24, after: int = 8) -> tuple[datetime, datetime]:
    """The time a comparison shows: so many lengths of the tested window around it."""
    length = alert.window.end - alert.window.start
    piece = timedelta(seconds=piece_of(int(length.total_seconds())))
    # The tested window may end at any minute; published ones begin at multiples of theirs.
    over = alert.window.end.timestamp() % piece.total_seconds()
    end = alert.window.end + (piece - timedelta(seconds=over) if over else timedelta())
    return end - length * (before + 1), end + length * after


def compare(
    windows: Sequence[Window], alert: Alert, until: datetime, before: int = 24, after: int = 8
) -> Comparison:
    """Lay out the windows around an alert's, in blocks as long as that one.

    Args:
        windows: published ones, of ``piece_of`` seconds.
        alert: the transition that is shown.
        until: how far documents have been counted; later blocks are left out.
        before: how many blocks before the tested one.
        after: how many after it, at most.
    """
    length = alert.window.end - alert.window.start
    start, _ = span_of(alert, before, after)
    count = before + 1
    while count < before + 1 + after and start + length * count < until:
        count += 1
    sums = [[0, 0] for _ in range(count)]
    for window in windows:
        at = (window.start - start) // length
        if 0 <= at < count:
            sums[at][0] += window.negative_stories
            sums[at][1] += window.stories
    # What was tested is known exactly, its neighbours by the nearest windows.
    sums[before] = [alert.window.negative_stories, alert.window.stories]
    baseline: Expectation = alert.baseline
    top = _top([*(float(negative) for negative, _ in sums), baseline.high])
    room = WIDTH / count
    blocks = []
    for at, (negative, stories) in enumerate(sums):
        height = HEIGHT * negative / top
        blocks.append(
            Block(
                start=start + length * at,
                end=start + length * (at + 1),
                negative=negative,
                stories=stories,
                x=round(room * at + GAP / 2, 2),
                y=round(HEIGHT - height, 2),
                width=round(room - GAP, 2),
                height=round(height, 2),
                tested=at == before,
            )
        )

    def y(value: float) -> float:
        return round(HEIGHT * (1 - value / top), 2)

    return Comparison(
        tuple(blocks),
        top,
        y(baseline.negative_stories),
        y(baseline.low),
        y(baseline.high),
        start,
        start + length * count,
    )


@dataclass(frozen=True, slots=True)
class Spark:
    """A row's small chart: bars of negative stories an hour, and a line of what was expected."""

    bars: tuple[tuple[float, float, float, float], ...] = field(default=())
    """x, y, width, height"""
    line: str = ""
    """points of the line"""
    most: int = 0
    width: float = SPARK_WIDTH
    height: float = SPARK_HEIGHT


def spark(hours: Sequence[Window], end: datetime, count: int = 24) -> Spark:
    """The hours up to the one that holds ``end``, oldest first."""
    hour = timedelta(hours=1)
    last = datetime.fromtimestamp((end.timestamp() - 1) // 3600 * 3600, end.tzinfo) + hour
    start = last - hour * count
    shown = [w for w in hours if start <= w.start < last]
    most = max((w.negative_stories for w in shown), default=0)
    top = (
        max(4.0, *(w.expected_negative_stories or 0.0 for w in shown), float(most)) if shown else 4
    )
    room = SPARK_WIDTH / count
    bars, points = [], []
    for window in shown:
        x = room * ((window.start - start) / hour)
        height = SPARK_HEIGHT * window.negative_stories / top
        bars.append(
            (round(x, 2), round(SPARK_HEIGHT - height, 2), round(room * 0.75, 2), round(height, 2))
        )
        if window.expected_negative_stories is not None:
            y = SPARK_HEIGHT * (1 - window.expected_negative_stories / top)
            points.append(f"{x + room / 2:.1f},{y:.1f}")
    return Spark(tuple(bars), " ".join(points), most)
