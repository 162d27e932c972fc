"""A page of timelines: what was counted, what was expected, what was alerted, what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from alerts.backtest import Backtest
from alerts.records import Window

WIDTH, HEIGHT = 1000, 120
HOUR = 3600

MAX_TOPICS = 40
"""Topics on a page, those with the most events and alerts first."""

STYLE = """
:root { --ink: #1c2733; --soft: #66727f; --bar: #b9c7d6; --line: #2a62a3; --alert: #c2410c;
        --event: #15803d; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #93a1b0; --bar: #44546a;
        --line: #7fb0e6; --alert: #fb923c; --event: #4ade80; --paper: #10161d; } }
body { background: var(--paper); color: var(--ink); font: 14px/1.4 system-ui, sans-serif;
       margin: 2rem auto; max-width: 1040px; padding: 0 1rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 11px; }
.bar { fill: var(--bar); } .expected { stroke: var(--line); fill: none; }
.alert { fill: var(--alert); } .event { stroke: var(--event); stroke-width: 2; }
td { padding: 0.1rem 1rem 0.1rem 0; } h2 { font-size: 1rem; margin: 1.5rem 0 0.2rem; }
.soft { color: var(--soft); }
"""


def page(found: Backtest, windows: Sequence[Window]) -> str:
    """The whole page as HTML that loads nothing from elsewhere."""
    hourly: dict[str, list[Window]] = defaultdict(list)
    for window in windows:
        if window.seconds == HOUR:
            hourly[window.topic].append(window)
    weight: dict[str, int] = defaultdict(int)
    for alert in found.alerts:
        weight[alert.topic] += 1
    for match in found.matches:
        weight[match.event.topic] += 1000
    topics = sorted(weight, key=lambda topic: (-weight[topic], topic))
    rows = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{'-' if v is None else v}</td></tr>"
        for name, v in found.summary().items()
    )
    charts = "".join(
        f"<h2>{escape(topic)}</h2>{_chart(topic, found, hourly[topic])}"
        for topic in topics[:MAX_TOPICS]
    )
    left = len(topics) - MAX_TOPICS
    more = f"<p class=soft>{left} more topics had alerts.</p>" if left > 0 else ""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Backtest</title>"
        f"<style>{STYLE}</style><h1>Backtest</h1><table>{rows}</table>"
        f"<p class=soft>Bars: distinct negative stories an hour. Line: expected. "
        f"Triangles: alerts. Green: events.</p>{charts}{more}</html>\n"
    )


def _chart(topic: str, found: Backtest, windows: Iterable[Window]) -> str:
    begin, span = found.start, max((found.end - found.start).total_seconds(), 1.0)

    def x(time: datetime) -> float:
        return WIDTH * (time - begin).total_seconds() / span

    held = sorted(windows, key=lambda window: window.start)
    top = max((w.negative_stories for w in held), default=0) or 1
    parts = []
    line = []
    for window in held:
        left, right = x(window.start), x(window.end)
        height = HEIGHT * window.negative_stories / top
        if height:
            parts.append(
                f'<rect class="bar" x="{left:.1f}" y="{HEIGHT - height:.1f}" '
                f'width="{max(right - left, 0.7):.1f}" height="{height:.1f}"/>'
            )
        if window.expected_negative_stories is not None:
            y = HEIGHT * (1 - min(window.expected_negative_stories / top, 1.0))
            line.append(f"{left:.1f},{y:.1f}")
    if line:
        parts.append(f'<polyline class="expected" points="{" ".join(line)}"/>')
    for match in found.matches:
        if match.event.topic == topic:
            at = x(match.event.time)
            title = escape(f"{match.event.time:%Y-%m-%d %H:%M} {match.event.label}".strip())
            parts.append(
                f'<path class="event" d="M{at:.1f} 0V{HEIGHT}"><title>{title}</title></path>'
            )
    for alert in found.alerts:
        if alert.topic == topic:
            at = x(alert.detected_at)
            title = escape(f"{alert.detected_at:%Y-%m-%d %H:%M} {alert.summary}")
            mark = f'<path class="alert" d="M{at:.1f} {HEIGHT}l-5 10h10z">'
            parts.append(f"{mark}<title>{title}</title></path>")
    low, first, last = HEIGHT + 24, f"{found.start:%Y-%m-%d}", f"{found.end:%Y-%m-%d}"
    return (
        f'<svg viewBox="-8 -14 {WIDTH + 16} {HEIGHT + 40}" role="img">{"".join(parts)}'
        f'<text x="0" y="-4">{top}</text><text x="0" y="{low}">{first}</text>'
        f'<text x="{WIDTH}" y="{low}" text-anchor="end">{last}</text></svg>'
    )
