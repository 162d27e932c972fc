"""``barograph backtest``: its files in, its figures and its page out."""

from __future__ import annotations

import json
from pathlib import Path

from alerts.backtest import backtest, read_alerts, read_events, read_windows
from alerts.timeline import page


def backtest_files(
    alerts: Path,
    events: Path,
    before: float,
    after: float,
    windows: Path | None,
    html: Path | None,
    output: Path | None,
) -> None:
    """Print the figures, and write them and the page where that is asked for; hours throughout.

    Raises:
        BacktestError: a file cannot be used.
    """
    held = read_windows(windows) if windows is not None else []
    span = (min(w.start for w in held), max(w.end for w in held)) if held else None
    found = backtest(
        read_alerts(alerts),
        read_events(events),
        before * 3600,
        after * 3600,
        (w.topic for w in held),
        span,
    )
    summary = found.summary()
    for match in found.matches:
        event = match.event
        told = "missed"
        if match.alert is not None and match.lead is not None:
            told = f"{match.alert.severity} {abs(match.lead) / 3600:.1f} h "
            told += "before" if match.lead >= 0 else "after"
        print(f"{event.time:%Y-%m-%d %H:%M}  {event.topic}  {event.label}  {told}")
    for name, value in summary.items():
        print(f"{name.replace('_', ' '):32} {'-' if value is None else value}")
    if output is not None:
        output.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    if html is not None:
        html.write_text(page(found, held), encoding="utf-8")
