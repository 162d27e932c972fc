"""The page of all settings, from the settings themselves.

``python -m stream.reference > docs/configuration.md`` writes it; a test sees that it is up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from alerts.settings import WebhookTarget
from stream.settings import Settings

INTRODUCTION = """\
# Settings

<!-- Made by: python -m stream.reference > docs/configuration.md -->

Settings come from one YAML file and from the environment. Name the file with `--config FILE` or
with `BAROGRAPH_CONFIG`. All of it may be left out: every setting but those of a webhook target has
a default. Where a setting is given more than once, an option of the command wins over the
environment, and that over the file. An unknown key in the file is an error, and so is a value that
does not fit: the command then says in one line which, and ends with status 2.

```yaml
kafka:
  bootstrap: kafka-1:9092,kafka-2:9092
  replication_factor: 3
watchlist: watchlist.yaml
database_url: postgresql://barograph@db/barograph
detector:
  false_alarms_per_topic_month: 0.2
```

The variable of a setting is `BAROGRAPH_` and its name in capitals, with two underscores where the
name has a dot: `kafka.bootstrap` is `BAROGRAPH_KAFKA__BOOTSTRAP`. A list is given as JSON, and
replaces the whole list of the file. Secrets are marked; keep them in the environment, or in a file
that only the processes can read.
"""

TITLES = {
    "": "General",
    "kafka": "Kafka",
    "kafka.topics": "Names of the topics",
    "kafka.security": "Encryption and signing in to Kafka",
    "worker": "Worker",
    "detector": "Detector",
    "delivery": "Delivery",
    "delivery.targets": "A webhook target",
    "http": "HTTP",
    "retention.topics": "How long topics are kept",
    "retention.tables": "How long tables are kept",
}

TARGETS = """\
`delivery.targets` is a list, each entry of which has these keys. `name` and `url` are required, and
so is `secret`, but for chats. Make one with `echo "whsec_$(openssl rand -base64 32)"`. A private or
loopback address is refused unless `internal` is true. A target that has answered 410 gets nothing
more until its `url` changes, or `barograph deliveries retry --enable` says that it is back.
"""


TOPICS = """\
A time is a number of days or hours: `30d`, `12h`. `barograph topics create` and `barograph up` give
these to the topics they make, and change topics that have others. Kafka drops what is older within
a day.
"""

TABLES = """\
The recorder deletes what is older every hour, and `barograph db prune` does it at once. `null`
keeps it for ever. The audit table is always kept whole.
"""

INTRODUCTIONS = {
    "delivery.targets": TARGETS,
    "retention.topics": TOPICS,
    "retention.tables": TABLES,
}


class Setting(NamedTuple):
    """One line of the page."""

    section: str
    name: str
    kind: str
    default: str
    meaning: str


def settings() -> Iterator[Setting]:
    """Every setting, in the order of the classes, those of a section together."""
    yield from _of(Settings, "")
    yield from _of(WebhookTarget, "delivery.targets")


def _of(section: type[BaseModel], path: str) -> Iterator[Setting]:
    nested = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            nested.append((name, field.annotation))
        else:
            yield Setting(path, name, _kind(field), _default(field), field.description or "")
    for name, part in nested:
        yield from _of(part, f"{path}.{name}" if path else name)


def _kind(field: FieldInfo) -> str:
    """The type in words, with its bounds."""
    words = _type(field.annotation)
    bounds = []
    for rule in field.metadata:
        for name, sign in (("gt", "over"), ("ge", "from"), ("lt", "under"), ("le", "to")):
            if (bound := getattr(rule, name, None)) is not None:
                bounds.append(f"{sign} {bound}")
    return f"{words}, {' '.join(bounds)}" if bounds else words


def _type(annotation: Any) -> str:
    names = {
        bool: "true or false",
        int: "integer",
        float: "number",
        str: "text",
        SecretStr: "secret",
    }
    if annotation in names:
        return names[annotation]
    if get_origin(annotation) is dict:
        return f"mapping of {_type(get_args(annotation)[1])}"
    parts = [part for part in get_args(annotation) if part not in (type(None), ...)]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if get_origin(annotation) is tuple:
        return "list" if parts == [WebhookTarget] else f"list of {_type(parts[0])}"
    if parts:
        return _type(parts[0])
    return str(annotation.__name__).lower()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None:
        return "none"
    if value in ((), {}):
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def markdown() -> str:
    """The page, in Markdown."""
    sections: dict[str, list[Setting]] = {}
    for setting in settings():
        sections.setdefault(setting.section, []).append(setting)
    parts = [INTRODUCTION]
    for path, members in sections.items():
        parts.append(f"## {TITLES.get(path, path)}\n")
        if path in INTRODUCTIONS:
            parts.append(INTRODUCTIONS[path])
        lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
        for _, name, kind, default, meaning in members:
            full = name if path in ("", "delivery.targets") else f"{path}.{name}"
            lines.append(f"| `{full}` | {kind} | {default} | {meaning} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(markdown())
