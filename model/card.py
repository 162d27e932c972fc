"""The model card: what a model is, what it is for, how good it is, and how to make it again.

``python -m model.card FOLDER EVALUATION`` writes ``README.md`` into a model's folder, from its
``model.json`` and the figures that ``barograph evaluate --json`` wrote.

Every number in it stands in the model's description or in its evaluation; what neither says is left
out, so that a card cannot promise what nobody measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "zh": "Chinese"}

LICENCES = {
    "twitter_financial_sentiment": "MIT (zeroshot/twitter-financial-news-sentiment)",
    "twitter_financial_topic": "MIT (zeroshot/twitter-financial-news-topic)",
    "soft labels": "made by networks fine-tuned on the training data, from all-mpnet-base-v2 "
    "(Apache 2.0); see model/corpus/",
    "finentity": "ODC-BY 1.0; attribution: FinEntity by yixuantt (yixuantt/FinEntity)",
}
"""By what the name of a set holds. What has no folder is a file of the project's corpus."""

OWN = "the project's own corpus (model/corpus/)"
HELD_OUT = "valid"
"""In the name of a set: it was read to keep its texts out of training."""

USE = """\
It scores short texts about markets (headlines, press releases, filings, analyst notes, posts): the
sentiment for an investor in the main subject, and the topic. Barograph sums its scores over many
texts, to see when the mood about something turns.

Not for: decisions to buy or sell, by itself or on a single text; judging persons, or their credit;
texts that are not about markets; proof that a text is true, for it knows only how it sounds."""

LIMITS = """\
- Each text of the project's corpus was labelled by one labeller, so agreement between labellers is
  not known, and what is on the border between neutral and another label is a matter of taste.
- Sarcasm and irony are often taken at their word.
- It knows nothing of prices or of what was expected, beyond what the text says.
- Words and names newer than its training data are unknown to it.
- A text in a language that is not named above gets a score all the same; it is marked, and means
  little."""

HEADS = {"sentiment": "sentiment", "topic": "topic", "target": "towards targets"}


def card(about: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """A model card in Markdown.

    Args:
        about: what stands in ``model.json``; ``name``, ``version``, ``sentiments``, ``topics`` and
            ``languages`` must. Its data are those of ``data``, or of ``training``.
        evaluation: what ``model.evaluate.evaluate`` gave for it.
    """
    sections = {
        "What it is": _what(about),
        "Intended use": [USE],
        "Training data": _data(about),
        "Training": _training(about),
        "Figures": _figures(evaluation),
        "Calibration": _calibration(about, evaluation),
        "Robustness": _robustness(evaluation),
        "Limits": [f"It was made for {_languages(about)} only.", LIMITS],
        "How to repeat": _repeat(evaluation),
    }
    parts = [f"# {_cell(about['name'])}"]
    for title, paragraphs in sections.items():
        if written := list(paragraphs):
            parts += [f"## {title}", *written]
    return "\n\n".join(parts) + "\n"


def _what(about: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{_cell(about['name'])}, version {_cell(about['version'])}: a transformer encoder with a "
        f"head for sentiment ({', '.join(about['sentiments'])}) and one for topics, for texts in "
        f"{_languages(about)}."
    )
    if about.get("topics"):
        yield f"Topics: {'; '.join(map(_cell, about['topics']))}."
    if "max_tokens" in about:
        yield (
            f"It reads {about['max_tokens']} tokens at once; longer texts are scored over several "
            "excerpts, whose probabilities are averaged."
        )
    if parity := about.get("parity"):
        yield (
            "What ships is quantized. Beside the network that it was made from, on "
            f"{parity['texts']} texts, it gives the same sentiment in a share of "
            f"{parity['sentiment_agreement']}, and probabilities that differ by "
            f"{parity['largest_difference']} at most."
        )
    if files := about.get("sha256"):
        yield _table(("file", "checksum"), list(files.items()))


def _runs(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is known of its training, the run that it is from last, after those it went on from."""
    runs: list[dict[str, Any]] = []
    run = about.get("training")
    while run:
        runs.insert(0, {name: value for name, value in run.items() if name != "after"})
        run = run.get("after")
    return runs


def _data(about: Mapping[str, Any]) -> Iterator[str]:
    data = about.get("data") or {
        name: detail for run in _runs(about) for name, detail in dict(run.get("data") or {}).items()
    }
    if not data:
        yield "The model does not name its files. What `make train` trains on:"
        data = [*LICENCES, "model/corpus"]
    entries = data if isinstance(data, Mapping) else dict.fromkeys(data)
    rows = [
        (
            str(name),
            "held out" if HELD_OUT in str(name) else "training",
            _licence(str(name)),
            _value(detail),
        )
        for name, detail in entries.items()
    ]
    yield _table(("data", "use", "licence or source", "checksum"), rows)
    yield (
        "Texts that repeat a held-out text, exactly or nearly, were left out of training. The "
        "corpus was written for this project; companies in it are invented, and model/corpus/ has "
        "its datasheet."
    )


def _licence(name: str) -> str:
    known = (licence for folder, licence in LICENCES.items() if folder in name)
    own = "/" not in name or "corpus/" in f"{name}/"
    return next(known, OWN if own else "not stated")


def _training(about: Mapping[str, Any]) -> Iterator[str]:
    runs = [
        dict(_flat({name: value for name, value in run.items() if name != "data"}))
        for run in _runs(about)
    ]
    if not any(runs):
        return
    names = dict.fromkeys(name for run in reversed(runs) for name in run)
    rows = [(name, *(_value(run[name]) if name in run else "" for run in runs)) for name in names]
    if len(runs) == 1:
        yield _table(("setting or outcome", "value"), rows)
        return
    yield "It was trained in several runs, each from the weights of the one before." + (
        " A list is of runs side by side, from the mean of whose weights the next began."
        if any("mean_of" in run for run in runs)
        else ""
    )
    yield _table(("setting or outcome", *(f"run {i + 1}" for i in range(len(runs)))), rows)


def _figures(evaluation: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (name, title, *(_value(found[head][key]) for key in ("rows", "accuracy", "macro_f1")))
        for name, found in evaluation["sets"].items()
        for head, title in HEADS.items()
        if found.get(head)
    ]
    yield _table(("set", "what", "rows", "accuracy", "macro F1"), rows)
    classes = [
        (name, label, *(_value(row[key]) for key in ("support", "precision", "recall", "f1")))
        for name, found in evaluation["sets"].items()
        if found.get("sentiment")
        for label, row in found["sentiment"]["classes"].items()
    ]
    if classes:
        yield _table(("set", "sentiment", "rows", "precision", "recall", "F1"), classes)
    fates = [
        (name, f"that {fate}", *(_value(row[key]) for key in row))
        for name, found in evaluation["sets"].items()
        if found.get("target")
        for fate, row in found["target"]["by_fate"].items()
    ]
    if fates:
        yield "Where a text has several targets, whether their fates differ or agree:"
        header = ("set", "targets", "rows", "accuracy", "accuracy of the whole text's label")
        yield _table(header, fates)
    if speed := evaluation.get("throughput"):
        yield (
            f"Throughput: {speed['texts_per_second']} texts a second, over {speed['texts']} texts "
            f"of {speed['characters']} characters on average, with {speed['processors']} "
            "processors."
        )


def _calibration(about: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Iterator[str]:
    if warmth := about.get("temperature"):
        found = ", ".join(f"{head} {value}" for head, value in warmth.items())
        yield (
            f"Logits are divided by a temperature fitted on held-back rows ({found}). The expected "
            "calibration error is the mean distance of accuracy from confidence."
        )
    rows = [
        (name, title, _value(found[head]["ece"]), _value(found[head].get("ece_before")))
        for name, found in evaluation["sets"].items()
        for head, title in HEADS.items()
        if found.get(head)
    ]
    yield _table(("set", "what", "calibration error", "before the temperature"), rows)


def _robustness(evaluation: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (
            name,
            key.replace("_", " "),
            _value(change["texts"]),
            *(_value(change["sentiment"][k]) for k in ("unchanged", "accuracy_change")),
        )
        for name, found in evaluation["sets"].items()
        for key, change in (found.get("robustness") or {}).items()
        if change
    ]
    if rows:
        header = ("set", "change", "texts", "sentiments unchanged", "change of accuracy")
        yield _table(header, rows)
    names = [
        (name, *(_value(found["names"].get(k)) for k in ("texts", "changed", "target_changed")))
        for name, found in evaluation["sets"].items()
        if found.get("names")
    ]
    if names:
        yield "Share of sentiments that change when only the name in the text does:"
        yield _table(("set", "texts", "of the text", "towards the target"), names)


def _repeat(evaluation: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "`make train` trains the model and exports it; settings, data and packages "
        "are those above. To measure it again, with each set's file in place of its name:"
    )
    sets = " ".join(evaluation["sets"])
    yield f"```\nbarograph evaluate model/weights {sets} --json evaluation.json\n```"


def _languages(about: Mapping[str, Any]) -> str:
    return " and ".join(LANGUAGES.get(code, code) for code in about["languages"])


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values of nested settings: ``settings.epochs``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Text that ends neither its cell nor its line, and opens no tag."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the card of a model's folder; status 2 where a file cannot be read."""
    parser = argparse.ArgumentParser(prog="model.card", description="Write a model's card.")
    parser.add_argument("folder", type=Path, help="holds model.json")
    parser.add_argument("evaluation", type=Path, help="what evaluate --json wrote")
    given = parser.parse_args(arguments)
    try:
        about = json.loads((given.folder / "model.json").read_text(encoding="utf-8"))
        evaluation = json.loads(given.evaluation.read_text(encoding="utf-8"))
        written = card(about, evaluation)
    except (OSError, ValueError, KeyError) as error:
        print(f"model.card: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if evaluation.get("model", {}).get("version") != about["version"]:
        print("model.card: the evaluation is of another version of the model", file=sys.stderr)
        raise SystemExit(2)
    (given.folder / "README.md").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
