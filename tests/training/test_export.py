from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from model.classifier import Classifier
from model.dataset import Example
from model.export import ExportFault, export, main
from model.labels import SENTIMENTS, TOPICS
from model.train import Settings, train

WORDS = {0: "falls badly", 1: "meets on monday", 2: "rises well"}


def texts(count: int) -> list[Example]:
    found = []
    for n in range(count):
        label = n % 3
        found.append(Example(f"company {n} {WORDS[label]}", label, n % 2))
        found.append(Example(f"company {n} {WORDS[label]} today", label, target=f"company {n}"))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, backbone: Callable[[str], Path]) -> Path:
    out = tmp_path_factory.mktemp("run")
    settings = Settings(epochs=4, learning_rate=3e-3, batch_size=8, bf16=False)
    train(settings, backbone("bert"), texts(40), texts(60)[80:], {}, out)
    return out


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported")
    export(run, out, "tiny", ["en"])
    return out


def test_what_is_exported_serves_without_torch(exported: Path, run: Path) -> None:
    asked = [example.text for example in texts(30)]
    served = Classifier.load(exported)
    trained = Classifier.load(run, backend="torch")
    assert served.takes_targets
    pairs = zip(served.classify(asked), trained.classify(asked), strict=True)
    same = sum(one.sentiment == other.sentiment for one, other in pairs)
    assert same >= 0.99 * len(asked)


def test_the_description_says_what_it_is(exported: Path) -> None:
    about = json.loads((exported / "model.json").read_text())
    assert {path.name for path in exported.iterdir()} == {
        "model.json",
        "model.onnx",
        "tokenizer.json",
    }
    assert (about["name"], about["languages"], about["pairs"]) == ("tiny", ["en"], True)
    assert about["sentiments"] == list(SENTIMENTS)
    assert about["topics"] == list(TOPICS)
    assert about["parity"]["sentiment_agreement"] >= 0.99
    assert set(about["temperature"]) == {"sentiment", "topic"}
    assert all(value > 0 for value in about["temperature"].values())
    assert about["training"]["settings"]["epochs"] == 4
    assert about["training"]["dev"]
    assert json.loads((exported / "tokenizer.json").read_text())["truncation"] is None


def test_an_export_that_is_not_the_network_replaces_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.export.parity", lambda *_: {"sentiment_agreement": 0.98})
    (tmp_path / "model.json").write_text("what was there")
    with pytest.raises(ExportFault, match=r"98\.00% of .* at least 99% are needed"):
        export(run, tmp_path, "tiny", ["en"])
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
    assert (tmp_path / "model.json").read_text() == "what was there"


def test_a_folder_that_is_no_run_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path), "--out", str(tmp_path / "out")])
    assert end.value.code == 1
    assert "is no finished run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
