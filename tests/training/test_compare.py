from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from model.classifier import Classifier, ModelError
from model.compare import compare, judge, main
from model.dataset import UNKNOWN, Example
from model.evaluate import EvaluationError
from model.labels import SENTIMENTS, TOPICS
from tests.training.test_evaluate import Answer

EXAMPLES = [Example(f"{i}", i % 3, i % 2) for i in range(300)]


class Knower:
    """Knows the labels of texts that are their numbers, less those it gets wrong."""

    takes_targets = True

    def __init__(self, wrong: Sequence[int] = (), wrong_topic: Sequence[int] = ()) -> None:
        self.wrong, self.wrong_topic = set(wrong), set(wrong_topic)

    def classify(
        self, texts: Sequence[str], targets: Sequence[str | None] | None = None
    ) -> list[Answer]:
        numbers = map(int, texts)
        return [
            Answer(
                SENTIMENTS[(n + (n in self.wrong)) % 3],
                (0.2, 0.2, 0.6),
                TOPICS[n % 2 + 2 * (n in self.wrong_topic)],
                0.7,
            )
            for n in numbers
        ]


def verdict(champion: Knower, challenger: Knower) -> tuple[str, str]:
    found = compare(champion, challenger, {"a": EXAMPLES})
    assert (found["sets"]["a"]["verdict"], found["sets"]["a"]["reason"]) == (
        found["verdict"],
        found["reason"],
    )
    return found["verdict"], found["reason"]


def test_a_better_one_is_promoted() -> None:
    says, why = verdict(Knower(wrong=range(90)), Knower(wrong=range(30)))
    assert says == "promote"
    assert "a: sentiment accuracy +20.0 points (" in why
    assert why.endswith("nowhere worse")


def test_an_equal_one_is_not() -> None:
    says, why = verdict(Knower(wrong=range(60)), Knower(wrong=range(30, 90)))
    assert (says, why) == ("keep", "no figure is better beyond doubt")


def test_a_worse_one_is_not() -> None:
    says, why = verdict(Knower(wrong=range(30)), Knower(wrong=range(90)))
    assert says == "keep"
    assert "worse beyond doubt: a: sentiment accuracy -20.0 points (" in why


def test_one_class_that_suffers_outweighs_a_better_whole() -> None:
    negatives, positives = range(0, 60, 3), range(2, 240, 3)
    says, why = verdict(Knower(wrong=positives), Knower(wrong=negatives))
    assert says == "keep"
    assert "sentiment recall of negative -20.0 points" in why
    assert "accuracy" not in why


def test_a_worse_topic_outweighs_a_better_sentiment() -> None:
    says, why = verdict(Knower(wrong=range(90)), Knower(wrong_topic=range(90)))
    assert says == "keep"
    assert "topic accuracy -30.0 points" in why


def test_one_set_that_suffers_outweighs_another() -> None:
    sets = {"a": EXAMPLES[:150], "b": EXAMPLES[150:]}
    found = compare(Knower(wrong=range(60)), Knower(wrong=range(150, 210)), sets)
    assert [found["sets"][name]["verdict"] for name in "ab"] == ["promote", "keep"]
    assert found["verdict"] == "keep"
    assert found["reason"].startswith("worse beyond doubt: b: ")


def test_few_rows_leave_doubt() -> None:
    found = compare(Knower(wrong=[0, 1]), Knower(), {"a": EXAMPLES[:12]})
    assert found["verdict"] == "keep"
    assert found["sets"]["a"]["sentiment"]["mcnemar_p"] == 0.5


def test_figures_are_of_what_is_labelled() -> None:
    examples = [Example("0", 0), Example("1", UNKNOWN), Example("2", 2)]
    found = compare(Knower(wrong=[0]), Knower(), {"a": examples})["sets"]["a"]
    assert found["topic"] is None
    assert found["sentiment"]["rows"] == 2
    assert found["sentiment"]["accuracy"]["champion"] == 0.5
    assert list(found["sentiment"]["recall"]) == ["negative", "positive"]


def test_targets_are_compared_when_asked_for() -> None:
    examples = [*EXAMPLES, *(Example(e.text, e.sentiment, target="x") for e in EXAMPLES)]
    one, other = Knower(wrong=range(90)), Knower()
    assert "target" not in compare(one, other, {"a": examples})["sets"]["a"]
    target = compare(one, other, {"a": examples}, targets=True)["sets"]["a"]["target"]
    assert (target["rows"], target["accuracy"]["difference"]) == (300, 0.3)


def test_nothing_labelled_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="a: no labelled rows"):
        compare(Knower(), Knower(), {"a": [Example("1")]})


@pytest.mark.parametrize(
    ("low", "high", "p", "recall_high", "says"),
    [
        (0.001, 0.05, 0.04, 0.01, "promote"),
        (0.001, 0.05, 0.05, 0.01, "keep"),
        (0.0, 0.05, 0.04, 0.01, "keep"),
        (0.001, 0.05, 0.04, -0.01, "keep"),
        (-0.05, -0.001, 0.9, 0.01, "keep"),
    ],
)
def test_the_rule(low: float, high: float, p: float, recall_high: float, says: str) -> None:
    even = {"difference": 0.0, "low": -0.01, "high": 0.01}
    head: dict[str, Any] = {
        "mcnemar_p": p,
        "accuracy": {"difference": 0.02, "low": low, "high": high},
        "macro_f1": even,
        "recall": {"neutral": {"difference": -0.04, "low": -0.09, "high": recall_high}},
    }
    assert judge({"a": {"sentiment": head, "topic": None}})[0] == says


def test_a_recall_may_lose_three_points() -> None:
    even = {"difference": 0.0, "low": -0.01, "high": 0.01}
    lost = {"difference": -0.03, "low": -0.05, "high": -0.01}
    head = {"mcnemar_p": 1.0, "accuracy": even, "macro_f1": even, "recall": {"neutral": lost}}
    assert judge({"a": {"sentiment": head}}) == ("keep", "no figure is better beyond doubt")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    models = {tmp_path / "old": Knower(wrong=range(90)), tmp_path / "new": Knower()}
    for folder in models:
        folder.mkdir()

    def load(name: str, backend: str = "onnx") -> Knower:
        folder = Path(name)
        if folder not in models:
            raise ModelError(f"no model in {folder}")
        models[folder].about = SimpleNamespace(
            name=folder.name, version="1", temperature=(1.0, 1.0)
        )
        return models[folder]

    monkeypatch.setattr(Classifier, "load", load)
    rows = [{"text": e.text, "label": SENTIMENTS[e.sentiment]} for e in EXAMPLES]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {name: str(tmp_path / name) for name in ("old", "new", "a.jsonl", "out.json")}


@pytest.mark.parametrize(
    ("champion", "challenger", "says"), [("old", "new", "promote"), ("new", "old", "keep")]
)
def test_main_says_and_writes_the_verdict(
    folders: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    champion: str,
    challenger: str,
    says: str,
) -> None:
    out = folders["out.json"]
    main([folders[champion], folders[challenger], folders["a.jsonl"], "--json", out])
    found = json.loads(Path(out).read_text())
    assert (found["verdict"], found["champion"]["name"]) == (says, champion)
    assert capsys.readouterr().out.splitlines()[-1] == f"{says}: {found['reason']}"


def test_mistakes_are_one_line_and_status_2(
    folders: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([], [folders["old"], "nowhere", folders["a.jsonl"]]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        err = capsys.readouterr().err
        assert (stopped.value.code, err.count("\n")) == (2, 1)
        assert err.startswith("barograph compare: ")
