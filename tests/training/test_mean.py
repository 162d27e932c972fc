from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.dataset import Example
from model.mean import MeanFault, beside, main, mean
from model.recipe import begun_from
from model.train import Settings, train

SETTINGS = Settings(epochs=1, batch_size=8, dropout=0.0, augment=False, bf16=False, average=0.0)


@pytest.fixture(scope="module")
def begun(
    tmp_path_factory: pytest.TempPathFactory,
    backbone: Callable[[str], Path],
    examples: list[Example],
    dev: list[Example],
) -> Path:
    out = tmp_path_factory.mktemp("begun")
    train(SETTINGS, backbone("bert"), examples, dev, {}, out)
    return out


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
    begun: Path,
    examples: list[Example],
    dev: list[Example],
) -> list[Path]:
    """Two that differ in their seeds."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        settings = replace(SETTINGS, seed=seed, train_embeddings=True)
        train(settings, begun, examples, dev, {}, folder / str(seed), about=begun_from(str(begun)))
    return [folder / "1", folder / "2"]


def test_its_weights_are_the_mean_and_its_figures_its_own(runs: list[Path], tmp_path: Path) -> None:
    metrics = mean(runs, tmp_path)
    one, other, found = (load_file(run / "model.safetensors") for run in (*runs, tmp_path))
    assert found.keys() == one.keys()
    assert any(not torch.equal(one[name], other[name]) for name in one)
    for name, weight in found.items():
        assert weight.dtype == one[name].dtype
        assert torch.allclose(weight, (one[name] + other[name]) / 2, atol=1e-7)
    assert metrics == json.loads((tmp_path / "metrics.json").read_text())
    assert 0 <= metrics["dev"][-1]["sentiment_accuracy"] <= 1


def test_it_says_what_it_is_the_mean_of(runs: list[Path], tmp_path: Path) -> None:
    mean(runs, tmp_path)
    described = json.loads((tmp_path / "run.json").read_text())
    assert described["mean_of"] == 2
    assert described["settings"]["seed"] == [1, 2]
    assert described["settings"]["max_tokens"] == SETTINGS.max_tokens
    assert described["after"] == json.loads((runs[0] / "run.json").read_text())["after"]


def test_training_goes_on_from_it(
    runs: list[Path], examples: list[Example], dev: list[Example], tmp_path: Path
) -> None:
    mean(runs, tmp_path / "mean")
    still = replace(SETTINGS, learning_rate=0.0, head_learning_rate=0.0)
    train(still, tmp_path / "mean", examples, dev, {}, tmp_path / "on")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("mean", "on"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert begun_from(str(tmp_path / "mean"))["after"]["mean_of"] == 2


def test_runs_that_are_not_alike_have_none(
    runs: list[Path], examples: list[Example], dev: list[Example], tmp_path: Path
) -> None:
    train(SETTINGS, runs[0], examples, dev[:4], {}, tmp_path / "other")
    with pytest.raises(MeanFault, match=r"dev\.jsonl of .*other is not that"):
        mean([*runs, tmp_path / "other"], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_a_run_is_not_written_over(runs: list[Path]) -> None:
    before = (runs[0] / "model.safetensors").read_bytes()
    with pytest.raises(MeanFault, match="one of the runs"):
        mean(runs, runs[0])
    assert (runs[0] / "model.safetensors").read_bytes() == before


def test_the_command_says_what_is_amiss(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(runs[0]), str(tmp_path / "none"), "--out", str(tmp_path / "mean")])
    assert stopped.value.code == 2
    assert "not all of these are finished runs" in capsys.readouterr().err
    main([*map(str, runs), "--out", str(tmp_path / "mean")])
    assert "sentiment_accuracy" in capsys.readouterr().out


def test_what_all_say_is_said_once() -> None:
    one = {"settings": {"seed": 1, "epochs": 2.0}, "backbone": "x", "max_steps": 5}
    other = {"settings": {"seed": 2, "epochs": 2.0}, "backbone": "x"}
    assert beside([one, other]) == {
        "settings": {"seed": [1, 2], "epochs": 2.0},
        "backbone": "x",
        "max_steps": [5, None],
    }
    assert beside([one]) == one
