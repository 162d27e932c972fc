from __future__ import annotations

from typing import Any

from stream.evidence import evidence_of, representative, to_evidence
from stream.novelty import signature
from tests.stream.factories import DAY0, entry


def item(text: str, negative: float = 0.9, source: str = "wire") -> dict[str, Any]:
    return {
        **evidence_of(text, text, None, source, DAY0, negative),
        "story": signature(text),
    }


def texts(chosen: list[dict[str, Any]]) -> list[str]:
    return [found["text"] for found in chosen]


def test_stored_evidence_is_a_public_record():
    stored = {**entry(label=0).evidence, "story": "A"}
    assert to_evidence(stored).time.timestamp() == DAY0
    assert to_evidence(stored).documents == 1


def test_the_more_negative_comes_first():
    mild, harsh = item("Orders at the mill fall", 0.6), item("The regulator shuts the bank", 0.97)
    assert texts(representative([mild, harsh], {}, 2)) == [harsh["text"], mild["text"]]


def test_what_many_tell_outweighs_a_little_more_gloom():
    mild, harsh = item("Orders at the mill fall", 0.8), item("The regulator shuts the bank", 0.97)
    chosen = representative([harsh, mild], {mild["story"]: 16, harsh["story"]: 1}, 2)
    assert texts(chosen) == [mild["text"], harsh["text"]]


def test_the_next_is_unlike_those_before_it():
    """Three angles on one recall would crowd out the second event."""
    recall = "Pendry recalls 40,000 cars over faulty brakes after crashes in Ohio"
    angles = [
        item(recall, 0.97, "a"),
        item("Pendry recalls 40,000 cars over faulty brakes, two killed in Ohio", 0.96, "b"),
        item("Pendry recalls cars over faulty brakes after Ohio crashes, stock sinks", 0.95, "c"),
    ]
    other = item("Union at the Tarnwick refinery votes for a strike from Monday", 0.7, "d")
    assert texts(representative([*angles, other], {}, 2)) == [recall, other["text"]]


def test_another_source_is_heard_before_the_same_one_again():
    first = item("The regulator shuts the bank", 0.97, "wire")
    same = item("Union votes for a strike from Monday", 0.9, "wire")
    other = item("Copper falls to a low of nine years", 0.7, "blog")
    assert texts(representative([first, same, other], {}, 3)) == [
        first["text"],
        other["text"],
        same["text"],
    ]


def test_no_more_than_asked_and_no_order_of_arrival():
    items = [item(f"Text number {n} about {n * n} things", 0.5 + n / 40) for n in range(15)]
    chosen = representative(items, {}, 5)
    assert len(chosen) == 5
    assert representative(items[::-1], {}, 5) == chosen


def test_evidence_is_short_and_ordinary_texts_are_whole():
    text = evidence_of("id", "跌" * 200, "https://a.example/1", "wire", DAY0, 0.93456)
    assert text == {
        "id": "id",
        "text": "跌" * 200,
        "url": "https://a.example/1",
        "source": "wire",
        "time": DAY0,
        "negative": 0.9346,
    }
    long = evidence_of("i" * 90, "x" * 201, "https://" + "x" * 500, "s" * 100, DAY0, 1.0)
    assert long["text"] == "x" * 199 + "…"
    assert (len(long["id"]), len(long["source"]), long["url"]) == (64, 80, None)
