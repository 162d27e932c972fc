"""The geometry of a topic's chart, in units of its view box. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.records import Window

WIDTH = 640.0
HEIGHT = 160.0
GAP = 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """One window: its negative stories as a bar, what was expected as the height of a tick."""

    window: Window
    x: float
    y: float
    width: float
    height: float
    expected_y: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws; ``top`` is the number at the upper edge."""

    bars: tuple[Bar, ...]
    top: int
    middle: datetime
    start: datetime
    end: datetime
    width: float = WIDTH
    height: float = HEIGHT


def draw(windows: Sequence[Window], start: datetime, end: datetime) -> Chart:
    """Lay out the windows that lie in [start, end); hours without a window stay empty."""
    largest = max(
        (max(w.negative_stories, w.expected_negative_stories or 0.0) for w in windows), default=0
    )
    top = max(4, -(-int(largest + 0.999) // 4) * 4)
    span = (end - start) / timedelta(seconds=1)
    bars = []
    for window in windows:
        expected = window.expected_negative_stories
        height = HEIGHT * window.negative_stories / top
        bars.append(
            Bar(
                window=window,
                x=round(WIDTH * (window.start - start).total_seconds() / span + GAP / 2, 2),
                y=round(HEIGHT - height, 2),
                width=round(WIDTH * window.seconds / span - GAP, 2),
                height=round(height, 2),
                expected_y=None if expected is None else round(HEIGHT * (1 - expected / top), 2),
            )
        )
    return Chart(tuple(bars), top, start + (end - start) / 2, start, end)
