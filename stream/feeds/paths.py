"""Where in a JSON value something stands: ``data.children[0].title``, also ``$.data.children``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")


def steps(path: str) -> tuple[str | int, ...]:
    """The keys and indices on the way; the empty path, or ``$``, is the value itself.

    Raises:
        ValueError: it is no path; the message says how one is written.
    """
    rest = path.removeprefix("$").removeprefix(".")
    found: list[str | int] = []
    at = 0
    while at < len(rest):
        step = _STEP.match(rest, at)
        if step is None:
            raise ValueError(f"{path!r} is no path; write it like data.items[0].title")
        found.append(step[1] if step[1] is not None else int(step[2]))
        at = step.end()
    return tuple(found)


def look(value: Any, path: str) -> Any:
    """What stands there; None where nothing does."""
    for step in steps(path):
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def _valid(path: str) -> str:
    steps(path)
    return path


JsonPath = Annotated[str, AfterValidator(_valid)]
