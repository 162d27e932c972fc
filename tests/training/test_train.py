from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, TrainerCallback

from model.augment import varied
from model.dataset import UNKNOWN, Example
from model.encoding import Tokenized, collate
from model.labels import SENTIMENTS
from model.loss import disagreement, predict
from model.network import TwoHeadClassifier
from model.processes import usual_workers
from model.train import Settings, main, train
from model.trainer import newest_checkpoint

SETTINGS = Settings(
    epochs=3,
    learning_rate=1e-3,
    head_learning_rate=1e-2,
    batch_size=8,
    max_tokens=32,
    average=0.9,
    augment=False,  # the tiny vocabulary knows no other names
    bf16=False,
)
"""Five batches an epoch; a checkpoint after every third of 15 steps."""


class Watch(TrainerCallback):
    """Keeps the losses and the network, and pulls the plug after a step."""

    def __init__(self, stop_after: int = -1) -> None:
        self.stop_after = stop_after
        self.losses: list[float] = []
        self.epochs: list[int] = []
        self.network: Any = None

    def on_log(self, args: Any, state: Any, control: Any, logs: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.network = kwargs["model"]
        self.epochs.append(kwargs["train_dataloader"].dataset.epoch)
        if state.global_step == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="session")
def bert(backbone: Callable[[str], Path]) -> Path:
    return backbone("bert")


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(bert: Path, examples: list[Example], dev: list[Example]) -> Run:
    def trained(out: Path, settings: Settings = SETTINGS, **options: Any) -> dict[str, Any]:
        given = {"about": {"data": {"toy": "1"}}, **options}
        return train(settings, bert, examples, dev, {"toy": list(dev)}, out, **given)

    return trained


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
    bert: Path,
    examples: list[Example],
    dev: list[Example],
) -> Path:
    out = tmp_path_factory.mktemp("run")
    about = {"data": {"toy": "1"}}
    train(SETTINGS, bert, examples, dev, {"toy": list(dev)}, out, about=about)
    return out


def assert_same_weights(one: Path, other: Path) -> None:
    expected = load_file(other / "model.safetensors")
    found = load_file(one / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        torch.testing.assert_close(weight, expected[name], atol=1e-4, rtol=0, msg=name)


# What a run writes


def test_a_run_writes_what_reproduces_it(undisturbed: Path, dev: list[Example]) -> None:
    run = json.loads((undisturbed / "run.json").read_text())
    assert run["settings"] == asdict(SETTINGS)
    assert run["data"] == {"toy": "1"}
    assert "max_steps" not in run
    metrics = json.loads((undisturbed / "metrics.json").read_text())
    assert [entry["epoch"] for entry in metrics["dev"]] == [1, 2, 3]
    assert metrics["dev"][-1].keys() >= {
        *("epoch", "sentiment_accuracy", "sentiment_macro_f1", "topic_accuracy", "topic_macro_f1")
    }
    assert 0 <= metrics["held_out"]["toy"]["sentiment_macro_f1"] <= 1
    assert newest_checkpoint(undisturbed / "checkpoints") is not None
    assert [*undisturbed.rglob("events.out.tfevents*")]
    network = TwoHeadClassifier.from_pretrained(undisturbed)
    tokenizer = AutoTokenizer.from_pretrained(undisturbed)
    sentiment, topic = predict(network, Tokenized(dev, tokenizer, 32), tokenizer.pad_token_id)
    assert (sentiment.shape, topic.shape) == ((len(dev), 3), (len(dev), 20))


def test_it_learns(run: Run, tmp_path: Path) -> None:
    watch = Watch()
    fast = replace(
        SETTINGS,
        epochs=12,
        learning_rate=5e-3,
        train_embeddings=True,
        average=0.5,
        dropout=0.0,
    )
    metrics = run(tmp_path, fast, callbacks=[watch])
    assert watch.losses[-1] < watch.losses[0] / 2
    assert metrics["held_out"]["toy"]["sentiment_accuracy"] == 1
    assert metrics["held_out"]["toy"]["topic_accuracy"] == 1


def test_a_schedule_of_fewer_steps_is_written_down(run: Run, tmp_path: Path) -> None:
    watch = Watch()
    run(tmp_path, callbacks=[watch], max_steps=4)
    assert len(watch.epochs) == 4
    assert json.loads((tmp_path / "run.json").read_text())["max_steps"] == 4


def test_texts_whose_targets_fare_differently_are_learned_more_often(
    bert: Path, examples: list[Example], dev: list[Example], tmp_path: Path
) -> None:
    apart = [replace(examples[0], target=f"T{label}", sentiment=label) for label in (0, 2)]
    steps = []
    for times in (1, 5):
        watch = Watch()
        once = replace(SETTINGS, epochs=1, contrast=times)
        train(once, bert, [*examples, *apart], dev, {}, tmp_path / f"{times}", callbacks=[watch])
        steps.append(len(watch.epochs))
    assert steps == [6, 7]  # 42 examples, and 50, in batches of 8


def test_it_stops_in_the_middle_of_its_schedule(run: Run, tmp_path: Path) -> None:
    watch = Watch()
    metrics = run(tmp_path, replace(SETTINGS, stop_after=7), callbacks=[watch])
    assert len(watch.epochs) == 7
    assert (tmp_path / "model.safetensors").exists()
    assert metrics["held_out"]
    whole = Watch()
    run(tmp_path / "whole", callbacks=[whole])
    assert watch.losses == whole.losses[: len(watch.losses)]


@pytest.mark.parametrize("stop_after", [5, 7])
def test_the_data_know_which_epoch_it_is(run: Run, tmp_path: Path, stop_after: int) -> None:
    first, second = Watch(stop_after), Watch()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, callbacks=[first])
    run(tmp_path, callbacks=[second], resume=True)
    whole = [0] * 5 + [1] * 5 + [2] * 5
    assert first.epochs == whole[:stop_after]
    assert second.epochs == whole[-len(second.epochs) :]


def test_embeddings_stay_as_they_are_unless_asked_for(undisturbed: Path, bert: Path) -> None:
    name = "embeddings.word_embeddings.weight"
    before, after = (
        load_file(bert / "model.safetensors"),
        load_file(undisturbed / "model.safetensors"),
    )
    assert torch.equal(after[f"encoder.{name}"], before[name])
    moved = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(after[f"encoder.{moved}"], before[moved])


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_adapters_are_merged_into_a_plain_network(
    run: Run, tmp_path: Path, bert: Path, method: str
) -> None:
    run(tmp_path, replace(SETTINGS, method=method, lora_rank=4))
    assert not (tmp_path / "adapter_config.json").exists()
    before, after = load_file(bert / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    network, info = TwoHeadClassifier.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert after.keys() == network.state_dict().keys()
    moved = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(after[f"encoder.{moved}"], before[moved])


def apart(network: Any) -> float:
    """How far AdaLoRA's factors are from orthogonal, in the mean."""
    factors = [p.detach() for name, p in network.named_parameters() if "lora_A" in name]
    return float(torch.stack([(p @ p.T - torch.eye(len(p))).norm() for p in factors]).mean())


def test_adalora_shares_out_the_ranks_and_keeps_them_apart(run: Run, tmp_path: Path) -> None:
    watch = Watch()
    settings = replace(SETTINGS, method="adalora", lora_rank=4, learning_rate=3e-2)
    run(tmp_path, settings, callbacks=[watch])
    values = [p for name, p in watch.network.named_parameters() if "lora_E" in name]
    assert sum(int(p.count_nonzero()) for p in values) <= settings.lora_rank * len(values)
    at_first = 6**0.5  # That of six vectors of hardly any length.
    assert apart(watch.network) < at_first / 2


# Interruptions


@pytest.mark.parametrize("stop_after", [7, 13])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    run: Run, undisturbed: Path, tmp_path: Path, stop_after: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, callbacks=[Watch(stop_after)])
    assert not (tmp_path / "model.safetensors").exists()
    metrics = run(tmp_path, resume=True)
    assert_same_weights(tmp_path, undisturbed)
    whole = json.loads((undisturbed / "metrics.json").read_text())
    assert metrics["dev"] == whole["dev"]
    assert metrics["held_out"] == whole["held_out"]


def test_an_epoch_that_ends_with_a_checkpoint_is_not_lost(run: Run, tmp_path: Path) -> None:
    """Of 20 steps each fifth is saved, and the epochs have five."""
    settings = replace(SETTINGS, epochs=4)
    whole = run(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings, callbacks=[Watch(7)])
    cut = run(tmp_path / "cut", settings, resume=True)
    assert cut["dev"] == whole["dev"]
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_adapters_are_resumed_as_well(run: Run, tmp_path: Path, method: str) -> None:
    settings = replace(SETTINGS, method=method, lora_rank=4)
    run(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings, callbacks=[Watch(8)])
    run(tmp_path / "cut", settings, resume=True)
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


def test_patience_is_not_renewed_by_an_interruption(run: Run, tmp_path: Path) -> None:
    """Nothing is learned, so that both stop after the epoch that patience ends with."""
    settings = replace(SETTINGS, epochs=6, patience=2, learning_rate=0.0, head_learning_rate=0.0)
    whole = run(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings, callbacks=[Watch(15)])
    cut = run(tmp_path / "cut", settings, resume=True)
    assert [entry["epoch"] for entry in whole["dev"]] == [1, 2, 3]
    assert cut["dev"][-1]["epoch"] == 3


def test_a_checkpoint_without_its_running_mean_is_not_whole(
    run: Run, undisturbed: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, callbacks=[Watch(10)])
    newest = newest_checkpoint(tmp_path / "checkpoints")
    assert newest is not None
    (newest / "average.pt").unlink()
    run(tmp_path, resume=True)
    assert_same_weights(tmp_path, undisturbed)


def test_a_new_run_takes_nothing_from_an_old_one_in_its_folder(
    run: Run, undisturbed: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    other = replace(SETTINGS, seed=8)
    run(tmp_path / "whole", other)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, other, callbacks=[Watch(4)])
    run(tmp_path, other, resume=True)
    assert_same_weights(tmp_path, tmp_path / "whole")


def test_other_settings_are_not_resumed(run: Run, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match="other settings"):
        run(tmp_path, replace(SETTINGS, dropout=0.2), resume=True)
    assert json.loads((tmp_path / "run.json").read_text())["settings"] == asdict(SETTINGS)


def test_other_data_are_not_resumed(run: Run, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match="other"):
        run(tmp_path, resume=True, about={"data": {"toy": "2"}})
    assert json.loads((tmp_path / "run.json").read_text())["data"] == {"toy": "1"}


def test_without_a_checkpoint_there_is_nothing_to_resume(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to resume"):
        run(tmp_path, resume=True)


# Views


def test_two_views_of_a_text_are_drawn_together(
    run: Run, tmp_path: Path, bert: Path, examples: list[Example]
) -> None:
    """Where no label tells what a text says, it says the same whoever it is about."""
    unlabelled = [replace(e, sentiment=UNKNOWN, topic=UNKNOWN) for e in examples[1:]]
    heads = {}
    for consistency in (0.0, 20.0):
        settings = replace(SETTINGS, epochs=8, augment=True, consistency=consistency, dropout=0.0)
        out = tmp_path / str(consistency)
        train(settings, bert, [examples[0], *unlabelled], examples[:4], {}, out)
        network = TwoHeadClassifier.from_pretrained(out)
        tokenizer = AutoTokenizer.from_pretrained(out)
        vary = partial(varied(examples, 0.5).in_epoch, 99)
        data = Tokenized(examples, tokenizer, 32, vary)
        views = [data[i + view * len(data)] for view in range(2) for i in range(len(data))]
        batch = collate(views, 1)
        with torch.inference_mode():
            logits = network.eval()(batch["input_ids"], batch["attention_mask"])
        heads[consistency] = float(disagreement(logits))
    assert heads[20.0] < heads[0.0] / 2


def test_a_run_with_views_is_resumed(run: Run, tmp_path: Path) -> None:
    settings = replace(SETTINGS, augment=True, consistency=1.0)
    run(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings, callbacks=[Watch(8)])
    run(tmp_path / "cut", settings, resume=True)
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


# From a trained network


def test_a_trained_network_is_gone_on_with(
    run: Run, tmp_path: Path, examples: list[Example], dev: list[Example]
) -> None:
    """Its heads as well: with nothing to learn it stays what it was."""
    run(tmp_path / "first")
    still = replace(SETTINGS, epochs=1, learning_rate=0.0, head_learning_rate=0.0)
    train(still, tmp_path / "first", examples, dev, {}, tmp_path / "second")
    assert_same_weights(tmp_path / "second", tmp_path / "first")


# Workers


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_workers_change_nothing(run: Run, tmp_path: Path) -> None:
    """They make the variations, of which each epoch has others."""
    settings = replace(SETTINGS, augment=True)
    alone = run(tmp_path / "alone", settings, workers=0)
    helped = run(tmp_path / "helped", settings, workers=2)
    assert helped["dev"] == alone["dev"]
    expected = load_file(tmp_path / "alone" / "model.safetensors")
    for name, weight in load_file(tmp_path / "helped" / "model.safetensors").items():
        assert torch.equal(weight, expected[name]), name


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_run_may_be_resumed_with_other_workers(run: Run, tmp_path: Path) -> None:
    settings = replace(SETTINGS, augment=True)
    run(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings, workers=2, callbacks=[Watch(8)])
    run(tmp_path / "cut", settings, workers=1, resume=True)
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


def test_what_workers_are_given_can_be_sent_to_them(bert: Path, examples: list[Example]) -> None:
    """Where processes are not forked, as on a Mac."""
    vary = partial(varied(examples, 0.5).in_epoch, 7)
    data = Tokenized(examples, AutoTokenizer.from_pretrained(bert), 32, vary)
    data.set_epoch(3)
    copy = pickle.loads(pickle.dumps(data))
    assert [copy[i] for i in range(len(data))] == [data[i] for i in range(len(data))]


@pytest.mark.parametrize(
    ("gpu", "cores", "processes", "workers"),
    [(False, 8, "1", 0), (True, 8, "1", 4), (True, 6, "2", 3), (True, 2, "4", 0)],
)
def test_how_many_workers_are_usual(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, cores: int, processes: str, workers: int
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert usual_workers() == workers


# The command


def rows(path: Path, *found: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


@pytest.fixture
def file(tmp_path: Path, examples: list[Example]) -> Path:
    """The texts with targets instead of labels, and a few that have neither."""
    return rows(
        tmp_path / "toy.jsonl",
        *(
            {
                "text": e.text,
                "targets": [{"name": e.text.split()[0], "sentiment": SENTIMENTS[e.sentiment]}],
            }
            for e in examples
        ),
        *({"text": f"nothing is known of {i}"} for i in range(4)),
    )


def test_a_folder_of_datasets_can_be_trained_on(
    bert: Path, tmp_path: Path, examples: list[Example]
) -> None:
    import datasets

    found = [{"text": e.text, "sentiment": SENTIMENTS[e.sentiment]} for e in examples]
    datasets.Dataset.from_list(found).save_to_disk(tmp_path / "toy")
    out = tmp_path / "out"
    main(["--train", str(tmp_path / "toy"), "--backbone", str(bert), "--out", str(out), *USUAL])
    run = json.loads((out / "run.json").read_text())
    assert [len(digest) for digest in run["data"].values()] == [64]


USUAL = ["--epochs", "1", "--batch-size", "8", "--no-bf16", "--dev-share", "0.2"]


def test_own_files_can_be_trained_on(
    file: Path, bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(["--train", str(file), "--backbone", str(bert), "--out", str(out), *USUAL])
    run = json.loads((out / "run.json").read_text())
    assert [len(digest) for digest in run["data"].values()] == [64]
    assert {"python", "torch", "transformers"} <= run["versions"].keys()
    assert run["backbone"] == bert.name
    metrics = json.loads((out / "metrics.json").read_text())
    assert "target_macro_f1" in metrics["dev"][0]
    said = capsys.readouterr().out
    assert f"{run['examples']} with sentiment" not in said
    assert f"{run['examples']} towards a target" in said, "what has no label is not trained on"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--method", "guess"], "invalid choice: 'guess'"),
        (["--epochs", "many"], "invalid float value"),
        (["--batch-size", "0"], "batch"),
        (["--workers", "-1"], "workers is -1"),
        (["--contrast", "0"], "contrast is 0"),
        (["--renamed", "1.5"], "renamed is 1.5"),
        (["--resume"], "nothing to resume"),
        (["--train", "absent.jsonl"], "absent.jsonl"),
    ],
)
def test_wrong_usage_exits_with_status_2(
    file: Path,
    bert: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    usual = ["--train", str(file), "--backbone", str(bert), "--out", str(tmp_path / "out"), *USUAL]
    with pytest.raises(SystemExit) as exit_:
        main([*usual, *options])
    assert exit_.value.code == 2
    assert says in capsys.readouterr().err


def test_a_file_too_small_to_stop_by_is_refused(
    bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = rows(tmp_path / "tiny.jsonl", {"text": "Acme soars", "sentiment": "positive"})
    with pytest.raises(SystemExit) as exit_:
        main(["--train", str(tiny), "--backbone", str(bert), "--out", str(tmp_path / "out")])
    assert exit_.value.code == 2
    assert "dev" in capsys.readouterr().err
