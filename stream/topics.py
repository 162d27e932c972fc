"""The Kafka topics: made by ``barograph topics create``, before any worker starts.

Those that keep the worker's tables are among them. Faust would make them as well, but of two
workers that start together the one that shares out the partitions may not know them yet: it leaves
them out, and what the tables hold is lost to whoever takes the partitions over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from stream.clients import Broker, admin
from stream.clients import BrokerUnreachable as BrokerUnreachable
from stream.settings import HOUR, KafkaSettings, Settings

UNKNOWN_TOPIC = 3
ALREADY_EXISTS = 36
MEBIBYTE = 2**20


class TopicError(Exception):
    """A topic cannot be made, or is not what the settings say; the message says what to do."""


@dataclass(frozen=True)
class Spec:
    """A topic as the settings want it."""

    name: str
    partitions: int
    retention_hours: int
    compacted: bool = False
    """keeps the newest record of each key for ever"""

    @property
    def configs(self) -> dict[str, str]:
        """Kafka's settings of the topic."""
        if self.compacted:
            return {"cleanup.policy": "compact"}
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_hours * HOUR * 1000),
            # The longest document, escaped, with its scores.
            "max.message.bytes": str(4 * MEBIBYTE),
        }


@dataclass(frozen=True)
class TopicRow:
    """A topic as it is: zero partitions say that it is missing."""

    name: str
    partitions: int
    replication_factor: int
    retention_hours: int

    @property
    def exists(self) -> bool:
        """Whether the broker has it."""
        return self.partitions > 0


def specs(kafka: KafkaSettings) -> list[Spec]:
    """What the settings ask for.

    Only dead letters have a single partition: they are few, and their order is worth more.
    """
    topics, many = kafka.topics, kafka.partitions
    return [
        Spec(topics.documents, many, kafka.retention_hours),
        Spec(topics.scored, many, kafka.retention_hours),
        Spec(topics.slices, many, kafka.retention_hours),
        Spec(topics.windows, many, kafka.alerts_retention_hours),
        Spec(topics.alerts, many, kafka.alerts_retention_hours),
        Spec(topics.dead_letters, 1, kafka.alerts_retention_hours),
    ]


def tables(kafka: KafkaSettings) -> list[Spec]:
    """Where Faust keeps the tables of ``stream.topology``; the names are its own."""
    return [
        Spec(f"{kafka.app_id}-{kafka.app_id}-{name}-changelog", kafka.partitions, 0, compacted=True)
        for name in ("panes", "states")
    ]


def create(settings: Settings) -> list[str]:
    """Make the topics that are missing, and wait until they can be used.

    Returns:
        Their names; an empty list when all were there.

    Raises:
        BrokerUnreachable: no broker answers.
        TopicError: the broker refuses one, or documents or slices exist with another number of
            partitions than the settings say: an entity would move to another worker's table.
    """
    wanted = [*specs(settings.kafka), *tables(settings.kafka)]
    with admin(settings.kafka) as client:
        existing = _partitions(client, wanted)
        _check(settings.kafka, existing)
        missing = [spec for spec in wanted if spec.name not in existing]
        if not missing:
            return []
        try:
            reply = client.create_topics(
                {
                    spec.name: {
                        "num_partitions": spec.partitions,
                        "replication_factor": settings.kafka.replication_factor,
                        "configs": spec.configs,
                    }
                    for spec in missing
                },
                raise_errors=False,
            )
            for topic in reply["topics"]:
                # Another process may have been quicker.
                if topic["error_code"] not in (0, ALREADY_EXISTS):
                    reason = topic["error_message"] or f"error {topic['error_code']}"
                    raise TopicError(f"cannot make topic {topic['name']}: {reason}")
            client.wait_for_topics([spec.name for spec in missing])
        except KafkaError as error:
            raise TopicError(f"cannot make topics: {error}") from error
        _check(settings.kafka, _partitions(client, wanted))
        return [spec.name for spec in missing]


def describe(settings: Settings) -> list[TopicRow]:
    """Every topic as it is, in the order of the settings.

    Raises:
        BrokerUnreachable: no broker answers.
    """
    wanted = specs(settings.kafka)
    with admin(settings.kafka) as client:
        found = {topic["name"]: topic for topic in _describe(client, wanted)}
        retention = _retention_hours(client, list(found))
    rows = []
    for spec in wanted:
        partitions = found[spec.name]["partitions"] if spec.name in found else []
        replicas = len(partitions[0]["replica_nodes"]) if partitions else 0
        rows.append(TopicRow(spec.name, len(partitions), replicas, retention.get(spec.name, 0)))
    return rows


def require(broker: Broker, *names: str) -> None:
    """See that topics are there, before something is sent to them or read.

    Raises:
        BrokerUnreachable: no broker answers.
        TopicError: one is missing.
    """
    with admin(broker) as client:
        found = {topic["name"] for topic in client.describe_topics(list(names)) if _usable(topic)}
    if missing := [name for name in names if name not in found]:
        raise TopicError(f"topic {missing[0]} does not exist: barograph topics create")


def _usable(topic: dict[str, Any]) -> bool:
    return topic["error_code"] == 0 and bool(topic["partitions"])


def _describe(client: Any, wanted: list[Spec]) -> list[dict[str, Any]]:
    topics = client.describe_topics([spec.name for spec in wanted])
    return [topic for topic in topics if _usable(topic)]


def _partitions(client: Any, wanted: list[Spec]) -> dict[str, int]:
    return {topic["name"]: len(topic["partitions"]) for topic in _describe(client, wanted)}


def _check(kafka: KafkaSettings, existing: dict[str, int]) -> None:
    for name in (kafka.topics.documents, kafka.topics.slices):
        if existing.get(name, kafka.partitions) != kafka.partitions:
            raise TopicError(
                f"topic {name} has {existing[name]} partitions and the settings say "
                f"{kafka.partitions}: set kafka.partitions to {existing[name]}, or name new topics "
                "under kafka.topics"
            )


def _retention_hours(client: Any, names: list[str]) -> dict[str, int]:
    """What the broker keeps, in whole hours; 0 is for ever, or that it does not say."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    configs = client.describe_configs(resources, config_filter="all").get("topic", {})
    hours = {}
    for name, entries in configs.items():
        milliseconds = int(entries.get("retention.ms", {}).get("value") or 0)
        hours[name] = max(0, milliseconds) // (1000 * HOUR)
    return hours
