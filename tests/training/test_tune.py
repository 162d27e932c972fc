from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import model.train
import model.tune
from model.dataset import Example
from model.labels import SENTIMENTS
from model.train import Settings
from model.tune import SEARCHED, Reporter, command, main, suggested, table, tune

FIXED = Settings(epochs=2, max_tokens=32, bf16=False)
Search = Callable[..., optuna.Study]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "tune"


@pytest.fixture
def search(
    out: Path, backbone: Callable[[str], Path], examples: list[Example], dev: list[Example]
) -> Search:
    def tuned(trials: int, fixed: Settings = FIXED, **options: Any) -> optuna.Study:
        return tune(fixed, backbone("bert"), examples, dev, out, trials, **options)

    return tuned


def states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.trials]


def test_the_best_settings_are_written(search: Search, out: Path) -> None:
    study = search(2)
    assert states(study) == [TrialState.COMPLETE] * 2
    assert suggested(study.trials[0], FIXED) == FIXED, "the first is the defaults"
    best = json.loads((out / "best.json").read_text())
    assert best["score"] == study.best_value == max(trial.value for trial in study.trials)
    assert best["settings"] == asdict(suggested(study.trials[best["trial"]], FIXED))
    assert [list(trial.intermediate_values) for trial in study.trials] == [[1, 2]] * 2
    assert {path.name for path in out.iterdir()} == {"best.json", "trials.log"}, "no weights"


def test_trials_are_added_on_resuming(search: Search, out: Path) -> None:
    first = [trial.params for trial in search(2).trials]
    with pytest.raises(ValueError, match="--resume adds to them"):
        search(1)
    study = search(2, resume=True)
    assert len(study.trials) == 4
    assert [trial.params for trial in study.trials[:2]] == first
    drawn = {trial.params["learning_rate"] for trial in study.trials}
    assert len(drawn) == 4, "the same seed does not draw the same again"
    with pytest.raises(ValueError, match="other settings or data"):
        search(1, Settings(epochs=3, bf16=False), resume=True)
    with pytest.raises(ValueError, match="other settings or data"):
        search(1, resume=True, about={"data": {"toy": "2"}})


def test_there_must_be_something_to_resume(search: Search) -> None:
    with pytest.raises(ValueError, match="nothing to resume"):
        search(1, resume=True)


def test_a_trial_that_died_with_its_process_has_failed(search: Search, out: Path) -> None:
    study = search(1)
    study.ask()
    (out / "trial-left").mkdir()
    again = search(1, resume=True)
    assert states(again) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    assert not (out / "trial-left").exists()
    assert "fail" in table(again, FIXED)


def test_a_trial_that_lags_stops_early(search: Search, out: Path) -> None:
    study = search(1)
    good = optuna.trial.create_trial(
        value=1.0,
        params=study.trials[0].params,
        distributions=study.trials[0].distributions,
        intermediate_values={1: 1.0, 2: 1.0},
    )
    for _ in range(4):
        study.add_trial(good)
    again = search(1, resume=True)
    lagging = again.trials[-1]
    assert lagging.state == TrialState.PRUNED
    assert list(lagging.intermediate_values) == [1]
    assert json.loads((out / "best.json").read_text())["score"] == 1.0
    *_, last = table(again, FIXED).splitlines()
    assert last.split()[:4] == [str(lagging.number), "pruned", f"({lagging.value:.4f})", "1"]


def test_a_trial_ends_with_the_time(search: Search, out: Path) -> None:
    begun = time.monotonic()
    study = search(50, Settings(epochs=5000, bf16=False, patience=5000), minutes=0.02)
    assert time.monotonic() - begun < 60
    assert states(study) == [TrialState.FAIL]
    assert not (out / "best.json").exists()


def test_memory_that_does_not_suffice_fails_one_trial_only(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(settings: Settings, *_: Any, callbacks: tuple[Reporter], **__: Any) -> None:
        if callbacks[0].trial.number == 0:
            raise model.tune.torch.OutOfMemoryError
        callbacks[0].scores.append(0.5)

    monkeypatch.setattr(model.tune, "train", train)
    assert states(search(2)) == [TrialState.FAIL, TrialState.COMPLETE]


def test_what_is_proposed_can_be_trained_with() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(50):
        found = suggested(study.ask(), FIXED)
        for name in SEARCHED:
            assert len(f"{getattr(found, name):g}") <= 8
        assert 0.9 <= found.average < 1
        assert (found.epochs, found.bf16) == (2, False)


def test_the_command_gives_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(
        method="lora", learning_rate=3.2e-05, average=0.9987, batch_size=16, bf16=False
    )
    given: list[Settings] = []

    def train(settings: Settings, *_: Any, **__: Any) -> dict[str, Any]:
        given.append(settings)
        return {"minutes": 0, "held_out": {}}

    monkeypatch.setattr(model.train, "train", train)
    file = tmp_path / "some texts.jsonl"
    file.write_text('{"text": "Acme soars", "sentiment": "positive"}\n')
    words = shlex.split(command(settings, ["--train", str(file), "--backbone", "tiny"]))
    assert words[:3] == ["python", "-m", "model.train"]
    model.train.main(words[3:])
    assert given == [settings]


@pytest.fixture
def file(tmp_path: Path, examples: list[Example]) -> Path:
    path = tmp_path / "toy.jsonl"
    rows = [{"text": e.text, "sentiment": SENTIMENTS[e.sentiment]} for e in examples]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_command_prints_a_table_and_the_next_command(
    file: Path,
    out: Path,
    backbone: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    usual = ["--train", str(file), "--backbone", str(backbone("bert")), "--out", str(out)]
    main([*usual, "--trials", "1", "--epochs", "1", "--no-bf16", "--dev-share", "0.2"])
    *_, titles, row, blank, last = capsys.readouterr().out.splitlines()
    assert titles.split() == ["trial", "state", "score", "epochs", "minutes", *SEARCHED]
    assert row.split()[:2] == ["0", "complete"]
    assert len(row.split()) == len(titles.split())
    assert blank == ""
    assert last.startswith(f"python -m model.train --train {file} --backbone ")
    assert "--no-bf16" in last
    assert last == json.loads((out / "best.json").read_text())["command"]


def test_an_interrupted_search_can_be_resumed(
    file: Path,
    out: Path,
    backbone: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    usual = ["--train", str(file), "--backbone", str(backbone("bert")), "--out", str(out)]
    usual += ["--trials", "1", "--epochs", "1", "--no-bf16", "--dev-share", "0.2"]
    with monkeypatch.context() as patched:
        patched.setattr(model.tune, "train", train)
        with pytest.raises(SystemExit) as exit_:
            main(usual)
    assert exit_.value.code == 130
    assert "--resume goes on" in capsys.readouterr().err
    main([*usual, "--resume"])
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()[-4:-2]} == {
        "complete",
        "fail",
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--trials", "0"], "more than 0"),
        (["--minutes", "0"], "more than 0"),
        (["--minutes", "nan"], "more than 0"),
        (["--learning-rate", "1"], "unrecognized"),
        (["--method", "guess"], "invalid choice"),
        (["--resume"], "nothing to resume"),
        (["--train", "absent.jsonl"], "absent.jsonl"),
    ],
)
def test_wrong_usage_exits_with_status_2(
    file: Path,
    out: Path,
    backbone: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    usual = ["--train", str(file), "--backbone", str(backbone("bert")), "--out", str(out)]
    with pytest.raises(SystemExit) as exit_:
        main([*usual, *options])
    assert exit_.value.code == 2
    assert says in capsys.readouterr().err
