"""Two processes train together, as on two GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.classifier import Classifier
from model.labels import SENTIMENTS, TOPICS
from model.network import TwoHeadClassifier
from model.train import main
from model.trainer import newest_checkpoint
from tests.training.conftest import texts
from tests.training.one_of_two import COMMAND
from tests.training.test_train import assert_same_weights

ROOT = Path(__file__).parents[2]
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def torchrun(*arguments: str) -> str:
    """What both processes say."""
    with subprocess.Popen(
        [sys.executable, *TWO, *arguments],
        cwd=ROOT,
        # Its default, "cpu:0", is no place where torch reads tensors to.
        env={**os.environ, "ACCELERATE_TORCH_DEVICE": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as started:
        try:
            said, _ = started.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            started.terminate()  # It ends those that it has started; killed, it would not.
            raise
    assert started.returncode == 0, said[-4000:]
    return said


@pytest.fixture(scope="module")
def bert(backbone: Callable[[str], Path]) -> Path:
    return backbone("bert")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few texts have a topic, so that its head is no part of the loss in one process or in both."""
    path = tmp_path_factory.mktemp("data") / "toy.jsonl"
    rows = [{"text": e.text, "sentiment": SENTIMENTS[e.sentiment]} for e in texts()]
    for row in rows[::6]:
        row["topic"] = TOPICS[5]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, bert: Path, file: Path) -> Path:
    """Folder of the runs; ``said.txt`` is what they said."""
    folder = tmp_path_factory.mktemp("runs")
    said = torchrun("-m", "tests.training.one_of_two", str(bert), str(file), str(folder))
    (folder / "said.txt").write_text(said)
    return folder


def test_they_write_one_run(out: Path) -> None:
    run = json.loads((out / "whole" / "run.json").read_text())
    assert run["processes"] == 2
    assert len((out / "whole" / "dev.jsonl").read_text().splitlines()) == 8
    metrics = json.loads((out / "whole" / "metrics.json").read_text())
    assert [entry["epoch"] for entry in metrics["dev"]] == [1, 2, 3]
    newest = newest_checkpoint(out / "whole" / "checkpoints")
    assert newest is not None
    assert newest.name == "checkpoint-9", "three epochs of five batches, two at a time"
    assert len([*out.glob("whole/**/events.out.tfevents*")]) == 1


@pytest.mark.parametrize("name", ["whole", "cut", "adalora"])
def test_they_have_the_same_weights_and_figures(out: Path, name: str) -> None:
    first, second = (torch.load(out / name / f"mean-{n}.pt", weights_only=True) for n in (0, 1))
    assert first
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    figures = [json.loads((out / name / f"metrics-{n}.json").read_text()) for n in (0, 1)]
    assert figures[0] == figures[1] == json.loads((out / name / "metrics.json").read_text())


def test_they_go_on_as_if_nothing_had_been(out: Path) -> None:
    """Cut off after the fifth of nine steps, of which the fourth is the last that was saved."""
    assert_same_weights(out / "cut", out / "whole")
    for number in (0, 1):
        epochs = [
            json.loads((out / name / f"epochs-{number}.json").read_text())
            for name in ("whole", "cut")
        ]
        assert epochs == [[0, 0, 0, 1, 1, 1, 2, 2, 2], [1, 1, 2, 2, 2]]


def test_their_adapters_are_merged(out: Path, bert: Path) -> None:
    network, info = TwoHeadClassifier.from_pretrained(out / "adalora", output_loading_info=True)
    assert not any(info.values())
    before = load_file(bert / "model.safetensors")["encoder.layer.0.attention.self.query.weight"]
    moved = network.encoder.encoder.layer[0].attention.self.query.weight
    assert not torch.equal(moved, before)


def test_they_stop_after_the_same_epoch_and_speak_once(out: Path) -> None:
    metrics = json.loads((out / "command" / "metrics.json").read_text())
    assert [entry["epoch"] for entry in metrics["dev"]] == [1, 2]
    said = (out / "said.txt").read_text()
    assert said.count("examples to train on") == said.count('"minutes"') == 1
    [score] = Classifier.load(out / "command", backend="torch", device="cpu").classify(
        ["Elm soars"]
    )
    assert sum(score.probabilities) == pytest.approx(1)


def test_a_run_of_two_is_not_resumed_by_one(
    out: Path, bert: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--train", str(file), "--backbone", str(bert), "--out", str(out / "command")]
    with pytest.raises(SystemExit) as exit_:
        main([*given, *COMMAND, "--resume"])
    assert exit_.value.code == 2
    assert "number of GPUs" in capsys.readouterr().err
