"""The AsyncAPI document of the topics, from the classes of the records and the settings.

``python -m stream.asyncapi > docs/asyncapi.yaml`` writes it, from a checkout: the examples are
those of docs/records.md. A test sees that it is up to date.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from alerts.records import Alert, Window
from stream.records import Document, ScoredDocument
from stream.settings import KafkaSettings
from stream.slices import Entry, Mark, Read
from stream.topics import Spec, specs

Json = dict[str, Any]

RECORDS = Path(__file__).parents[1] / "docs" / "records.md"
HEADER = "# Made by: python -m stream.asyncapi > docs/asyncapi.yaml\n"
SCHEMAS = "#/components/schemas/"
KAFKA_BINDING = "0.5.0"

DESCRIPTION = (
    "What Barograph reads from Kafka and writes to it. Everything is JSON in UTF-8; times are RFC "
    "3339 in UTC. Ignore keys that you do not know: newer versions may add some. Names of topics, "
    "partitions and retention are those of the default settings. docs/records.md tells the same in "
    "words."
)

TIME = "RFC 3339, UTC"
MONITORED = "class:SLUG, a topic of the model, or watch:ID, an entry of the watchlist"

MEANINGS = {
    "Document.text": "what is read, after the title",
    "Document.source": "who publishes it",
    "Document.id": "left out, it is derived: the same document gets the same one",
    "Document.title": "read before the text, and shown as evidence",
    "Document.published_at": "event time; left out, or too far ahead, the arrival counts instead",
    "Document.kind": "what sort of text it is",
    "Document.url": "where it is to be read",
    "Document.lang": "a BCP 47 tag; left out, the model says",
    "Document.author": "a handle, which is replaced by its keyed hash; hmac: and 16 hexadecimal "
    "digits are such a hash",
    "Document.weight": "in mean sentiment and evidence, 1 if left out; 0 takes it out of spikes",
    "Document.tags": "ids or tickers that the feed knows; they match the watchlist",
    "ScoredDocument.ingested_at": f"arrival on Kafka, {TIME}",
    "ScoredDocument.event_time": f"the time it counts at, {TIME}",
    "ScoredDocument.scored_at": TIME,
    "ScoredDocument.sentiment": "of the document",
    "ScoredDocument.topic": "the most probable topic of the model",
    "ScoredDocument.monitored": "the monitored topics it counts for",
    "ScoredDocument.story": "sketch of its words and numbers, the same for copies, or nearly",
    "ScoredDocument.model": "which model scored it",
    "SentimentScore.label": "the most probable",
    "SentimentScore.negative": "probability; the three sum to 1",
    "SentimentScore.neutral": "probability",
    "SentimentScore.positive": "probability",
    "TopicScore.label": "one of the model's topics",
    "TopicScore.probability": "of that topic",
    "Monitored.topic": MONITORED,
    "Monitored.sentiment": "towards it",
    "ModelName.name": "of the model",
    "ModelName.version": "of its weights",
    "Window.topic": MONITORED,
    "Window.start": f"aligned to UTC, {TIME}",
    "Window.end": "5 minutes, an hour or a day later",
    "Window.documents": "negative, neutral and positive together",
    "Window.stories": "distinct ones, negative and other; each counts where it was first told so"
    " in 25 hours",
    "Window.sources": "distinct sources; those of several windows do not add up",
    "Window.negative": "documents",
    "Window.neutral": "documents",
    "Window.positive": "documents",
    "Window.negative_stories": "distinct ones, each told by a text whose probability of negative"
    " is high enough (`worker.negative_from`), whatever its label",
    "Window.expected_negative_stories": "what the topic's past led to expect when the window began;"
    " null before the first hour was learned",
    "Window.revision": "documents counted so far; never falls",
    "Window.final": "nothing will change any more",
    "Alert.id": "the same in all transitions of an alert",
    "Alert.topic": MONITORED,
    "Alert.rule": "which rule fired",
    "Alert.severity": "of the transition",
    "Alert.state": "after the transition",
    "Alert.starts_at": f"start of the window that made it fire, {TIME}",
    "Alert.detected_at": f"end of that window, {TIME}",
    "Alert.ends_at": "null while it fires",
    "Alert.window": "of the transition",
    "Alert.baseline": "what was expected in it",
    "Alert.evidence": "up to 5 distinct stories, the weightiest first",
    "Alert.model": "which model scored the texts",
    "Alert.config_version": "changes with the detector's settings and the watchlist",
    "AlertWindow.start": TIME,
    "AlertWindow.end": TIME,
    "AlertWindow.documents": "all that count for the topic",
    "AlertWindow.stories": "distinct ones",
    "AlertWindow.negative_stories": "distinct negative ones",
    "AlertWindow.sources": "distinct sources of the negative stories",
    "AlertWindow.mean_sentiment": "mean of positive minus negative, -1 to 1",
    "Expectation.negative_stories": "mean",
    "Expectation.low": "lower end of the central 95 % interval",
    "Expectation.high": "upper end of it",
    "Expectation.hours_learned": "hours that the baseline has learned from",
    "Evidence.id": "of the document",
    "Evidence.url": "where it is to be read",
    "Evidence.source": "who published it",
    "Evidence.time": f"event time, {TIME}",
}
"""What fields mean that do not say it themselves."""


def document() -> Json:
    """The whole document."""
    kafka = KafkaSettings()
    channels = _channels(kafka)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Barograph",
            "version": version("barograph"),
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": kafka.bootstrap,
                "protocol": "kafka",
                "description": "kafka.bootstrap of the settings; TLS and SASL: kafka.security",
            }
        },
        "channels": channels,
        "operations": _operations(channels),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


CHANNELS = {
    "documents": ("What feeds put in.", ["Document"]),
    "scored": ("Each document with what was found, for anyone to use.", ["ScoredDocument"]),
    "slices": (
        "Internal, between the two halves of the worker; it may change in any version.",
        ["Slice", "Progress", "Tick", "Forget"],
    ),
    "windows": (
        "What a topic holds in aligned windows. A message replaces the one before of the same "
        "topic, start and end.",
        ["Window"],
    ),
    "alerts": (
        "Transitions: an alert begins to fire, gets worse, or is resolved. The newest message of "
        "an id is its present state.",
        ["Alert"],
    ),
    "dead_letters": ("Messages that were no documents.", ["DeadLetter"]),
}

OPERATIONS = {
    "feed": ("send", "documents", "Feeds, barograph send, and the desk's POST /documents."),
    "score": ("receive", "documents", "The worker scores what arrives."),
    "publishScored": ("send", "scored", "The worker, once for each document."),
    "publishSlices": ("send", "slices", "The worker's scorer, internal."),
    "aggregate": ("receive", "slices", "The worker's aggregator, internal."),
    "publishWindows": ("send", "windows", "The worker, whenever a window has changed."),
    "recordWindows": ("receive", "windows", "The recorder copies them to SQL."),
    "publishAlerts": ("send", "alerts", "The worker, at each transition."),
    "recordAlerts": ("receive", "alerts", "The recorder copies them to SQL, and may deliver them."),
    "putAside": ("send", "dead_letters", "The worker, of what it cannot read."),
}


def _channels(kafka: KafkaSettings) -> Json:
    by_name = {spec.name: spec for spec in specs(kafka)}
    made = {}
    for field, name in kafka.topics.model_dump().items():
        text, messages = CHANNELS[field]
        made[field] = {
            "address": name,
            "description": text,
            "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in messages},
            "bindings": {"kafka": _binding(by_name[name], kafka.replication_factor)},
        }
    return made


def _binding(spec: Spec, replicas: int) -> Json:
    configs = spec.configs
    return {
        "topic": spec.name,
        "partitions": spec.partitions,
        "replicas": replicas,
        "topicConfiguration": {
            "cleanup.policy": configs["cleanup.policy"].split(","),
            "retention.ms": int(configs["retention.ms"]),
            "max.message.bytes": int(configs["max.message.bytes"]),
        },
        "bindingVersion": KAFKA_BINDING,
    }


def _operations(channels: Json) -> Json:
    return {
        name: {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": text,
            "messages": [
                {"$ref": f"#/channels/{channel}/messages/{kind}"}
                for kind in channels[channel]["messages"]
            ],
        }
        for name, (action, channel, text) in OPERATIONS.items()
    }


def _messages() -> Json:
    examples = _examples()
    keys = {
        "Document": "any; barograph send takes the id",
        "ScoredDocument": "id of the document",
        "Slice": "the monitored topic",
        "Window": "the monitored topic",
        "Alert": "id of the alert",
    }
    made: Json = {}
    for kind, example in examples.items():
        made[kind] = {"name": kind, "contentType": "application/json"}
        if kind in keys:
            made[kind]["bindings"] = {"kafka": _key(keys[kind])}
        made[kind] |= {
            "payload": {"$ref": SCHEMAS + kind},
            "examples": [{"name": kind, "payload": example}],
        }
    made["DeadLetter"] = {
        "name": "DeadLetter",
        "summary": "The bytes and the key as they came; the headers say why and where from.",
        "contentType": "application/octet-stream",
        "headers": {"$ref": f"{SCHEMAS}DeadLetterHeaders"},
        "payload": {"description": "whatever it was"},
    }
    return made


def _key(text: str) -> Json:
    key = {"type": "string", "description": text}
    return {"key": key, "bindingVersion": KAFKA_BINDING}


def _examples() -> dict[str, Json]:
    """The examples of docs/records.md, by the names of their records."""
    found = re.findall(
        r"<!-- example: (\w+) -->\n+```json\n(.*?)```",
        RECORDS.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    return {name: json.loads(text) for name, text in found}


def _schemas() -> Json:
    records: list[tuple[type[BaseModel], Any]] = [
        (Document, "validation"),
        *((kind, "serialization") for kind in (ScoredDocument, Window, Alert)),
    ]
    _, made = models_json_schema(records, ref_template=SCHEMAS + "{model}")
    found: Json = made["$defs"]
    for name, schema in found.items():
        schema["description"] = schema["description"].replace("``", "").replace("\n", " ")
        for field, value in schema["properties"].items():
            value.pop("title", None)
            if text := _meaning(name, field, value):
                found[name]["properties"][field] = _described(value, text)
    # An id that is left out is derived: the class's default never gets as far as Kafka.
    for name in ("Document", "ScoredDocument"):
        del found[name]["properties"]["id"]["default"]
    return found | _slices() | {"DeadLetterHeaders": _letter_headers()}


def _meaning(name: str, field: str, value: Json) -> str:
    inherited = MEANINGS.get(f"Document.{field}", "") if name == "ScoredDocument" else ""
    return str(value.get("description") or MEANINGS.get(f"{name}.{field}") or inherited)


def _described(value: Json, text: str) -> Json:
    """The schema with words; beside a reference none may stand before JSON Schema 2019-09."""
    if "$ref" in value:
        return {"description": text, "allOf": [value]}
    return {"description": text, **value}


def _slices() -> Json:
    """The messages of the slices topic, which are tuples for the sake of their size."""
    entries = {kind.__name__: _tuple(kind) for kind in (Entry, Mark, Read)}
    text = {"type": "string"}
    return {
        **entries,
        "Slice": _object(
            "A batch's entries for one monitored topic, in the order of their offsets.",
            topic={"description": MONITORED, **text},
            entries={"type": "array", "items": {"$ref": f"{SCHEMAS}Entry"}},
            optional={
                "model": {
                    "description": "name and version of what scored them",
                    "type": "array",
                    "items": text,
                    "minItems": 2,
                    "maxItems": 2,
                }
            },
        ),
        "Progress": _object(
            "The end of a batch.",
            progress={
                "description": "by partition of the documents topic",
                "type": "object",
                "additionalProperties": {"$ref": f"{SCHEMAS}Mark"},
            },
            read={"type": "array", "items": {"$ref": f"{SCHEMAS}Read"}},
            sources={"type": "array", "items": text},
        ),
        "Tick": _object(
            "The wall clock.", tick={"type": "number", "description": "seconds since 1970"}
        ),
        "Forget": _object(
            "What no evidence may show any more.",
            forget={
                "description": "digests of ids and of authors",
                "type": "array",
                "items": text,
            },
        ),
    }


def _tuple(kind: Any) -> Json:
    """A named tuple: a JSON array, each place with its name."""
    made = TypeAdapter(kind).json_schema()
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "array",
        # As JSON Schema draft 7 writes it, which AsyncAPI is made for.
        "items": made["prefixItems"],
        "minItems": made["minItems"],
        "maxItems": made["maxItems"],
    }


def _object(description: str, *, optional: Json | None = None, **properties: Json) -> Json:
    return {
        "description": description,
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
    }


def _letter_headers() -> Json:
    def text(description: str, **more: Any) -> Json:
        return {"type": "string", "description": description, **more}

    return _object(
        "Why it is no document, and where it came from.",
        reason=text("in one line"),
        topic=text("of the message"),
        partition=text("of the message", pattern="^[0-9]+$"),
        offset=text("of the message", pattern="^[0-9]+$"),
    )


def text() -> str:
    """The document as YAML."""
    # Through JSON, so that what stands in two places is written out in both.
    plain = json.loads(json.dumps(document()))
    return HEADER + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


if __name__ == "__main__":
    sys.stdout.write(text())
