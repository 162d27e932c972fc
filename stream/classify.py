"""``barograph classify``: rows of texts with their scores."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from model.classifier import Classifier, ModelError
from stream.rows import read_rows

CHUNK = 256


def classify(
    texts: Sequence[str],
    source: Path | None,
    output: Path | None,
    model: str | None,
    backend: Literal["onnx", "torch"] = "onnx",
    target: str | None = None,
) -> None:
    """Score texts, or the rows of a file, and write a JSON line for each.

    A row without a text is written with ``error`` instead, so that rows and answers match.

    Args:
        texts: texts to score.
        source: a file whose rows to score instead; a row's own ``target`` wins over ``target``.
        output: where to write; None prints.
        model: a folder, or for torch a hub name; None is the model that ships.
        backend: see ``Classifier.load``.
        target: whom the sentiment is to be towards; None: what the text says as a whole.

    Raises:
        ModelError: the model cannot be used, or knows no targets and one is given.
        RowsError: the file cannot be read.
        OSError: the output cannot be written.
    """
    classifier = Classifier.load(model, backend=backend)
    if target is not None and not classifier.takes_targets:
        raise ModelError(f"the model {classifier.name} knows no targets; leave out --target")
    rows = _rows(source) if source is not None else ({"text": text} for text in texts)
    if target is not None:
        rows = ({"target": target, **row} for row in rows)
    out = sys.stdout if output is None else output.open("w", encoding="utf-8")
    try:
        bar = tqdm(unit=" texts", disable=None if output is not None else True)
        with bar:
            while chunk := list(islice(rows, CHUNK)):
                for row in _scored(classifier, chunk):
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
                bar.update(len(chunk))
    finally:
        if output is not None:
            out.close()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line, value in read_rows(path):
        try:
            row = json.loads(value)
        except ValueError:
            row = None
        yield row if isinstance(row, dict) else {"line": line}


def _scored(classifier: Classifier, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    usable = [row for row in rows if isinstance(row.get("text"), str) and row["text"].strip()]
    targets = [_target(row) for row in usable]
    scores = iter(classifier.classify([_content(row) for row in usable], targets))
    good = {id(row) for row in usable}
    for row in rows:
        if id(row) not in good:
            yield {**row, "error": "no text"}
            continue
        score = next(scores)
        negative, neutral, positive = (round(p, 6) for p in score.probabilities)
        yield {
            **row,
            "sentiment": {
                "label": score.sentiment,
                "negative": negative,
                "neutral": neutral,
                "positive": positive,
            },
            "topic": {"label": score.topic, "probability": round(score.topic_probability, 6)},
            "lang": score.lang,
            "known_language": score.known_language,
        }


def _target(row: dict[str, Any]) -> str | None:
    target = row.get("target")
    return target if isinstance(target, str) and target.strip() else None


def _content(row: dict[str, Any]) -> str:
    title = row.get("title")
    return f"{title}. {row['text']}" if isinstance(title, str) and title else str(row["text"])
