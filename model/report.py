"""An evaluation for people: as Markdown, and as one page that needs nothing from anywhere. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.metrics import BINS

HEADS = {"sentiment": "Sentiment", "topic": "Topic", "target": "Sentiment towards targets"}

FEW = 5
"""Classes up to which a matrix has room for names above its columns."""

NOTHING = "–"

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6875; --line: #d5dae0;
  --page: #ffffff; --mark: #1f6f8b; --on-mark: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --soft: #9aa6b3;
  --line: #37414d; --page: #14191f; --mark: #58b4d1; --on-mark: #0b1216; } }
body { margin: 2rem auto; max-width: 64rem; padding: 0 1rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.25; } h2 { margin-top: 3rem; border-top: 1px solid var(--line);
  padding-top: 1.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .75rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
th { color: var(--soft); font-weight: 600; }
figure { display: inline-block; margin: .75rem 2rem .75rem 0; vertical-align: top;
  max-width: 100%; overflow-x: auto; }
figcaption, summary { color: var(--soft); }
svg text { fill: var(--ink); font: 11px system-ui, sans-serif; }
svg .soft { fill: var(--soft); } svg .lit { fill: var(--on-mark); }
svg .mark { fill: var(--mark); } svg .line { stroke: var(--line); fill: none; }
svg .dash { stroke: var(--soft); stroke-dasharray: 4 3; }
"""


@dataclass(frozen=True)
class Heading:
    """A title; the page's own is of level 1."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True)
class Table:
    """Cells as they are shown; with a ``summary`` a page folds it away."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    summary: str = ""


@dataclass(frozen=True)
class Picture:
    """Drawn in a page, left out of Markdown: its numbers stand in a table too."""

    svg: str
    caption: str


Block = Heading | Paragraph | Table | Picture


def markdown(result: Mapping[str, Any]) -> str:
    """What ``model.evaluate.evaluate`` found, as Markdown."""
    return "\n\n".join(filter(None, map(_as_markdown, blocks(result)))) + "\n"


def html_page(result: Mapping[str, Any]) -> str:
    """The same as one page: light or dark as the reader's system is, with pictures, no script."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(_title(result))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(map(_as_html, blocks(result)))
        + "\n</body>\n</html>\n"
    )


def blocks(result: Mapping[str, Any]) -> Iterator[Block]:
    """The report in its order, whatever it will be written as."""
    yield Heading(1, _title(result))
    heads = [head for head in HEADS if any(found[head] for found in result["sets"].values())]
    yield Table(
        ("set", "texts", *(f"{h} {w}" for h in heads for w in ("accuracy", "macro F1", "ECE"))),
        [
            (
                name,
                _cell(found["texts"]),
                *(
                    _cell((found[head] or {}).get(key))
                    for head in heads
                    for key in ("accuracy", "macro_f1", "ece")
                ),
            )
            for name, found in result["sets"].items()
        ],
    )
    speed = result["throughput"]
    yield Paragraph(
        f"{speed['texts_per_second']} texts a second: the median of {speed['rounds']} rounds over "
        f"{speed['texts']} texts of {speed['characters']} characters on average, on a machine with "
        f"{speed['processors']} processors."
    )
    for name, found in result["sets"].items():
        yield Heading(2, name)
        for head, title in HEADS.items():
            if found[head] is not None:
                yield Heading(3, title)
                yield from _head(found[head])
        yield from _robustness(found)


def _title(result: Mapping[str, Any]) -> str:
    model = result["model"]
    return " ".join(
        ["Evaluation of", model.get("name", "a model"), model.get("version", "")]
    ).strip()


def _head(figures: Mapping[str, Any]) -> Iterator[Block]:
    sentence = (
        f"{figures['rows']} rows: accuracy {_cell(figures['accuracy'])}, "
        f"macro F1 {_cell(figures['macro_f1'])}, ECE {_cell(figures['ece'])}"
    )
    if "ece_before" in figures:
        sentence += f" ({_cell(figures['ece_before'])} before temperature scaling)"
    if "brier" in figures:
        sentence += f", Brier score {_cell(figures['brier'])}"
    yield Paragraph(f"{sentence}.")
    keys: Sequence[str] = ("precision", "recall", "f1", "support")
    yield _table("class", figures["classes"], keys, ("precision", "recall", "F1", "rows"))
    labels, counts = figures["confusion"]["labels"], figures["confusion"]["counts"]
    yield Picture(confusion_svg(labels, counts), "Rows by true class and answer")
    yield Picture(reliability_svg(figures["reliability"]), "Accuracy by confidence")
    shown = labels if len(labels) <= FEW else [str(n) for n in range(1, len(labels) + 1)]
    yield Table(
        ("true class \\ answer", *shown),
        [
            (label if label == column else f"{column}. {label}", *map(str, row))
            for label, column, row in zip(labels, shown, counts, strict=True)
        ],
        "Confusion matrix",
    )
    yield Table(
        ("confidence", "rows", "mean confidence", "accuracy"),
        [
            (
                f"{_cell(part['low'])} to {_cell(part['high'])}",
                *(_cell(part[key]) for key in ("count", "confidence", "accuracy")),
            )
            for part in figures["reliability"]
        ],
        "Reliability",
    )
    for key, title in (("by_kind", "kind"), ("by_lang", "language")):
        if figures[key]:
            keys = ("rows", "accuracy", "macro_f1", "ece")
            yield _table(title, figures[key], keys, ("rows", "accuracy", "macro F1", "ECE"))
    if "document_accuracy" in figures:
        keys = ("rows", "accuracy", "document_accuracy")
        fates = {f"targets that {fate}": found for fate, found in figures["by_fate"].items()}
        yield _table(
            "targets",
            {"all": figures, **fates},
            keys,
            ("rows", "accuracy", "accuracy of the answer to the whole text"),
        )


def _robustness(found: Mapping[str, Any]) -> Iterator[Block]:
    changes = {key: change for key, change in found["robustness"].items() if change is not None}
    if changes:
        yield Heading(3, "Robustness")
        heads = ("sentiment", "topic")
        titles = [t for h in heads for t in (f"{h} unchanged", f"change of {h} accuracy")]
        yield Table(
            ("change", "texts", *titles),
            [
                (
                    key.replace("_", " "),
                    _cell(change["texts"]),
                    *(
                        _cell((change.get(head) or {}).get(figure), signed=figure != "unchanged")
                        for head in heads
                        for figure in ("unchanged", "accuracy_change")
                    ),
                )
                for key, change in changes.items()
            ],
        )
    if (names := found["names"]) is not None:
        sentence = (
            f"Of {names['texts']} texts with another name in place of the target's, a share of "
            f"{_cell(names['changed'])} gets another sentiment"
        )
        if "target_changed" in names:
            sentence += f", and of {_cell(names['target_changed'])} another towards the target"
        yield Paragraph(f"{sentence}.")


def _table(
    first: str, rows: Mapping[str, Mapping[str, Any]], keys: Sequence[str], titles: Sequence[str]
) -> Table:
    cells = [(name, *(_cell(row[key]) for key in keys)) for name, row in rows.items()]
    return Table((first, *titles), cells)


def _cell(value: float | None, signed: bool = False) -> str:
    """A number as it stands in the figures; shares in four places, so that columns align."""
    if value is None:
        return NOTHING
    return str(value) if isinstance(value, int) else f"{value:{'+' if signed else ''}.4f}"


def _as_markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_plain(block.text)}"
    if isinstance(block, Paragraph):
        return _plain(block.text)
    if isinstance(block, Picture):
        return ""
    rule = ["---", *("---:" for _ in block.header[1:])]
    header, *rows = ([_plain(cell) for cell in row] for row in (block.header, *block.rows))
    table = "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
    return f"{_plain(block.summary)}:\n\n{table}" if block.summary else table


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing else, on one line."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\|*`\[\]#])", r"\\\1", escaped)


def _as_html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, Picture):
        caption = html.escape(block.caption)
        return f"<figure><figcaption>{caption}</figcaption>{block.svg}</figure>"
    header = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in block.header)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>\n"
        for row in block.rows
    )
    table = (
        f'<div class="wide"><table>\n<thead><tr>{header}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table></div>"
    )
    if not block.summary:
        return table
    return f"<details><summary>{html.escape(block.summary)} as a table</summary>{table}</details>"


def confusion_svg(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A confusion matrix: the darker a cell, the larger its share of the true class."""
    few = len(labels) <= FEW
    wide, high = (84, 44) if few else (30, 22)
    left = 12 + 7 * max(map(len, labels))
    top = 24 if few else left
    parts = []
    for i, (label, row) in enumerate(zip(labels, counts, strict=True)):
        y = top + i * high
        parts.append(_text(left - 8, y + high / 2 + 4, label, "end"))
        x = left + i * wide + wide / 2
        parts.append(
            _text(x, top - 8, label, "middle")
            if few
            else _text(
                x + 4, top - 6, label, "start", f' transform="rotate(-90 {x + 4} {top - 6})"'
            )
        )
        for j, count in enumerate(row):
            share = count / sum(row) if count else 0.0
            x = left + j * wide
            title = html.escape(f"{label}, answered {labels[j]}: {count}")
            parts.append(
                f'<rect class="mark" x="{x}" y="{y}" width="{wide - 1}" height="{high - 1}" '
                f'fill-opacity="{0.04 + 0.96 * share:.3f}"><title>{title}</title></rect>'
            )
            if count:
                tone = ' class="lit"' if share > 0.6 else ""
                parts.append(_text(x + wide / 2, y + high / 2 + 4, str(count), "middle", tone))
    size = (left + wide * len(labels), top + high * len(labels))
    return _svg(size, "Confusion matrix: true classes down, answers across", parts)


def reliability_svg(bins: Sequence[Mapping[str, Any]]) -> str:
    """Bars of accuracy by confidence, paler where fewer rows are; the diagonal is perfect."""
    left, top, side = 40, 10, 240
    most = max(part["count"] for part in bins)
    parts = [f'<rect class="line" x="{left}" y="{top}" width="{side}" height="{side}"/>']
    for part in bins:
        height = part["accuracy"] * side
        title = (
            f"{part['count']} rows, confidence {part['confidence']}, accuracy {part['accuracy']}"
        )
        parts.append(
            f'<rect class="mark" x="{left + part["low"] * side + 1:.1f}" '
            f'y="{top + side - height:.1f}" width="{side / BINS - 2:.1f}" height="{height:.1f}" '
            f'fill-opacity="{0.25 + 0.75 * part["count"] / most:.3f}"><title>{title}</title></rect>'
        )
    parts.append(
        f'<line class="dash" x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}"/>'
    )
    for tick in (0, 0.5, 1):
        parts.append(_text(left + tick * side, top + side + 16, str(tick), "middle"))
        parts.append(_text(left - 6, top + (1 - tick) * side + 4, str(tick), "end"))
    soft = ' class="soft"'
    parts.append(_text(left + side / 2, top + side + 32, "confidence", "middle", soft))
    turned = f' class="soft" transform="rotate(-90 12 {top + side / 2})"'
    parts.append(_text(12, top + side / 2, "accuracy", "middle", turned))
    return _svg((left + side + 10, top + side + 40), "Reliability: accuracy by confidence", parts)


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{more}>{html.escape(text)}</text>'


def _svg(size: tuple[float, float], title: str, parts: Sequence[str]) -> str:
    width, height = size
    return (
        f'<svg role="img" aria-label="{html.escape(title)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'
    )
