"""What is stored says of which version it is; what this one cannot read is refused, not misread."""

from __future__ import annotations


class StateRefused(ValueError):
    """A worker's stored state is of another version; the message says what to do."""


def require(what: str, found: int | None, known: int) -> None:
    """See that a stored state can be read.

    Args:
        what: whose state it is.
        found: its version; None from before there were numbers.
        known: the version that is read and written here.

    Raises:
        StateRefused: it cannot.
    """
    if found == known:
        return
    older = found is None or found < known
    way = "" if older else "start the version of Barograph that wrote it, or "
    raise StateRefused(
        f"the stored state of {what} is of version {1 if found is None else found}, and this "
        f"version of Barograph reads {known}: {way}set another kafka.app_id, so that the workers "
        "build tables of their own from what Kafka keeps (docs/operating.md, Upgrade)"
    )
