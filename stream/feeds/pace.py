"""When a feed is read again. Pure: chance comes in as a number from 0 to 1."""

from __future__ import annotations

FIRST_WAIT = 1.0
LONGEST_WAIT = 900.0
JITTER = 0.1


def interval(seconds: float, chance: float) -> float:
    """The interval, up to a tenth longer or shorter: feeds do not all come at the same second."""
    return seconds * (1 + JITTER * (2 * chance - 1))


def back_off(failures: int, chance: float, retry_after: float = 0.0) -> float:
    """Seconds to wait after so many failures in a row (from 1).

    Twice as long each time, of which a random half is left out; never sooner than was asked for.
    """
    longest: float = min(FIRST_WAIT * 2 ** min(failures - 1, 30), LONGEST_WAIT)
    return max(longest * (1 - chance / 2), retry_after * (1 + JITTER * chance))
