"""The AsyncAPI document as it is checked in, and what it says of a message."""

from __future__ import annotations

from typing import Any

import yaml
from jsonschema import Draft7Validator, FormatChecker

from tests.servers import ROOT

PATH = ROOT / "docs" / "asyncapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
CHANNELS: dict[str, Any] = DOCUMENT["channels"]


def kinds(address: str) -> list[str]:
    """The names of the messages of a topic."""
    (found,) = (channel for channel in CHANNELS.values() if channel["address"] == address)
    return list(found["messages"])


def errors(schema: str, value: Any) -> list[str]:
    """What keeps a value from being what the schema of that name says."""
    rooted = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    found = Draft7Validator(rooted, format_checker=FormatChecker()).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]
