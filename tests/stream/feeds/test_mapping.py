from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stream.feeds.mapping import MappedOptions, mapped, mapped_json
from stream.feeds.paths import look, steps


def options(**more: Any) -> MappedOptions:
    return MappedOptions.model_validate({"id": "a", "type": "t", **more})


def test_paths():
    value = {"data": {"items": [{"a b": 1}, {"a b": 2}]}, "": 0}
    assert look(value, "data.items[1].a b") == 2
    assert look(value, "$.data.items[-1].a b") == 2
    assert look(value, "") is value
    assert look([5], "[0]") == look([5], "$[0]") == 5
    for nothing in ("data.none", "data.items[7]", "data[0]", "data.items.a", "data.items[0].a b.c"):
        assert look(value, nothing) is None
    assert steps("a.b[0].c") == ("a", "b", 0, "c")


@pytest.mark.parametrize("path", ["a..b", "a[", "a[x]", "a]", "["])
def test_what_is_no_path_is_said_so(path):
    with pytest.raises(ValueError, match="write it like"):
        steps(path)
    with pytest.raises(ValidationError):
        options(fields={"text": path})


def test_fields_are_picked_and_the_first_that_says_something_wins():
    fields = {
        "id": "name",
        "title": "title",
        "text": ["body", "title"],
        "author": "who.login",
        "tags": "symbols",
        "published_at": "created",
    }
    post = {
        "name": 7,
        "title": "Loss",
        "body": "[removed]",
        "who": {"login": "[deleted]"},
        "symbols": "AB, CD",
        "created": 1772627287.5,
    }
    assert mapped(post, options(fields=fields)) == {
        "id": "7",
        "title": None,
        "text": "Loss",
        "author": None,
        "tags": ["AB", "CD"],
        "published_at": "2026-03-04T12:28:07.500000+00:00",
    }


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (1772627287, "2026-03-04T12:28:07+00:00"),
        (1772627287000, "2026-03-04T12:28:07+00:00"),
        ("1772627287", "2026-03-04T12:28:07+00:00"),
        ("Wed, 04 Mar 2026 12:28:07 GMT", "2026-03-04T12:28:07+00:00"),
        ("2026-03-04T12:28:07Z", "2026-03-04T12:28:07+00:00"),
        ("2026-03-04 12:28:07", "2026-03-04T12:28:07+08:00"),
        ("soon", "soon"),
        (True, True),
        (1e300, 1e300),
    ],
)
def test_times_of_many_kinds(given, read):
    row = mapped({"text": "x", "time": given}, options(zone="Asia/Shanghai"))
    assert row["published_at"] == read


def test_without_fields_a_row_is_a_document():
    assert mapped({"text": "a", "source": "s"}, options()) == {"text": "a", "source": "s"}
    assert mapped({"text": "<p>a&amp;b"}, options(html=True)) == {"text": "a&b"}


@pytest.mark.parametrize("bad", ["", "{", "[]", "1", '"x"', "[" * 100_000])
def test_what_is_no_object_is_said_so(bad):
    with pytest.raises(ValueError, match="not"):
        mapped_json(bad, options())


def test_problems():
    assert options(fields={"title": "t"}).problems() == ["fields must say where text stands"]
    with pytest.raises(ValidationError, match="time zone such as"):
        options(zone="Mars/Olympus")
