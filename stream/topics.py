"""The Kafka topics: made by ``barograph topics create``, before any worker starts.

Those that keep the worker's tables are among them. Faust would make them as well, but of two
workers that start together the one that shares out the partitions may not know them yet: it leaves
them out, and what the tables hold is lost to whoever takes the partitions over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from alerts.settings import span
from stream.clients import Broker, admin
from stream.clients import BrokerUnreachable as BrokerUnreachable
from stream.settings import KafkaSettings, Settings, TopicRetention

UNKNOWN_TOPIC = 3
ALREADY_EXISTS = 36
MEBIBYTE = 2**20
HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS

TRANSITIONS_MS = 7 * DAY_MS
"""How long every transition of an alert is kept; of older ones the newest of each alert."""

USUAL = TopicRetention()

TABLE_CONFIGS = {
    # What is deleted from a table, or replaced, is gone from its topic within days: without these
    # it stands there until so much is new that Kafka finds cleaning worth it.
    "segment.ms": str(DAY_MS),
    "max.compaction.lag.ms": str(DAY_MS),
}


class TopicError(Exception):
    """A topic cannot be made, or is not what the settings say; the message says what to do."""


@dataclass(frozen=True)
class Spec:
    """A topic as the settings want it."""

    name: str
    partitions: int
    retention: timedelta | None
    """how long messages are kept; None is for ever, the newest of each key alone"""
    compacted: bool = False
    """whether in the end the newest message of each key is kept alone"""

    @property
    def retention_hours(self) -> int:
        """How long messages are kept, in whole hours; 0 is for ever."""
        return 0 if self.retention is None else self.retention // timedelta(hours=1)

    @property
    def configs(self) -> dict[str, str]:
        """Kafka's settings of the topic."""
        if self.retention is None:
            return {"cleanup.policy": "compact", **TABLE_CONFIGS}
        kept = self.retention // timedelta(milliseconds=1)
        configs = {
            "cleanup.policy": "compact,delete" if self.compacted else "delete",
            "retention.ms": str(kept),
            # Kafka drops whole segments: a week's would keep everything for up to a week longer.
            "segment.ms": str(min(DAY_MS, kept)),
            # The longest document, escaped, with its scores.
            "max.message.bytes": str(4 * MEBIBYTE),
        }
        if self.compacted:
            whole = min(TRANSITIONS_MS, kept)
            configs["min.compaction.lag.ms"] = str(whole)
            configs["max.compaction.lag.ms"] = str(whole + DAY_MS)
        return configs


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


def specs(kafka: KafkaSettings, keep: TopicRetention = USUAL) -> list[Spec]:
    """What the settings ask for.

    Only dead letters have a single partition: they are few, and their order is worth more. Only
    alerts are compacted: an alert is put there again when something in it is to be forgotten.
    """
    topics, many = kafka.topics, kafka.partitions
    return [
        Spec(topics.documents, many, span(keep.documents)),
        Spec(topics.scored, many, span(keep.scored)),
        Spec(topics.slices, many, span(keep.slices)),
        Spec(topics.windows, many, span(keep.windows)),
        Spec(topics.alerts, many, span(keep.alerts), compacted=True),
        Spec(topics.dead_letters, 1, span(keep.dead_letters)),
    ]


def tables(kafka: KafkaSettings) -> dict[str, str]:
    """The worker's tables, by what they hold."""
    return {name: f"{kafka.app_id}-{name}" for name in ("panes", "states")}


def changelogs(kafka: KafkaSettings) -> list[Spec]:
    """The topics that Faust keeps the worker's tables on; the names are its own."""
    return [
        Spec(f"{kafka.app_id}-{table}-changelog", kafka.partitions, None, compacted=True)
        for table in tables(kafka).values()
    ]


def _all(settings: Settings) -> list[Spec]:
    return [*specs(settings.kafka, settings.retention.topics), *changelogs(settings.kafka)]


def create(settings: Settings) -> list[str]:
    """Make the topics that are missing, and wait until they can be used.

    Returns:
        Their names; an empty list when all were there.

    Raises:
        BrokerUnreachable: no broker answers.
        TopicError: the broker refuses one, or documents or slices exist with another number of
            partitions than the settings say: an entity would move to another worker's table.
    """
    wanted = _all(settings)
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


def adjust(settings: Settings) -> list[str]:
    """Give the topics that exist the retention of the settings, those of the tables included.

    What the broker does not tell of a topic is left alone.

    Returns:
        A line for each change.

    Raises:
        BrokerUnreachable: no broker answers.
        TopicError: the broker refuses.
    """
    wanted = {spec.name: spec.configs for spec in _all(settings)}
    with admin(settings.kafka) as client:
        found = [topic["name"] for topic in client.describe_topics(list(wanted)) if _usable(topic)]
        changes: dict[str, dict[str, tuple[str, str]]] = {}
        for name, present in _configs(client, found).items():
            differs = {
                key: (known, value)
                for key, value in wanted[name].items()
                if (known := present.get(key)) is not None and known != value
            }
            if differs:
                changes[name] = differs
        if not changes:
            return []
        resources = [
            ConfigResource(
                ConfigResourceType.TOPIC, name, {key: new for key, (_, new) in differs.items()}
            )
            for name, differs in changes.items()
        ]
        try:
            answers = client.alter_configs(resources).get("topic", {})
        except (KafkaError, ValueError) as error:
            raise TopicError(f"cannot change topics: {error}") from error
    for name in changes:
        if (answer := answers.get(name)) != "OK":
            raise TopicError(
                f"cannot change the retention of {name}: {answer}; have it changed there, or set "
                "retention.topics to what it is"
            )
    return [
        f"{name}: {key} {old} -> {new}"
        for name, differs in changes.items()
        for key, (old, new) in differs.items()
    ]


def describe(settings: Settings) -> list[TopicRow]:
    """Every topic as it is, in the order of the settings.

    Raises:
        BrokerUnreachable: no broker answers.
    """
    wanted = specs(settings.kafka, settings.retention.topics)
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


def _configs(client: Any, names: list[str]) -> dict[str, dict[str, str]]:
    """What the broker tells of the settings of topics."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    told = client.describe_configs(resources, config_filter="all").get("topic", {})
    return {
        name: {
            key: str(entry["value"])
            for key, entry in entries.items()
            if entry.get("value") is not None
        }
        for name, entries in told.items()
    }


def _retention_hours(client: Any, names: list[str]) -> dict[str, int]:
    """What the broker keeps, in whole hours; 0 is for ever, or that it does not say."""
    return {
        name: max(int(configs.get("retention.ms") or 0), 0) // HOUR_MS
        for name, configs in _configs(client, names).items()
    }
