"""``barograph replay``: files around the pure replay."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from alerts.records import Record
from stream.replay import Replay, replay
from stream.rows import read_rows
from stream.settings import Settings
from stream.worker import build_scorer, config_of


def replay_file(
    path: Path,
    settings: Settings,
    scored: Path | None = None,
    windows: Path | None = None,
    alerts: Path | None = None,
) -> Replay:
    """Replay a file and write what came of it as JSON lines.

    Raises:
        RowsError: the file cannot be read.
        ModelError, WatchlistError: see ``build_scorer``.
        OSError: a file cannot be written.
    """
    scorer = build_scorer(settings)
    with ExitStack() as stack:
        out = None if scored is None else stack.enter_context(scored.open("wb"))

        def write(record: Record) -> None:
            if out is not None:
                out.write(record.to_json() + b"\n")

        bar = stack.enter_context(tqdm(unit=" documents", desc=path.name, disable=None))
        result = replay(read_rows(path), scorer, config_of(settings, scorer, 1), write, bar.update)
    _write(windows, [result.windows[key] for key in sorted(result.windows)])
    _write(alerts, result.alerts)
    return result


def _write(path: Path | None, records: Sequence[Record]) -> None:
    if path is not None:
        with path.open("wb") as out:
            for record in records:
                out.write(record.to_json() + b"\n")
