"""The audit table as a whole: exported, checked, and told when settings have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TextIO

import sqlalchemy as sa
from pydantic import BaseModel, SecretStr
from sqlalchemy import Engine

from alerts.chain import Checked, canonical, check, line, moment
from alerts.schema import upgrade
from alerts.store import hold_audit, put_audit
from alerts.tables import audit

FETCH = 1000
"""Rows held in memory at a time: the table is as long as the years it was kept."""


def entries(engine: Engine) -> Iterator[dict[str, Any]]:
    """All audit rows, oldest first, as ``alerts.chain`` takes them.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    query = sa.select(audit).order_by(audit.c.id).limit(FETCH)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    while rows:
        for row in rows:
            yield {**row._mapping, "at": moment(row.at)}
        # Not one long read, which would hold up the clean-up of the whole database.
        with engine.connect() as connection:
            rows = connection.execute(query.where(audit.c.id > rows[-1].id)).all()


def export(engine: Engine, file: TextIO) -> Checked:
    """Write all rows as JSON lines, as they are; whether they are unbroken is said, not required.

    Returns:
        What ``alerts.chain.check`` says of them.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
        OSError: the file cannot be written.
    """

    def written() -> Iterator[dict[str, Any]]:
        for row in entries(engine):
            file.write(line(row) + "\n")
            yield row

    rows = written()
    checked = check(rows)
    for _ in rows:  # what comes after a break is exported too
        pass
    return checked


def check_lines(lines: Iterable[str], expect: str | None = None) -> Checked:
    """Check the lines of an export, whose last row must be the one with the expected hash."""
    return check((text.removesuffix("\n") for text in lines), expect, grows=False)


def prepare(engine: Engine, process: str, sections: dict[str, BaseModel], now: datetime) -> None:
    """What a process with a database does at its start: ``upgrade``, then ``note_settings``.

    Raises:
        alerts.schema.SchemaError: a newer version has upgraded the database.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    upgrade(engine)
    note_settings(engine, process, sections, now)


def note_settings(
    engine: Engine, process: str, sections: dict[str, BaseModel], now: datetime
) -> bool:
    """Audit the settings that a process starts with, if its last start was with others.

    The row tells their version, a hash of all, and which differ from the defaults. No value
    stands in it, and of secrets even the hash knows only whether they are set: a short one could
    be found by trying.

    Returns:
        Whether there is a new row.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    values = {name: _plain(section) for name, section in sections.items()}
    version = hashlib.sha256(canonical(values).encode()).hexdigest()[:12]
    own = sorted(
        f"{name}.{field}"
        for name, section in sections.items()
        for field in type(section).model_fields
        if getattr(section, field) != type(section).model_fields[field].default
    )
    with engine.begin() as connection:
        hold_audit(connection)
        last = connection.scalar(
            sa.select(audit.c.detail)
            .where(audit.c.subject == process, audit.c.kind == "settings.changed")
            .order_by(audit.c.id.desc())
            .limit(1)
        )
        if last is not None and last["version"] == version:
            return False
        put_audit(connection, now, "settings.changed", process, {"version": version, "set": own})
    return True


def _plain(value: Any) -> Any:
    """JSON values, secrets replaced by whether they are set."""
    if isinstance(value, SecretStr):
        return bool(value.get_secret_value())
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
