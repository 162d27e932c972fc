from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.dataset import UNKNOWN, DatasetError, Example, fold_of, write_examples
from model.labels import SENTIMENTS
from model.soft import CLASSES, SoftLabels
from model.teach import Teacher, joined, main
from model.train import Settings, train

TEXTS = [
    Example("Acme soars", 2, 5),
    Example("Bolt opens", UNKNOWN, 6),
    Example("Crane slumps", 0),
    Example("Crane slumps", 0, target="Crane"),
]


def said(value: float) -> np.ndarray:
    return np.full((len(TEXTS), CLASSES), value)


def test_of_a_label_those_are_asked_who_did_not_see_it() -> None:
    saw = np.array([[True] * 4, [False] * 4])
    found = joined(TEXTS, [said(0.2), said(0.6)], saw)
    sentiment, topic = np.split(found, [len(SENTIMENTS)], axis=1)
    assert sentiment[:, 0] == pytest.approx([0.6, 0.4, 0.6, 0.6])
    assert topic[:3, 0] == pytest.approx([0.6, 0.6, 0.4])


def test_of_what_all_saw_all_are_asked() -> None:
    saw = np.array([[True, True, False, False], [True, True, False, False]])
    found = joined(TEXTS, [said(0.2), said(0.6)], saw)
    assert found[:3] == pytest.approx(np.full((3, CLASSES), 0.4))


def test_nobody_knows_the_topic_of_a_pair() -> None:
    found = joined(TEXTS, [said(0.5)], np.array([[False] * 4]))
    assert np.isnan(found[3, len(SENTIMENTS) :]).all()
    assert np.isfinite(found[:3]).all()


@given(st.permutations(range(len(TEXTS))), st.sets(st.integers(0, len(TEXTS) - 1), min_size=1))
def test_soft_labels_come_back_by_text_and_target(order: list[int], kept: set[int]) -> None:
    rows = np.arange(len(TEXTS) * CLASSES).reshape(len(TEXTS), CLASSES) / 128
    labels = SoftLabels.made([TEXTS[i] for i in sorted(kept)], rows[sorted(kept)])
    found = labels.of([TEXTS[i] for i in order])
    for row, index in zip(found, order, strict=True):
        if index in kept:
            assert row == pytest.approx(rows[index], rel=1e-3)
        else:
            assert np.isnan(row).all()


def test_a_file_of_soft_labels_has_no_text_and_says_the_same(tmp_path: Path) -> None:
    labels = SoftLabels.made(TEXTS, said(0.25))
    labels.write(tmp_path / "soft.safetensors")
    again = SoftLabels.read(tmp_path / "soft.safetensors")
    assert again.sha256 == labels.sha256
    assert again.of(TEXTS) == pytest.approx(labels.of(TEXTS))
    assert again.sha256 != SoftLabels.made(TEXTS, said(0.5)).sha256


@pytest.mark.parametrize("content", [b"", b"no such thing", b"\x10\0\0\0\0\0\0\0{}"])
def test_what_is_no_file_of_soft_labels_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "soft.safetensors").write_bytes(content)
    with pytest.raises(DatasetError, match="holds no soft labels"):
        SoftLabels.read(tmp_path / "soft.safetensors")


def test_rows_of_another_width_are_refused(tmp_path: Path) -> None:
    labels = SoftLabels.made(TEXTS, said(0.25))
    SoftLabels(labels.keys, labels.probabilities[:, :5]).write(tmp_path / "soft.safetensors")
    with pytest.raises(DatasetError, match="expected 23 each"):
        SoftLabels.read(tmp_path / "soft.safetensors")


def test_folds_have_every_text_once_with_all_its_targets(examples: list[Example]) -> None:
    folds = [fold_of(example, 4) for example in examples]
    assert set(folds) == {0, 1, 2, 3}
    assert folds == [fold_of(replace(example, target="Acme"), 4) for example in examples]


def test_a_run_teaches_what_it_did_not_see(
    tmp_path: Path, backbone: Callable[[str], Path], examples: list[Example], dev: list[Example]
) -> None:
    settings = Settings(
        epochs=20,
        learning_rate=5e-3,
        head_learning_rate=1e-2,
        batch_size=8,
        max_tokens=32,
        average=0.5,
        dropout=0.0,
        augment=False,
        train_embeddings=True,
        bf16=False,
    )
    run = tmp_path / "teacher"
    left = replace(settings, folds=4, fold=1)
    known = [example for example in examples if fold_of(example, 4) != 1]
    train(left, backbone("bert"), known, dev, {}, run)
    teacher = Teacher.load(run)
    assert [teacher.saw(example) for example in examples] == [e in known for e in examples]
    answers = teacher.answers(examples)
    assert answers.shape == (len(examples), CLASSES)
    assert answers[:, :3].sum(1) == pytest.approx(np.ones(len(examples)))
    assert answers[:, 3:].sum(1) == pytest.approx(np.ones(len(examples)))

    # A network that sees no label at all learns from what the teacher says.
    soft = SoftLabels.made(examples, joined(examples, [answers], np.zeros((1, 40), bool)))
    bare = [replace(example, sentiment=UNKNOWN, topic=UNKNOWN) for example in examples]
    train(settings, backbone("bert"), bare, dev, {}, tmp_path / "taught", soft=soft)
    learned = Teacher.load(tmp_path / "taught").answers(examples)
    for part in (slice(0, 3), slice(3, CLASSES)):
        same = answers[:, part].argmax(1) == learned[:, part].argmax(1)
        assert same.mean() > 0.9
    assert json.loads((run / "run.json").read_text())["settings"]["fold"] == 1

    write_examples(tmp_path / "own.jsonl", examples)
    made = tmp_path / "soft.safetensors"
    main([str(run), "--train", str(tmp_path / "own.jsonl"), "--out", str(made), "--dev-share", "0"])
    assert SoftLabels.read(made).of(examples) == pytest.approx(soft.of(examples), abs=1e-3)


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_examples(tmp_path / "own.jsonl", TEXTS)
    for run, texts in (("none", "own.jsonl"), ("none", "missing.jsonl")):
        with pytest.raises(SystemExit) as stop:
            main([run, "--train", str(tmp_path / texts), "--out", str(tmp_path / "soft")])
        assert stop.value.code == 2
        assert "No such file" in capsys.readouterr().err
