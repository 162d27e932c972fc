"""The acceptance run: three months of real posts through a real Kafka, the worker killed thrice.

``python -m benchmarks.spine`` starts Kafka, a worker and a recorder, sends the posts around the
crash of 2021-05-19, kills the worker with -9 three times in the middle, and compares what was
recorded with the same file through ``replay``. The figures go to ``results/spine.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from alerts.store import document_sums
from stream.demo import WATCHLIST
from stream.replay import replay
from stream.rows import read_rows
from stream.send import send
from stream.worker import build_scorer, config_of
from tests import servers
from tests.conftest import DATA, settings_for
from tests.pipeline import Pipeline, comparable
from tests.servers import eventually

POSTS = DATA / "reddit_crypto" / "2021-05_crash.jsonl.gz"
CRASH = "2021-05-19"
RESULTS = Path(__file__).parent / "results" / "spine.json"


def run(posts: Path, kills: tuple[float, ...], limit: float) -> dict[str, Any]:
    """Measure; ``kills`` are shares of the documents recorded, ``limit`` is in seconds."""
    rows = list(read_rows(posts))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka_folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = stack.enter_context(servers.kafka(kafka_folder))
        settings = settings_for(kafka.bootstrap, partitions=4, watchlist=WATCHLIST)
        pipeline = stack.enter_context(Pipeline(settings, folder))

        def recorded() -> int:
            return document_sums(pipeline.engine, "class:").get(3600, 0)

        started = time.monotonic()
        sent = send(posts, pipeline.settings)
        for share in kills:
            if not eventually(lambda share=share: recorded() >= share * len(rows), limit):
                raise SystemExit(f"stuck at {recorded()} of {len(rows)}")
            print(f"kill -9 at {recorded()} documents recorded", flush=True)
            pipeline.children["worker"].kill()
            pipeline.start("worker")
        if not eventually(lambda: recorded() >= len(rows), limit):
            raise SystemExit(f"only {recorded()} of {len(rows)} recorded")
        seconds = time.monotonic() - started
        # Whatever would be counted twice has to have had the time to be.
        eventually(lambda: pipeline.metric("barograph_consumer_lag") == 0, 60)
        sums = document_sums(pipeline.engine, "class:")
        repeated = pipeline.metric("barograph_documents_repeated_total")
        live, transitions = pipeline.windows(), pipeline.transitions()

    scorer = build_scorer(settings)
    began = time.monotonic()
    again = replay(rows, scorer, config_of(settings, scorer, 1))
    replay_seconds = time.monotonic() - began
    replayed = {
        (topic, length, float(start)): comparable(w)
        for (topic, length, start), w in again.windows.items()
    }
    figures = {
        "documents_sent": sent.sent,
        "cores": os.cpu_count(),
        "worker_kills": len(kills),
        "seconds_sent_to_recorded": round(seconds, 1),
        "documents_per_second": round(len(rows) / seconds, 1),
        "replay_seconds": round(replay_seconds, 1),
        "replay_documents_per_second": round(len(rows) / replay_seconds, 1),
        "documents_in_windows": {str(k): v for k, v in sorted(sums.items())},
        "exact": set(sums.values()) == {len(rows)},
        "repeats_dropped_since_last_kill": int(repeated),
        "windows": len(live),
        "windows_equal_to_replay": {k: comparable(w) for k, w in live.items()} == replayed,
        "live_transitions": len(transitions),
        "replay_transitions": len(again.alerts),
        "transitions_equal_to_replay": ids(transitions) == ids(again.alerts),
        "alerts": len({a.id for a in again.alerts}),
        "alerts_on_the_day_of_the_crash": [
            {
                "topic": a.topic,
                "severity": a.severity,
                "detected_at": a.window.end.isoformat(),
                "summary": a.summary,
                "evidence": [e.id for e in a.evidence],
            }
            for a in sorted(transitions, key=lambda a: a.window.end)
            if a.state == "firing" and a.window.end.date().isoformat() == CRASH
        ],
        "model": again.alerts[0].model.model_dump() if again.alerts else None,
    }
    return figures


def ids(alerts: list[Any]) -> set[tuple[str, str, str, str]]:
    """What tells transitions apart."""
    return {(a.id, a.state, a.severity, a.window.end.isoformat()) for a in alerts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=Path, default=POSTS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    figures = run(given.posts, (0.25, 0.5, 0.75), 1800)
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    if not (figures["exact"] and figures["windows_equal_to_replay"]):
        raise SystemExit("not exact")


if __name__ == "__main__":
    main()
