from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from model.classifier import Classifier, ModelError
from model.dataset import UNKNOWN, Example
from model.evaluate import EvaluationError, evaluate, main, throughput
from model.labels import SENTIMENTS, TOPICS

UP, DOWN = ("soars", "rallies"), ("slumps", "plunges")
MACRO, EARNINGS = TOPICS.index("Macro"), TOPICS.index("Earnings")


@dataclass(frozen=True)
class Answer:
    sentiment: str
    probabilities: tuple[float, float, float]
    topic: str
    topic_probability: float


class WordReader:
    """Reads the verb, in small letters only, or the one after the target's name."""

    takes_targets = True

    def __init__(self, sure: float = 0.8, topic: str = "Macro", takes_targets: bool = True) -> None:
        self.sure, self.topic, self.takes_targets = sure, topic, takes_targets

    def classify(
        self, texts: Sequence[str], targets: Sequence[str | None] | None = None
    ) -> list[Answer]:
        names = targets or [None] * len(texts)
        return [self.read(*both) for both in zip(texts, names, strict=True)]

    def read(self, text: str, name: str | None) -> Answer:
        words = (text if name is None else text.partition(name)[2]).split()
        verb = next((word for word in words if word in UP + DOWN), "")
        label = 2 if verb in UP else 0 if verb in DOWN else 1
        rest = (1 - self.sure) / 2
        chances = tuple(self.sure if i == label else rest for i in range(3))
        return Answer(SENTIMENTS[label], chances, self.topic, 0.9 if self.topic else 0.0)


def examples() -> list[Example]:
    return [
        *(Example(f"Firm{i} soars", 2, MACRO, lang="en", kind="news") for i in range(30)),
        *(Example(f"Firm{i} slumps", 0, EARNINGS, lang="en", kind="post") for i in range(20)),
        *(Example(f"公司{i} rallies", 1, UNKNOWN, lang="zh", kind="post") for i in range(10)),
        Example("nobody labelled this"),
    ]


def test_figures_of_a_set() -> None:
    found = evaluate(WordReader(), {"a": examples()}, about={"name": "n", "version": "v"})
    assert found["model"] == {"name": "n", "version": "v"}
    part = found["sets"]["a"]
    sentiment = part["sentiment"]
    assert (part["texts"], sentiment["rows"], part["topic"]["rows"]) == (61, 60, 50)
    assert sentiment["accuracy"] == 0.8333
    assert sentiment["ece"] == 0.0333
    assert sentiment["confusion"] == {
        "labels": list(SENTIMENTS),
        "counts": [[20, 0, 0], [0, 0, 10], [0, 0, 30]],
    }
    assert sentiment["classes"]["positive"] == {
        "precision": 0.75,
        "recall": 1.0,
        "f1": 0.8571,
        "support": 30,
    }
    assert part["topic"]["accuracy"] == 0.6
    assert part["topic"]["classes"]["Dividend"]["recall"] is None
    assert part["target"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_kinds_and_languages_with_enough_rows_have_figures_of_their_own() -> None:
    sentiment = evaluate(WordReader(), {"a": examples()})["sets"]["a"]["sentiment"]
    assert {kind: part["accuracy"] for kind, part in sentiment["by_kind"].items()} == {
        "news": 1.0,
        "post": 0.6667,
    }
    assert list(sentiment["by_lang"]) == ["en"]


def test_calibration_error_before_the_temperature_is_told_where_it_is_known() -> None:
    about = {"temperature": {"sentiment": 0.5, "topic": 1.0}}
    sets = {"a": [Example("Acme soars", 2)]}
    calibrated = evaluate(WordReader(sure=0.8), sets, about=about)["sets"]["a"]["sentiment"]
    # At a temperature of one half, 0.8 and twice 0.1 were the squares' roots, made to add up to 1.
    before = 0.8**0.5 / (0.8**0.5 + 2 * 0.1**0.5)
    assert calibrated["ece"] == 0.2
    assert calibrated["ece_before"] == pytest.approx(1 - before, abs=1e-4)


def test_robustness_is_measured_by_change() -> None:
    found = evaluate(WordReader(), {"a": examples()})["sets"]["a"]["robustness"]
    assert found["upper_case"]["sentiment"] == {"unchanged": 0.0164, "accuracy_change": -0.6667}
    assert found["upper_case"]["topic"] == {"unchanged": 1.0, "accuracy_change": 0.0}
    assert found["link"]["sentiment"] == {"unchanged": 1.0, "accuracy_change": 0.0}


def targeted() -> list[Example]:
    rows = []
    for i in range(30):
        text = f"Aluna{i} soars and Borin{i} slumps"
        rows += [Example(text), Example(text, 2, target=f"Aluna{i}")]
        rows.append(Example(text, 0, target=f"Borin{i}"))
    return [*rows, Example("Cera soars", 2), Example("Cera soars", 2, target="Cera")]


def test_targets_are_asked_for_only_when_wanted() -> None:
    part = evaluate(WordReader(), {"a": targeted()}, targets=True)["sets"]["a"]
    target = part["target"]
    assert (part["texts"], target["rows"], target["accuracy"]) == (31, 61, 1.0)
    assert target["document_accuracy"] == 0.5082
    assert target["by_fate"] == {"differ": {"rows": 60, "accuracy": 1.0, "document_accuracy": 0.5}}
    assert part["names"] == {"texts": 61, "changed": 0.0, "target_changed": 0.0}

    class NoTargets:
        def classify(self, texts: Sequence[str]) -> list[Answer]:
            return WordReader().classify(texts)

    part = evaluate(NoTargets(), {"a": targeted()})["sets"]["a"]
    assert (part["target"], part["names"]) == (None, {"texts": 61, "changed": 0.0})


def test_a_model_without_topics_has_no_figures_of_them() -> None:
    part = evaluate(WordReader(topic=""), {"a": examples()})["sets"]["a"]
    assert part["topic"] is None
    assert "topic" not in part["robustness"]["emoji"]


def test_foreign_labels_are_named() -> None:
    with pytest.raises(EvaluationError, match="answers 'Weather', which is no label of ours"):
        evaluate(WordReader(topic="Weather"), {"a": examples()})


def test_a_set_without_labels_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="b: no labelled rows"):
        evaluate(WordReader(), {"b": [Example("Acme soars")]})


def test_throughput_is_the_median_after_a_warm_up() -> None:
    times = iter([0, 100, 100, 102, 102, 103, 103, 113])
    found = throughput(WordReader(), ["Acme soars"] * 50, clock=lambda: next(times))
    assert (found["texts_per_second"], found["rounds"], found["texts"]) == (25.0, 3, 50)
    assert found["characters"] == 10


ROWS: list[dict[str, Any]] = [
    {"text": "Acme soars", "label": "positive", "entities": {"Acme": "positive"}},
    {"text": "Bolt slumps", "label": "bearish"},
    {"text": "Crane soars, Elm slumps", "label": "mixed", "entities": {"Crane": "positive"}},
    {"text": "Dunes opens", "sentiment": "flat", "topic": "Macro"},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "news" / "dev.jsonl.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder whose weights are the reader of words."""
    path = tmp_path / "model"
    path.mkdir()

    def load(name: str, backend: str = "onnx") -> WordReader:
        if Path(name) != path:
            raise ModelError(f"no model in {name}")
        reader = WordReader()
        reader.about = SimpleNamespace(name="reader", version="1", temperature=(1.5, 1.0))
        return reader

    monkeypatch.setattr(Classifier, "load", load)
    return path


MEANING = ["--label-map", "flat=neutral", "--drop-label", "mixed"]


def test_main_writes_what_is_asked_for(folder: Path, data: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.json", "a.md", "a.html")]
    outputs = [
        f"{option}={f}" for option, f in zip(("--json", "--markdown", "--html"), files, strict=True)
    ]
    main([str(folder), str(data), *MEANING, "--targets", *outputs])
    found = json.loads(files[0].read_text())
    assert found["model"] == {"name": "reader", "version": "1"}
    part = found["sets"]["news/dev"]
    assert (part["texts"], part["sentiment"]["rows"], part["target"]["rows"]) == (4, 3, 2)
    assert (part["sentiment"]["accuracy"], part["topic"]["accuracy"]) == (1.0, 1.0)
    assert files[1].read_text().startswith("# Evaluation of reader 1\n")
    assert files[2].read_text().startswith("<!doctype html>")


def test_main_prints_a_report_where_no_file_is_named(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(folder), str(data), *MEANING])
    assert "| news/dev | 4 | 1.0000 |" in capsys.readouterr().out


def test_a_limit_is_of_texts_and_takes_the_same_each_time(
    folder: Path, data: Path, tmp_path: Path
) -> None:
    parts = []
    for _ in range(2):
        main([str(folder), str(data), *MEANING, "--limit", "2", "--json", f"{tmp_path / 'a.json'}"])
        parts.append(json.loads((tmp_path / "a.json").read_text())["sets"])
    assert parts[0]["news/dev"]["texts"] == 2
    assert parts[0] == parts[1]


def test_a_dropped_label_drops_it_from_targets_too(folder: Path, tmp_path: Path) -> None:
    row = {"text": "Acme soars", "label": "neutral", "entities": {"Acme": "neutral", "me": "up"}}
    path, out = tmp_path / "a.jsonl", tmp_path / "out.json"
    path.write_text(json.dumps({**row, "topic": "Macro"}))
    arguments = [str(folder), str(path), "--drop-label", "neutral", "--label-map", "up=positive"]
    main([*arguments, "--targets", "--json", str(out)])
    part = next(iter(json.loads(out.read_text())["sets"].values()))
    assert part["sentiment"] is None
    assert part["target"]["rows"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "arguments are required: MODEL, DATA"),
        (["{model}"], "arguments are required: DATA"),
        (["{model}", "{data}"], "row 3: unknown label 'mixed'"),
        (["{model}", "{data}", "--label-map", "mixed"], "'mixed' is not OLD=NEW"),
        (["{model}", "{data}", "--label-map", "a=angry"], "'a=angry' is not OLD=NEW"),
        (["{model}", "{data}", "--limit", "0"], "'0' is not a number of texts"),
        (["{model}", "{data}", "--json", "{data}/x.json"], "cannot write"),
        (["{model}", "{data}", "{data}", *MEANING], "two sets are named news/dev"),
        (["{model}", "{data}.none"], "cannot read"),
        (["{model}", "{model}/empty.jsonl"], "is empty"),
        (["{model}", "{model}/odd.jsonl"], "a target needs a name and a sentiment"),
        (["{model}/none", "{data}", *MEANING], "no model in"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    folder: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    (folder / "empty.jsonl").touch()
    (folder / "odd.jsonl").write_text('{"text": "Acme soars", "targets": [{"label": "neutral"}]}')
    with pytest.raises(SystemExit) as stopped:
        main([a.format(model=folder, data=data) for a in arguments])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("barograph evaluate: ")
    assert says in err


def test_targets_of_a_model_that_takes_none_are_a_mistake(
    folder: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Classifier, "load", lambda *_, **__: WordReader(takes_targets=False))
    with pytest.raises(SystemExit) as stopped:
        main([str(folder), str(data), *MEANING, "--targets"])
    assert stopped.value.code == 2
    assert "takes no targets; leave out --targets" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "example: barograph evaluate" in capsys.readouterr().out
