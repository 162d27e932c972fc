"""Corrections made on the desk, as rows that the training reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alerts.acts import Actor
from alerts.corrections import correct, count_waiting
from alerts.schema import upgrade
from alerts.store import audit_rows, open_engine
from model.dataset import read_examples
from model.labels import SENTIMENTS
from stream.feedback import export
from stream.watchlist import Entry, Watchlist
from tests.alerts.examples import NOON

BOTH = "Corvane soars while Tarrow Drinks plunges"
WATCHLIST = Watchlist(
    (
        Entry(id="corvane", names=("Corvane",)),
        Entry(id="tarrow", names=("Tarrow Drinks",)),
        Entry(id="market", match="all"),
    )
)


@pytest.fixture
def engine(tmp_path: Path):
    engine = open_engine(f"sqlite:///{tmp_path}/barograph.db")
    upgrade(engine)
    yield engine
    engine.dispose()


def add(engine, document: str, text: str, topic: str, new: str = "positive") -> None:
    correct(
        engine,
        Actor("Ana"),
        NOON,
        document_id=document,
        text=text,
        topic=topic,
        old="negative",
        new=new,  # type: ignore[arg-type]
    )


def test_the_training_reads_what_is_exported(engine, tmp_path: Path):
    add(engine, "d1", BOTH, "watch:corvane")
    add(engine, "d2", "Corvane soars\n", "watch:corvane")
    add(engine, "d3", BOTH, "watch:market", "neutral")
    add(engine, "d4", "央行维持利率不变", "class:macro", "neutral")
    path = tmp_path / "out.jsonl"
    assert export(engine, WATCHLIST, path) == 4
    examples = read_examples(path)
    assert [(e.text, SENTIMENTS[e.sentiment], e.target) for e in examples] == [
        (BOTH, "positive", "Corvane"),  # as the scorer asks where a text names several
        ("Corvane soars", "positive", None),
        (BOTH, "neutral", None),
        ("央行维持利率不变", "neutral", None),
    ]
    assert {example.kind for example in examples} == {"correction"}


def test_a_correction_is_exported_once_unless_all_are_asked_for(engine, tmp_path: Path):
    add(engine, "d1", BOTH, "watch:corvane")
    path = tmp_path / "out.jsonl"
    assert export(engine, WATCHLIST, path) == 1
    assert count_waiting(engine) == 0
    assert export(engine, WATCHLIST, path) == 0
    assert path.read_text() == ""
    assert export(engine, WATCHLIST, path, everything=True) == 1
    assert json.loads(path.read_text())["id"] == "d1"
    assert [row.kind for row in audit_rows(engine, "out.jsonl")] == ["feedback.exported"] * 3


def test_what_cannot_be_written_goes_on_waiting(engine, tmp_path: Path):
    add(engine, "d1", BOTH, "watch:corvane")
    with pytest.raises(OSError):
        export(engine, WATCHLIST, tmp_path / "none" / "out.jsonl")
    assert count_waiting(engine) == 1
