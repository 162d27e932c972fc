"""How far each partition has been worked off, whatever order its messages are finished in.

Faust keeps such a list as well, yet counts a message as done when it only passed it over, during a
rebalance, and fills what it takes for gaps (its issues 596 and 606). An offset committed too far is
a document that nobody ever counts, so its list is not used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)


@dataclass(slots=True)
class Taken:
    """A message that somebody works on; setting ``done`` lets its offset be committed."""

    offset: int
    done: bool = False


@dataclass
class Offsets(Generic[Place]):
    """The messages in work by partition, in the order in which they were read."""

    _taken: dict[Place, deque[Taken]] = field(default_factory=dict)
    _next: dict[Place, int] = field(default_factory=dict)

    def take(self, place: Place, offset: int) -> Taken:
        """Note that work on the next message of a partition begins."""
        taken = Taken(offset)
        self._taken.setdefault(place, deque()).append(taken)
        return taken

    def advance(self) -> dict[Place, int]:
        """The next offset to read of each partition that came further since the last call."""
        moved = {}
        for place, messages in self._taken.items():
            while messages and messages[0].done:
                moved[place] = messages.popleft().offset + 1
        self._next.update(moved)
        return moved

    @property
    def in_work(self) -> int:
        """Messages that somebody still works on."""
        return sum(not taken.done for messages in self._taken.values() for taken in messages)

    def next(self, place: Place) -> int | None:
        """The next offset to read, as ``advance`` last gave it; None where it never did."""
        return self._next.get(place)

    def clear(self) -> None:
        """Forget everything: after a rebalance all is read anew from what was committed."""
        self._taken.clear()
        self._next.clear()
