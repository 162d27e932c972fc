"""Reading from Kafka that takes nothing it then throws away: Faust's consumer, with one fault less.

aiokafka reads ahead from every assigned partition, and Faust takes of that what belongs to the
partitions it has not paused. It hands over the set of those, and aiokafka understands an empty set
as "all". A read that is under way while the partitions are shared out anew, all paused, thus takes
whatever comes; Faust then throws it away, while the positions have moved on. From most of that it
recovers, because it seeks afterwards. Yet when the read ends just after it went to the beginning of
the tables' topics, their records are gone: the recovery waits for them for ever, or, where more
came than one fetch holds, ends without the first of them.
"""

from __future__ import annotations

from collections.abc import Container, Set
from typing import Any, cast

from faust.transport.drivers import aiokafka
from faust.types import TP


class Readable(Container[TP]):
    """The partitions of which records may be taken at this moment, asked for each anew."""

    def __init__(self, consumer: aiokafka.Consumer, active: Set[TP]) -> None:
        """Of ``active``, which Faust goes on to change, those that count while messages flow."""
        self._consumer = consumer
        self._active = active

    def __contains__(self, place: object) -> bool:
        # Read in the consumer's thread, changed in the other: either answer is right then.
        return self._consumer.flow_active and place in self._active

    def __bool__(self) -> bool:
        """Never "all", even when it is none."""
        return True


class Consumer(aiokafka.Consumer):  # type: ignore[misc]  # Faust's types are not read
    """Faust's consumer, which takes records of partitions that are read at that moment alone."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        readable = Readable(self, active_partitions or set())
        return await super()._getmany(cast("set[TP]", readable), timeout)
