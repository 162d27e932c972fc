"""Brings the database to the tables that this version of the code expects."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from alerts.store import open_engine

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x6261726F
"""Key of PostgreSQL's advisory lock ("baro"): processes that start together upgrade one by one."""


class SchemaError(Exception):
    """The database cannot be used by this version; the message says why and what to do."""


def upgrade(database: Engine | str) -> None:
    """Apply the missing migrations, all in one transaction; with none missing change nothing.

    Args:
        database: an engine, or an SQLAlchemy URL.

    Raises:
        SchemaError: a newer version of Barograph has upgraded the database already.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    if isinstance(database, str):
        engine = open_engine(database)
        try:
            upgrade(engine)
        finally:
            engine.dispose()
        return
    config = _config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with database.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        present = MigrationContext.configure(connection).get_current_revision()
        if present is not None and present not in known:
            raise SchemaError(
                f"the database is at schema {present}, which this version of Barograph does not "
                "know: a newer version has upgraded it; start that version, or restore a backup"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require(engine: Engine) -> None:
    """See that the database has the tables of this version; changes nothing.

    Raises:
        SchemaError: it has those of another one, or none.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    if present != head:
        raise SchemaError(
            f"the database {'has no tables' if present is None else f'is at schema {present}'}, "
            f"and this version of Barograph works with {head}: barograph db upgrade"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
