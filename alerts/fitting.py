"""Keeps a webhook's body under 20 kB, by leaving out first what is missed least. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

MAX_BODY = 20_000
"""Bytes of the longest body in UTF-8: what common receivers take at most."""

ESSENTIAL = (
    "id",
    "topic",
    "rule",
    "severity",
    "state",
    "preliminary",
    "starts_at",
    "ends_at",
    "summary",
    "dashboard_url",
)
"""What of an alert is told in any case."""


def fitted(data: dict[str, Any], render: Callable[[dict[str, Any]], str]) -> str:
    """The text that ``render`` makes of an alert, from as much of it as fits into ``MAX_BODY``.

    The texts of its evidence are cut first, then stories are left out from the last one on, and at
    the very end all goes but what is essential, its texts cut as well.

    Args:
        data: the alert, with ``summary`` and ``dashboard_url``.
        render: may repeat the essential texts a few times each, and add 10 kB of its own at most.
    """
    text = ""
    for smaller in _smaller(data):
        text = render(smaller)
        if len(text.encode()) <= MAX_BODY:
            break
    return text


def cut(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis, of ``length`` characters at most."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _smaller(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The alert itself, then with less and less of it."""
    yield data
    evidence = list(data.get("evidence", ()))
    for length in (300, 100):
        evidence = [{**story, "text": cut(story.get("text", ""), length)} for story in evidence]
        yield {**data, "evidence": evidence}
    while evidence:
        evidence = evidence[:-1]
        yield {**data, "evidence": evidence}
    kept = {key: data[key] for key in ESSENTIAL if key in data}
    for length in (1000, 200, 60):
        short = {k: cut(v, length) if isinstance(v, str) else v for k, v in kept.items()}
        yield {**short, "evidence": []}
