"""Other people's JSON as documents: which of their fields is which of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from stream.feeds.base import FeedOptions
from stream.feeds.html import text_of
from stream.feeds.paths import JsonPath, look
from stream.rows import GONE, document_row

Name = Literal[
    "author", "id", "kind", "lang", "published_at", "source", "tags", "text", "title", "url"
]
MILLISECONDS = 1e11
"""A larger number is a time in milliseconds: in seconds it would lie after the year 5138."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("name a time zone such as Asia/Shanghai or UTC") from None
    return name


class MappedOptions(FeedOptions):
    """Keys of a feed whose items are JSON objects."""

    fields: dict[Name, JsonPath | tuple[JsonPath, ...]] = Field({})
    """a document's key, and where in an item it stands; of several the first that is there"""
    zone: Annotated[str, AfterValidator(_zone)] | None = None
    """of times that name none"""
    html: bool = False
    """whether text and title are HTML"""

    def problems(self) -> Sequence[str]:
        if self.fields and "text" not in self.fields:
            return ["fields must say where text stands"]
        return super().problems()


def mapped(value: Any, options: MappedOptions) -> dict[str, Any]:
    """An item as a document's keys; without ``fields`` it has them already, as a row has.

    Raises:
        ValueError: it is no JSON object.
    """
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {type(value).__name__}, not an object")
    row: dict[str, Any]
    if options.fields:
        row = {str(name): _first(value, paths) for name, paths in options.fields.items()}
    else:
        row = document_row(value, None)
    for name in ("title", "text", "id", "author", "url"):
        given = row.get(name)
        if isinstance(given, int | float) and not isinstance(given, bool):
            row[name] = given = str(given)
        if options.html and name in ("title", "text") and isinstance(given, str):
            row[name] = text_of(given)
    if row.get("author") in GONE:
        row["author"] = None
    if row.get("title") == row.get("text"):
        row["title"] = None
    if isinstance(tags := row.get("tags"), str):
        row["tags"] = [tag for tag in re.split(r"[\s,;|]+", tags) if tag]
    if (time := row.get("published_at")) is not None:
        row["published_at"] = _time(time, options.zone)
    return row


def mapped_json(text: str | bytes, options: MappedOptions) -> dict[str, Any]:
    """The same of JSON text.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    return mapped(value, options)


def _first(value: Mapping[str, Any], paths: str | tuple[str, ...]) -> Any:
    for path in (paths,) if isinstance(paths, str) else paths:
        found = look(value, path)
        if found is not None and found != [] and not (isinstance(found, str) and found in GONE):
            return found
    return None


def _time(given: Any, zone: str | None) -> Any:
    """A time as a document takes it, or what was given, for the document to refuse."""
    if isinstance(given, str):
        try:
            time = datetime.fromisoformat(given.strip())
        except ValueError:
            pass
        else:
            return (_placed(time, zone) or time).isoformat()
        try:
            given = float(given)
        except ValueError:
            try:
                return parsedate_to_datetime(given).isoformat()
            except ValueError:
                return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        return given
    try:
        seconds = given / 1000 if abs(given) > MILLISECONDS else given
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return given


def _placed(time: datetime, zone: str | None) -> datetime | None:
    if time.tzinfo is not None or zone is None:
        return None
    return time.replace(tzinfo=ZoneInfo(zone))
