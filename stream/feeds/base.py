"""What every source of documents is: one class that reads from a cursor on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
)

from stream.feeds.http import Fetcher
from stream.records import Kind, Weight

Cursor = dict[str, Any]
"""Where a source stands, as JSON; an empty one is the beginning. Only the source reads it."""

ErrorKind = Literal[
    "address", "connection", "document", "fault", "gone", "parse", "status", "timeout", "too-large"
]
ERROR_KINDS: tuple[ErrorKind, ...] = (
    "address",
    "connection",
    "document",
    "fault",
    "gone",
    "parse",
    "status",
    "timeout",
    "too-large",
)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*")


def _seconds(value: object) -> object:
    """Seconds of a number, or of a text such as 30s, 5m, 2h or 1d."""
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value)
    if found is None:
        raise ValueError("say it in seconds, or as 30s, 5m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]


Duration = Annotated[float, BeforeValidator(_seconds)]


def _beside(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return path if folder is None else Path(folder) / path


Beside = Annotated[Path, AfterValidator(_beside)]
"""A path; a relative one is relative to the feeds file."""


class FeedOptions(BaseModel):
    """What every feed of the file may say; a source adds its own keys in a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    type: str
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    kind: Kind = "other"
    lang: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$")] | None = (
        None
    )
    weight: Weight | None = None
    """how much its documents count, where they do not say; 1 is usual, 0 makes no spike"""
    interval: Annotated[Duration, Field(gt=0, le=86400 * 7)] = 300.0
    """seconds between two readings of a source that is polled"""
    internal: bool = False
    """also read from private, loopback and link-local addresses"""

    def problems(self) -> Sequence[str]:
        """What is wrong beyond the form of single keys: each says what to change."""
        return ()


class SourceError(Exception):
    """A reading failed; it is tried again, later each time.

    Args:
        kind: one of ``ERROR_KINDS``.
        reason: in words, without what the source sent.
        retry_after: seconds that the source asked to be left alone for.
    """

    def __init__(self, kind: ErrorKind, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.kind: ErrorKind = kind
        self.retry_after = retry_after


class Gone(SourceError):
    """The source says that it is gone for good: it is not asked again."""

    def __init__(self, reason: str) -> None:
        super().__init__("gone", reason)


@dataclass(frozen=True)
class Item:
    """One document, with keys as in ``stream.records.Document``.

    ``source``, ``kind`` and ``lang`` are filled in from the feed where they are missing.
    """

    document: Mapping[str, Any]
    key: str | None = None
    """what makes it one item for ever: what was published once under a key is not again"""


@dataclass(frozen=True)
class Batch:
    """Items that go to Kafka together, and where the source stands when they are there."""

    items: Sequence[Item]
    cursor: Cursor
    bad: Sequence[str] = field(default_factory=tuple)
    """what was read and is no document: where it stands and why, without its text"""


@dataclass(frozen=True)
class Context:
    """What a source may use."""

    http: Fetcher
    known: Callable[[str], bool]
    """whether an item of this key was published"""


class Source:
    """Base of all sources.

    Subclasses set ``Options``, and yield batches from ``read``. Where ``read`` ends, the runner
    waits for the interval and calls it again with the cursor of the last batch; a source that
    follows a stream need never end. On an error the runner waits, too, longer each time.
    """

    Options: ClassVar[type[FeedOptions]] = FeedOptions

    def __init__(self, options: FeedOptions, context: Context) -> None:
        self.options = options
        self.context = context

    def read(self, cursor: Cursor) -> AsyncIterator[Batch]:
        """What is new after the cursor.

        Raises:
            SourceError: it cannot be read now.
            Gone: it never will be again.
        """
        raise NotImplementedError

    def default_source(self) -> str:
        """The ``source`` of documents where neither they nor the file name one."""
        return self.options.source or self.options.id
