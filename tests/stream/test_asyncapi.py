"""The AsyncAPI document: up to date, valid, and what its examples are."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from stream.asyncapi import MEANINGS, text
from stream.settings import KafkaSettings
from stream.topics import specs
from tests.asyncapi import CHANNELS, DOCUMENT, PATH, errors
from tests.servers import ROOT

SCHEMAS = ROOT / "tests" / "schemas"
COMPONENTS = DOCUMENT["components"]


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    """The schema that AsyncAPI publishes."""
    packed = gzip.decompress((SCHEMAS / "asyncapi-3.0.0.json.gz").read_bytes())
    assert hashlib.sha256(packed).hexdigest() in (SCHEMAS / "README.md").read_text()
    return Draft7Validator(json.loads(packed))


def test_the_file_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), (
        "run: python -m stream.asyncapi > docs/asyncapi.yaml"
    )


def test_it_is_what_asyncapi_allows(official: Draft7Validator) -> None:
    assert [error.message for error in official.iter_errors(DOCUMENT)] == []


WRONG: dict[str, Callable[[Any], object]] = {
    "an action of version 2": lambda d: d["operations"]["feed"].update(action="publish"),
    "a type that is none": lambda d: d["components"]["schemas"]["Window"].update(type="objekt"),
    "partitions in words": lambda d: d["channels"]["scored"]["bindings"]["kafka"].update(
        partitions="four"
    ),
    "a key too many": lambda d: d["info"].update(titel="Barograph"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_it_does_not_allow_is_found(
    official: Draft7Validator, change: Callable[[Any], object]
) -> None:
    changed = copy.deepcopy(DOCUMENT)
    change(changed)
    assert list(official.iter_errors(changed))


def test_the_channels_are_the_topics() -> None:
    kafka = KafkaSettings()
    assert {key: channel["address"] for key, channel in CHANNELS.items()} == (
        kafka.topics.model_dump()
    )
    for spec in specs(kafka):
        (binding,) = (
            channel["bindings"]["kafka"]
            for channel in CHANNELS.values()
            if channel["address"] == spec.name
        )
        assert binding["partitions"] == spec.partitions
        assert binding["topicConfiguration"]["retention.ms"] == spec.retention_hours * 3_600_000


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(target := value.get("$ref"), str):
            yield target
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere_and_every_message_is_used() -> None:
    found = set(references(DOCUMENT))
    for target in found:
        assert target.startswith("#/")
        place: Any = DOCUMENT
        for key in target[2:].split("/"):
            place = place[key]
    for section, name in [(s, n) for s, members in COMPONENTS.items() for n in members]:
        assert f"#/components/{section}/{name}" in found, name
    used = {operation["channel"]["$ref"] for operation in DOCUMENT["operations"].values()}
    assert used == {f"#/channels/{name}" for name in CHANNELS}


def test_every_field_says_what_it_means() -> None:
    fields = {
        f"{name}.{field}": value
        for name, schema in COMPONENTS["schemas"].items()
        for field, value in schema.get("properties", {}).items()
        # Of the slices topic docs/records.md tells more, and nobody else is to read it.
        if name not in ("Slice", "Progress", "Tick", "Forget")
    }
    for name, value in fields.items():
        assert value.get("description"), f"{name}: say it in stream/asyncapi.py, or with Field()"
    assert set(MEANINGS) <= set(fields), "meanings of fields that are no more"


def examples() -> list[Any]:
    return [
        pytest.param(name, example["payload"], id=name)
        for name, message in COMPONENTS["messages"].items()
        for example in message.get("examples", [])
    ]


@pytest.mark.parametrize(("name", "example"), examples())
def test_an_example_is_what_its_schema_says(name: str, example: Any) -> None:
    assert errors(name, example) == []


def test_all_messages_but_dead_letters_have_an_example() -> None:
    assert {parameter.values[0] for parameter in examples()} == (
        set(COMPONENTS["messages"]) - {"DeadLetter"}
    )


@pytest.mark.parametrize(("name", "example"), examples())
def test_an_example_without_a_key_or_with_another_type_is_refused(name: str, example: Any) -> None:
    required = COMPONENTS["schemas"][name]["required"]
    for key in required:
        assert errors(name, {k: value for k, value in example.items() if k != key}), key
        assert errors(name, {**example, key: None}), key


def test_records_md_points_to_it() -> None:
    assert re.search(r"\(asyncapi\.yaml\)", (ROOT / "docs" / "records.md").read_text())
