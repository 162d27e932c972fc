"""The picture of the spike benchmark: recall against false alerts, and what the controls raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, cycle
from typing import Any

from benchmarks.pictures import INK, STYLES, Axis, Panel, bar, line, names_beside, svg, text

Results = Mapping[str, Sequence[dict[str, Any]]]
"""What ``judge`` said of each detector at each of its thresholds."""

BORNE = 0.5
"""False alerts per topic and month near which detectors are compared by their controls."""

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""False alerts per topic and month that may be named below the picture."""

CONTROLS_TOP, ROW = 440, 24
"""Where the bars of the picture begin, and how far one is below the other, in pixels."""


def picture(results: Results) -> str:
    """Recall against false alerts, and what share of the controls raised an alert; SVG."""
    title = "Recall of planted spikes, and alerts on what must stay silent"
    height = CONTROLS_TOP + ROW * len(results) + 14
    return svg(title, 920, height, [*recall_panel(results), *control_panels(results)])


def recall_panel(results: Results) -> list[str]:
    rows = [row for own in results.values() for row in own]
    rates = [row["false_per_topic_month"] for row in rows]
    least = min((rate for rate in rates if rate > 0), default=RATES[0])
    low = max((rate for rate in RATES if rate <= least), default=RATES[0])
    high = min((rate for rate in RATES if rate >= max(rates)), default=RATES[-1])
    bottom = int(min(row["recall"] for row in rows) * 10)
    panel = Panel(
        64,
        40,
        830,
        300,
        Axis(low, high, {r: f"{r:g}" for r in RATES if low <= r <= high}, logarithmic=True),
        Axis(bottom / 10, 1.0, {n / 10: f"{n / 10:.0%}" for n in range(bottom, 11)}),
    )
    parts = panel.frame("Share of planted spikes found, by false alerts per topic and month")
    lines = {
        name: [
            panel.at(*point)
            for point in sorted((r["false_per_topic_month"], r["recall"]) for r in own)
        ]
        for name, own in results.items()
    }
    labels = names_beside(lines, panel)
    for (name, points), style in zip(lines.items(), cycle(STYLES), strict=False):
        parts.append(line(name, points, style))
    for (name, label), style in zip(labels.items(), cycle(STYLES), strict=False):
        parts.append(text(label.at, name, label.anchor, style.colour, 600))
    return parts


def control_panels(results: Results) -> list[str]:
    """Bars for each kind of control, at the threshold of each detector that is nearest to BORNE."""
    near = {
        name: min(own, key=lambda row: abs(row["false_per_topic_month"] - BORNE))
        for name, own in results.items()
    }
    kinds = list(next(iter(near.values()))["controls"])
    left, width = 200, 694 / len(kinds)
    parts = [
        text(
            (14, CONTROLS_TOP - 44),
            "Share of each control that raised an alert, each detector at its threshold nearest"
            f" to {BORNE:g} false alerts (its own in brackets)",
            weight=600,
        )
    ]
    for (name, row), style, y in zip(near.items(), cycle(STYLES), count(CONTROLS_TOP, ROW)):
        rate = f"{name} ({row['false_per_topic_month']:.2g})"
        parts.append(text((left - 10, y + 12), rate, "end", style.colour))
        for column, kind in enumerate(kinds):
            share = row["controls"][kind]
            at = (left + width * column, y)
            parts.append(bar(at, (width - 50) * share, 15, f"{share:.0%}", style))
    for column, kind in enumerate(kinds):
        x = left + width * column
        parts.append(text((x, CONTROLS_TOP - 14), kind, weight=600))
        axis = f"M{x:.1f} {CONTROLS_TOP - 5}v{ROW * len(near)}"
        parts.append(f'<path d="{axis}" stroke="{INK}"/>')
    return parts
