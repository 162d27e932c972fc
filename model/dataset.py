"""Labelled texts: read, cleaned, told apart, and split so that nothing leaks.

Any of the formats gives the same examples: JSON lines, CSV, and folders that Hugging Face
``datasets`` wrote (``save_to_disk``).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from model.labels import SENTIMENTS, TOPICS
from model.neardup import NearDuplicates
from model.text import clean

UNKNOWN = -100
"""A missing label; the value torch's cross entropy ignores."""

CORPUS = Path(__file__).parent / "corpus"

SYNONYMS = {"bearish": "negative", "bullish": "positive"}
"""Labels of public sets that mean one of ours; a ``label_map`` may add others."""

_SENTIMENT: Mapping[str, int] = {name: i for i, name in enumerate(SENTIMENTS)}
_TOPIC: Mapping[str, int] = {name: i for i, name in enumerate(TOPICS)}


class DatasetError(Exception):
    """A file of labelled texts cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Example:
    """A cleaned text and the labels known of it (``UNKNOWN`` where none is)."""

    text: str
    sentiment: int = UNKNOWN
    topic: int = UNKNOWN
    target: str | None = None
    """whom the sentiment is towards; None: the text as a whole"""
    lang: str = ""
    kind: str = ""
    """style or source kind, for figures by kind"""


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row numbers and rows of a file (``.jsonl`` or ``.csv``, also ``.gz``) or ``datasets`` folder.

    Raises:
        DatasetError: a row is not an object, or the file cannot be read.
    """
    try:
        if path.is_dir():
            yield from _folder_rows(path)
            return
        opener: Any = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as raw:
            parse = _csv_rows if ".csv" in path.suffixes else _json_rows
            yield from parse(path, raw)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"cannot read {path}: {error}") from None


def _json_rows(path: Path, raw: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(raw, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{path}, line {number}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise DatasetError(f"{path}, line {number}: not a JSON object")
        yield number, row


def _csv_rows(_path: Path, raw: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = io.TextIOWrapper(raw, "utf-8-sig", newline="")
    try:
        reader = csv.DictReader(lines)
        for row in reader:
            yield reader.line_num, {name: cell for name, cell in row.items() if name and cell}
    finally:
        lines.detach()  # the stream is its owner's to close


def _folder_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        from datasets import ClassLabel, DatasetDict, load_from_disk
    except ImportError:
        raise DatasetError(f"{path} is a folder: pip install datasets to read it") from None
    found = load_from_disk(str(path))
    if isinstance(found, DatasetDict):
        raise DatasetError(f"{path} holds several splits; name one: {', '.join(found)}")
    names = {k: f.names for k, f in found.features.items() if isinstance(f, ClassLabel)}
    for number, row in enumerate(found, 1):
        for key, labels in names.items():
            if isinstance(row[key], int) and 0 <= row[key] < len(labels):
                row[key] = labels[row[key]]
        yield number, dict(row)


def read_examples(
    path: Path,
    label_map: Mapping[str, str] | None = None,
    *,
    targets: bool = False,
    drop: Collection[str] = (),
) -> list[Example]:
    """Rows with ``text`` and any of ``sentiment``, ``topic``, ``label``, as examples.

    ``label`` is a sentiment or one of the 20 topics. ``lang`` and ``kind`` (or ``style``) are kept.

    Args:
        path: see ``read_rows``.
        label_map: what other labels mean, such as ``{"LABEL_0": "negative"}``.
        targets: also give an example for each entry of ``targets`` (``name``, ``sentiment``) or
            ``entities`` (``name``, ``label``; or a mapping of names to labels).
        drop: labels that are none of ours and count as missing.

    Raises:
        DatasetError: a row has no text, a label that is neither ours nor mapped nor dropped, or a
            target without a name.
    """
    known: dict[str, str | None] = {**SYNONYMS, **(label_map or {}), **dict.fromkeys(drop)}
    examples = []
    for number, row in read_rows(path):
        where = f"{path}, row {number}"
        text = row.get("text")
        if not isinstance(text, str):
            raise DatasetError(f"{where}: no text")
        sentiment, topic = row.get("sentiment"), row.get("topic")
        if (label := row.get("label")) is not None:
            label = known.get(str(label), str(label))
            if label is not None and label in _TOPIC:
                topic = label
            else:
                sentiment = label
        example = Example(
            clean(text),
            _index(sentiment, _SENTIMENT, known, where),
            _index(topic, _TOPIC, known, where),
            row.get("target"),
            lang=str(row.get("lang") or ""),
            kind=str(row.get("kind") or row.get("style") or ""),
        )
        examples.append(example)
        if targets:
            examples += (
                replace(
                    example,
                    sentiment=_index(towards, _SENTIMENT, known, where),
                    topic=UNKNOWN,
                    target=clean(name),
                )
                for name, towards in _targets(row, where)
            )
    return examples


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write examples as JSON lines that ``read_examples`` reads back as they are."""
    with path.open("w", encoding="utf-8") as out:
        for example in examples:
            sentiment, topic = example.sentiment, example.topic
            row = {
                "text": example.text,
                "sentiment": None if sentiment == UNKNOWN else SENTIMENTS[sentiment],
                "topic": None if topic == UNKNOWN else TOPICS[topic],
                "target": example.target,
                "lang": example.lang,
                "kind": example.kind,
            }
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _index(
    label: object, indices: Mapping[str, int], known: Mapping[str, str | None], where: str
) -> int:
    name = None if label is None else known.get(str(label), str(label))
    if name is None:
        return UNKNOWN
    if name not in indices:
        raise DatasetError(f"{where}: unknown label {label!r}; known: {', '.join(indices)}")
    return indices[name]


def _targets(row: Mapping[str, Any], where: str) -> Iterator[tuple[str, object]]:
    entities = row.get("entities")
    if isinstance(entities, dict):
        yield from entities.items()
    for target in [*(row.get("targets") or ()), *(entities if isinstance(entities, list) else ())]:
        if not isinstance(target, dict) or not isinstance(target.get("name"), str):
            raise DatasetError(f"{where}: a target needs a name and a sentiment: {target!r}")
        yield target["name"], target.get("sentiment", target.get("label"))


def key_of(example: Example) -> tuple[str, str]:
    """What two examples share when they are the same text (towards the same target)."""
    return example.text.casefold(), (example.target or "").casefold()


def merge(examples: Iterable[Example]) -> list[Example]:
    """One example a text and target: labels are joined, the first of a kind wins."""
    merged: dict[tuple[str, str], Example] = {}
    for example in examples:
        key = key_of(example)
        if not key[0]:
            continue
        known = merged.get(key)
        if known is None:
            merged[key] = example
            continue
        merged[key] = replace(
            known,
            sentiment=example.sentiment if known.sentiment == UNKNOWN else known.sentiment,
            topic=example.topic if known.topic == UNKNOWN else known.topic,
        )
    return list(merged.values())


def without(examples: Iterable[Example], held_out: Iterable[Example]) -> list[Example]:
    """The examples that repeat no held-out text, nearly or exactly.

    Evaluation texts that come again in other case, with other links or a word changed would
    otherwise be trained on.
    """
    seen = NearDuplicates()
    for example in held_out:
        seen.add(example.text)
    return [example for example in examples if example.text not in seen]


def split(examples: Iterable[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Two parts, the second of about this share; a text always falls on the same side.

    All targets of a text stay together, and so does a text in whatever order or set it comes.
    """
    first: list[Example] = []
    second: list[Example] = []
    for example in examples:
        inside = int.from_bytes(_digest(example)[:8], "big") < share * 2**64
        (second if inside else first).append(example)
    return first, second


def contrasted(examples: Sequence[Example], times: int) -> list[Example]:
    """The examples, with those towards targets that fare differently in one text so many times.

    Most texts have one mood, so that a network gets far without looking at the target; only in
    these does it matter who is meant.
    """
    fates: dict[str, set[int]] = defaultdict(set)
    for example in examples:
        if example.target is not None and example.sentiment != UNKNOWN:
            fates[example.text].add(example.sentiment)
    telling = [e for e in examples if e.target is not None and len(fates[e.text]) > 1]
    return [*examples, *telling * (times - 1)]


def fold_of(example: Example, folds: int) -> int:
    """Which of so many parts of like size a text is in, with all its targets."""
    return int.from_bytes(_digest(example)[8:16], "big") % folds


def is_left_out(example: Example, folds: int, fold: int) -> bool:
    """Whether a run that leaves this fold out leaves the text out; of 0 folds none is."""
    return folds > 0 and fold_of(example, folds) == fold


def _digest(example: Example) -> bytes:
    return hashlib.sha256(example.text.casefold().encode("utf-8", "replace")).digest()
