"""What the model that ships is made of: its data, its backbone, and what both hash to."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.backend import is_export, read_export
from model.dataset import CORPUS, UNKNOWN, Example, merge, read_examples, split, without

TRAIN = ("twitter_financial_sentiment/train", "twitter_financial_topic/train")
ENTITIES = ("finentity/paragraphs",)
HELD_OUT = {
    "twitter_sentiment": "twitter_financial_sentiment/valid_clean",
    "twitter_topic": "twitter_financial_topic/valid_clean",
}


def default_data(
    folder: Path, dev_share: float
) -> tuple[list[Example], list[Example], dict[str, list[Example]], dict[str, str]]:
    """Training, dev and held-out examples of what ships, and the hashes of the files.

    Raises:
        SystemExit: a file is missing.
    """
    paths = [folder / f"{n}.jsonl.gz" for n in (*TRAIN, *ENTITIES, *HELD_OUT.values())]
    if missing := [path for path in paths if not path.exists()]:
        raise SystemExit(f"no {missing[0]}: name the folder of the data with --data")
    held_out = {n: read_examples(folder / f"{f}.jsonl.gz") for n, f in HELD_OUT.items()}
    corpus = sorted(CORPUS.glob("*.jsonl"))
    rows = [e for name in TRAIN for e in read_examples(folder / f"{name}.jsonl.gz")]
    for path in [*(folder / f"{name}.jsonl.gz" for name in ENTITIES), *corpus]:
        rows += read_examples(path, targets=True)
    rows = [row for row in rows if row.sentiment != UNKNOWN or row.topic != UNKNOWN]
    kept = without(merge(rows), [e for part in held_out.values() for e in part])
    examples, dev = split(kept, dev_share)
    hashes = {
        str(path.name if path in corpus else path.relative_to(folder)): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in [*paths, *corpus]
    }
    return examples, dev, held_out, hashes


def own_data(
    paths: Sequence[Path], dev_share: float
) -> tuple[list[Example], list[Example], dict[str, str]]:
    """Training and dev examples of one's own files, and the hashes of the files.

    Raises:
        DatasetError: a file cannot be read.
    """
    rows = [e for path in paths for e in read_examples(path, targets=True)]
    rows = [row for row in rows if row.sentiment != UNKNOWN or row.topic != UNKNOWN]
    examples, dev = split(merge(rows), dev_share)
    return examples, dev, {str(path): _digest(path) for path in paths}


def begun_from(backbone: str | None) -> dict[str, Any]:
    """What ``run.json`` says of the backbone: its name, and of a trained one how that was made."""
    if backbone is None:
        return {"backbone": "multilingual-e5-small"}
    folder = Path(backbone)
    if not folder.is_dir():
        return {"backbone": backbone}
    if is_export(folder):
        described = read_export(folder)
        training = described.get("training", {})
        before = {name: of for name, of in training.items() if name not in ("minutes", "dev")}
        return {"backbone": f"{described['name']} {described['version']}", "after": before}
    run = folder / "run.json"
    before = {"after": json.loads(run.read_text())} if run.exists() else {}
    # Where it lies on this machine is nobody's business.
    return {"backbone": folder.resolve().name, **before}


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files and their names."""
    found = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        if file != path:
            found.update(f"{file.relative_to(path)}\n".encode())
        found.update(file.read_bytes())
    return found.hexdigest()


def versions() -> dict[str, str]:
    """Of what decides about a run's outcome."""
    packages = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def backbone_of(given: str | None, out: Path, examples: Sequence[Example]) -> Path | str:
    """What ``from_pretrained`` takes to begin from: a hub's name, a folder, or one made in ``out``.

    That is made once a run: of an export its network, of nothing multilingual-e5-small from the
    wheel, cut to what is of use here.

    Raises:
        ModelError: the export cannot be begun from.
        SystemExit: the wheel is not there.
    """
    from model import e5, restore

    if given is None:
        made = out / "backbone"
        if not (made / "config.json").exists():
            try:
                e5.write(made, {example.text for example in examples})
            except e5.ImportFault as error:
                raise SystemExit(f"no backbone: {error}") from None
        return made
    export = Path(given)
    if not is_export(export):
        return given
    made = out / f"backbone-{read_export(export)['version']}"
    if not (made / "config.json").exists():
        restore.write(export, made)
    return made
