"""What the feeds remember: their cursors, and which items were published.

An SQLite file of the feed process's own; see decision 30.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from stream.feeds.base import Cursor

_TABLES = """
CREATE TABLE IF NOT EXISTS cursor (feed TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stopped (feed TEXT PRIMARY KEY, what TEXT NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seen (feed TEXT NOT NULL, item BLOB NOT NULL, PRIMARY KEY (feed, item))
  WITHOUT ROWID;
"""
VERSION = 1


class StateError(Exception):
    """The state cannot be used; the message says why."""


class State:
    """The state of one feed process; no second process can open it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            StateError: another process has it, it is no state of feeds, or it cannot be written.
        """
        self.path = path
        self._lock = _locked(path.with_name(path.name + ".lock"))
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            os.chmod(path, 0o600)
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise StateError(f"{path} is of version {version}; this program knows {VERSION}")
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            self._lock.close()
            raise StateError(f"cannot use the state of the feeds in {path}: {error}") from None
        except StateError:
            self._db.close()
            self._lock.close()
            raise

    def cursor(self, feed: str) -> Cursor:
        """Where the feed stands; empty when it was never read."""
        row = self._db.execute("SELECT value FROM cursor WHERE feed = ?", (feed,)).fetchone()
        found = json.loads(row[0]) if row else {}
        assert isinstance(found, dict)
        return found

    def known(self, feed: str, key: str) -> bool:
        """Whether an item of this key was published."""
        row = self._db.execute(
            "SELECT 1 FROM seen WHERE feed = ? AND item = ?", (feed, _hash(key))
        ).fetchone()
        return row is not None

    def keep(self, feed: str, cursor: Cursor, keys: Iterable[str] = ()) -> None:
        """Note what was acknowledged, all of it or nothing.

        Raises:
            StateError: it cannot be written; the disk is full, say.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO cursor VALUES (?, ?) "
                "ON CONFLICT (feed) DO UPDATE SET value = excluded.value",
                (feed, json.dumps(cursor)),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO seen VALUES (?, ?)", [(feed, _hash(key)) for key in keys]
            )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StateError(f"cannot write the state of the feeds: {error}") from None

    def stopped(self, feed: str, what: str) -> str | None:
        """Why the feed ended for good, if it did and is still of the same address."""
        row = self._db.execute(
            "SELECT why FROM stopped WHERE feed = ? AND what = ?", (feed, what)
        ).fetchone()
        return str(row[0]) if row else None

    def stop(self, feed: str, what: str, why: str) -> None:
        """Note that the feed has ended for good, as long as the file gives it this address."""
        self._db.execute("INSERT OR REPLACE INTO stopped VALUES (?, ?, ?)", (feed, what, why))

    def close(self) -> None:
        """Let another process have it."""
        self._db.close()
        self._lock.close()


def _hash(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _locked(path: Path) -> IO[bytes]:
    try:
        file = path.open("ab")
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StateError(
            f"another barograph feed run has {path.name.removesuffix('.lock')}; "
            "give this one a --state of its own"
        ) from None
    return file
