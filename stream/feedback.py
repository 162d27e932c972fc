"""``barograph feedback export``: corrections made on the desk, as rows to train on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from alerts.corrections import Correction, list_corrections, mark_exported
from stream.watchlist import Watchlist


def export(engine: Engine, watchlist: Watchlist, path: Path, *, everything: bool = False) -> int:
    """Write the corrections that no export holds yet (or all), and note that this one does.

    A row has ``text``, ``sentiment``, and ``target`` where the text names the watched entry beside
    others, as the scorer asks for it; the rest says where the row is from and is not trained on.

    Returns:
        How many rows were written.

    Raises:
        OSError: the file cannot be written.
    """
    found = list_corrections(engine, waiting=None if everything else True)
    with path.open("w", encoding="utf-8") as out:
        for correction in found:
            out.write(json.dumps(row(correction, watchlist), ensure_ascii=False) + "\n")
    with engine.begin() as connection:
        mark_exported(connection, found, path.name, datetime.now(UTC))
    return len(found)


def row(correction: Correction, watchlist: Watchlist) -> dict[str, str | None]:
    """A correction as a row of a training file."""
    mentions = watchlist.mentions(correction.text)
    names = {mention.name for mention in mentions if mention.name is not None}
    target = next((m.name for m in mentions if m.topic == correction.topic), None)
    return {
        "text": correction.text,
        "sentiment": correction.new,
        # Of one entry alone the scorer asks for the whole text, so that is what was wrong.
        "target": target if len(names) > 1 else None,
        "kind": "correction",
        "id": correction.document_id,
        "was": correction.old,
        "corrected_at": correction.at.isoformat(),
    }
