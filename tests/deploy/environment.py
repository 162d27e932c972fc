"""Environment variables of deployed processes, read as the processes read them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from unittest import mock

from stream.settings import Settings, load

PREFIX = "BAROGRAPH_"
CONFIG = "BAROGRAPH_CONFIG"
"""Names the settings file; it is no setting itself."""


@contextlib.contextmanager
def only(variables: Mapping[str, str]) -> Iterator[None]:
    """The environment with these variables of Barograph's, and no others of its."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with mock.patch.dict(os.environ, {**kept, **variables}, clear=True):
        yield


def settings_of(variables: Mapping[str, str]) -> Settings:
    """The settings that a process with these variables has, its settings file left out.

    Raises:
        SettingsError: a value is wrong.
    """
    given = {name: value for name, value in variables.items() if name != CONFIG}
    with only(given):
        return load()


def unknown(names: Iterator[str] | list[str]) -> list[str]:
    """Those of the variables that name no setting."""
    return [name for name in names if not _is_setting(name)]


def _is_setting(name: str) -> bool:
    if not name.startswith(PREFIX) or name == CONFIG:
        return name == CONFIG or not name.startswith(PREFIX)
    model = Settings
    *sections, last = name.removeprefix(PREFIX).lower().split("__")
    for section in sections:
        field = model.model_fields.get(section)
        if field is None or not hasattr(field.annotation, "model_fields"):
            return False
        model = field.annotation  # type: ignore[assignment]
    return last in model.model_fields


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """As compose fills in ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?error}``.

    Raises:
        KeyError: a variable without a default has no value.
    """

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        return values[name] if kind != ":-" else values.get(name) or default

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)
