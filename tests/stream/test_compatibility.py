"""Records of other versions: what they lack has a default, what they have more is passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.records import Alert, Record, Window
from stream.records import Document, ScoredDocument
from stream.slices import Progress, Slice, Tick, decode, encode
from tests.stream.test_reference import EXAMPLES

KINDS = (Document, ScoredDocument, Window, Alert)
OF_LATER = st.dictionaries(
    st.sampled_from(["region", "model2", "späteres", ""]),
    st.none() | st.integers() | st.text(max_size=3) | st.just({"a": [1]}),
    max_size=2,
)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_older_and_newer_records_are_read(kind: type[Record], data: st.DataObject) -> None:
    example = json.loads(dict(EXAMPLES)[kind.__name__])
    dropped: list[Callable[[Any], bool]] = []
    written = _changed(kind, example, data.draw, dropped, lambda record: record)
    read = kind.model_validate_json(json.dumps(written))
    assert all(has_default(read) for has_default in dropped)
    assert _without(read, written) == _without(kind.model_validate(example), written)
    assert not {"region", "model2", "späteres", ""} & set(json.loads(read.to_json()))


def _changed(
    kind: type[Record],
    value: dict[str, Any],
    draw: Callable[[Any], Any],
    dropped: list[Callable[[Any], bool]],
    reach: Callable[[Any], Any],
) -> dict[str, Any]:
    """The record without some keys that are not required, and with some that nobody knows."""
    out: dict[str, Any] = dict(draw(OF_LATER))
    for name, field in kind.model_fields.items():
        if name not in value:
            continue
        if not field.is_required() and draw(st.booleans()):
            if (kind, name) != (Document, "id") and name != "id":  # which is derived
                dropped.append(
                    lambda read, name=name, field=field: getattr(reach(read), name) == field.default
                )
            continue
        inner = _record_of(field.annotation)
        if inner is None:
            out[name] = value[name]
        elif isinstance(value[name], list):
            out[name] = [
                _changed(
                    inner,
                    each,
                    draw,
                    dropped,
                    lambda read, name=name, at=at: getattr(reach(read), name)[at],
                )
                for at, each in enumerate(value[name])
            ]
        else:
            out[name] = _changed(
                inner,
                value[name],
                draw,
                dropped,
                lambda read, name=name: getattr(reach(read), name),
            )
    return out


def _record_of(annotation: Any) -> type[Record] | None:
    """The class of records that a field holds, one or many."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    return next((found for part in get_args(annotation) if (found := _record_of(part))), None)


def _without(record: Record, written: dict[str, Any]) -> dict[str, Any]:
    """The plain fields that were written."""
    return {
        name: value
        for name, value in record
        if name in written and not isinstance(written[name], (dict, list))
    }


@pytest.mark.parametrize("kind", [Slice, Progress, Tick])
@given(more=st.dictionaries(st.sampled_from(["new", "newer"]), st.integers(), min_size=1))
def test_what_a_newer_worker_adds_to_its_slices_is_passed_over(
    kind: type, more: dict[str, int]
) -> None:
    """Else the older ones of a rolling upgrade would drop what the newer ones have scored."""
    example = json.loads(dict(EXAMPLES)[kind.__name__])
    message = decode(json.dumps(example).encode())
    longer = {**example, **more}
    if isinstance(message, Slice):
        # Whole, with what is left out while it is as usual.
        longer["entries"] = [list(entry) for entry in message.entries]
    for name in ("entries", "read"):
        if name in longer:
            longer[name] = [[*line, *more.values()] for line in longer[name]]
    if "progress" in longer:
        marks = longer["progress"].items()
        longer["progress"] = {partition: [*mark, *more.values()] for partition, mark in marks}
    assert decode(json.dumps(longer).encode()) == message


def test_a_slice_of_before_models_were_named_is_read() -> None:
    example = json.loads(dict(EXAMPLES)["Slice"])
    del example["model"]
    message = decode(json.dumps(example).encode())
    assert isinstance(message, Slice)
    assert message.model is None
    assert "model" not in json.loads(encode(message))
