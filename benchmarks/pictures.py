"""Charts in SVG, as the benchmarks draw them: panels, lines with their names beside them, bars.

Drawn for a white ground, which they bring along. What is told by colour is told by a dash and a
marker as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

INK, FAINT = "#222222", "#dddddd"
SIZE = 12
"""Of letters, in pixels."""

LETTER = 0.58 * SIZE
"""Width of a letter; a little more than common fonts need."""

Point = tuple[float, float]


class Style(NamedTuple):
    """How a line looks."""

    colour: str
    dash: str = ""
    marker: str = ""
    """an SVG path around the origin"""
    width: float = 2.0


STYLES = (
    Style("#0b2f5c", marker="M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", width=3.0),
    Style("#b84a00", "7 3", "M-3.5-3.5h7v7h-7z"),
    Style("#00704f", "2 3", "M0-4.5l4.5 8h-9z"),
    Style("#9a2c78", "9 3 2 3", "M0-5l4.5 5l-4.5 5l-4.5-5z"),
    Style("#5c5c5c", "4 2", "M0 4.5l4.5-8h-9z"),
    Style("#7d5c00", "12 4", "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z"),
)
"""Of lines in their order; dark enough for letters on white, the first above all."""


@dataclass(frozen=True)
class Axis:
    """Values from one end of a panel to the other."""

    low: float
    high: float
    ticks: Mapping[float, str]
    """labels by value"""
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 to 1; what is beyond an end lies on it."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)


@dataclass(frozen=True)
class Panel:
    """A rectangle with a scale on each side, in pixels from the upper left corner."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values lies, in pixels."""
        across = self.left + self.width * self.x.share(x)
        return across, self.top + self.height * (1.0 - self.y.share(y))

    def frame(self, title: str = "") -> list[str]:
        """Title, lines of the grid, and the labels of both axes."""
        parts = [text((self.left, self.top - 12), title, weight=600)] if title else []
        bottom = self.top + self.height
        for value, label in self.y.ticks.items():
            _, y = self.at(self.x.low, value)
            parts.append(f'<path d="M{self.left:g} {y:.1f}h{self.width:g}" stroke="{FAINT}"/>')
            parts.append(text((self.left - 6, y + 4), label, "end"))
        for value, label in self.x.ticks.items():
            x, _ = self.at(value, self.y.low)
            parts.append(f'<path d="M{x:.1f} {bottom:g}v4" stroke="{INK}"/>')
            parts.append(text((x, bottom + 17), label, "middle"))
        return parts


def text(at: Point, words: str, anchor: str = "start", colour: str = INK, weight: int = 400) -> str:
    """Words with a white rim, so that they can be read where a line passes."""
    return (
        f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}" fill="{colour}"'
        f' font-weight="{weight}">{escape(words)}</text>'
    )


def line(name: str, points: Iterable[Point], style: Style) -> str:
    """A line through the points, which are in pixels, with a marker on each."""
    drawn = [f"{x:.1f},{y:.1f}" for x, y in points]
    dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
    markers = "".join(
        f'<path transform="translate({point})" d="{style.marker}" fill="{style.colour}"/>'
        for point in (drawn if style.marker else ())
    )
    return (
        f"<g><title>{escape(name)}</title>"
        f'<polyline points="{" ".join(drawn)}" fill="none" stroke="{style.colour}"'
        f' stroke-width="{style.width:g}"{dash}/>{markers}</g>'
    )


def spread(wanted: Sequence[float], least: float) -> list[float]:
    """Heights as near to the wanted ones as may be, at least so far from each other."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    # Means of neighbours that would come too close (isotonic regression).
    blocks: list[tuple[float, int]] = []
    for rank, i in enumerate(order):
        mean, count = wanted[i] - rank * least, 1
        while blocks and blocks[-1][0] > mean:
            before, more = blocks.pop()
            mean, count = (mean * count + before * more) / (count + more), count + more
        blocks.append((mean, count))
    heights = [mean for mean, count in blocks for _ in range(count)]
    found = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        found[i] = heights[rank] + rank * least
    return found


class Box(NamedTuple):
    """A rectangle that words take."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, point: Point) -> bool:
        return self.left < point[0] < self.right and self.top < point[1] < self.bottom

    def raster(self) -> list[Point]:
        """Points all over it, four pixels from each other."""
        across = range(int((self.right - self.left) / 4) + 1)
        down = range(int((self.bottom - self.top) / 4) + 1)
        return [(self.left + 4 * i, self.top + 4 * j) for i in across for j in down]


class Label(NamedTuple):
    """Where words go."""

    at: Point
    anchor: str

    def box(self, words: str) -> Box:
        width = LETTER * len(words)
        left = self.at[0] - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Box(left, self.at[1] - SIZE, left + width, self.at[1] + 3)


_BESIDE = (
    (9, 4, "start"),
    (-9, 4, "end"),
    (0, -10, "middle"),
    (0, 19, "middle"),
    (9, -8, "start"),
    (9, 17, "start"),
    (-9, -8, "end"),
    (-9, 17, "end"),
)
"""Where a name may stand around a point of its line."""


def names_beside(lines: Mapping[str, Sequence[Point]], panel: Panel) -> dict[str, Label]:
    """A place beside each line for its name, where the fewest lines and names are in the way."""
    taken = [point for points in lines.values() for point in _along(points)]
    found: dict[str, Label] = {}
    for name, points in lines.items():
        # The ends first: of places alike, the earlier is taken.
        places = [
            Label((x + dx, y + dy), anchor)
            for x, y in (points[-1], points[0], *points[1:-1])
            for dx, dy, anchor in _BESIDE
        ]
        costs = [_cost(place.box(name), panel, taken) for place in places]
        found[name] = places[costs.index(min(costs))]
        # A name on another is worse than on a line.
        taken += 10 * found[name].box(name).raster()
    return found


def _cost(box: Box, panel: Panel, taken: Sequence[Point]) -> int:
    """How many points the box would hide, and much more if it leaves the panel."""
    right, bottom = panel.left + panel.width, panel.top + panel.height
    inside = (
        panel.left < box.left and panel.top < box.top and box.right < right and box.bottom < bottom
    )
    return sum(map(box.holds, taken)) + (0 if inside else 10_000)


def _along(points: Sequence[Point]) -> list[Point]:
    """Points on a line, two pixels from each other, and more at each marker."""
    found = [point for point in points for _ in range(4)]
    for (x, y), (u, v) in pairwise(points):
        count = int(math.hypot(u - x, v - y) / 2)
        found += ((x + (u - x) * i / count, y + (v - y) * i / count) for i in range(count))
    return found


def bar(at: Point, length: float, height: float, label: str, style: Style) -> str:
    """A bar to the right with its label after it; ``at`` is its upper left corner."""
    x, y = at
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" height="{height:g}"'
        f' fill="{style.colour}"/>'
    ) + text((x + length + 4, y + height / 2 + 4), label)


def svg(title: str, width: float, height: float, parts: Iterable[str]) -> str:
    """The whole picture; the title is for those who hear it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img"'
        f' aria-label={quoteattr(title)} font-size="{SIZE}"'
        ' font-family="system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif">\n'
        "<style>text{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}</style>\n"
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
