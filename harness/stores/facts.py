"""What was found out about files, kept between runs: an SQLite file in the user's cache directory.

Nothing is lost with it: each fact stands beside the state of the file that it is about, and counts only as long as the
file has that state. A file that cannot be read is begun anew, one that cannot be written is done without, and another
process that is writing at the same time is left alone.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeAlias, TypeVar

from harness.stores.files import State

T = TypeVar("T")

Fact: TypeAlias = tuple[str | bytes | None, ...]

_BUSY_SECONDS = 2.0
_UNUSED_SECONDS = 90 * 24 * 3600.0
"""After how long without use the facts about a directory are taken for those of one that is gone."""


class Facts:
    """Facts about the files of one directory, each under the file's name: the values of ``columns``."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._columns = path, tuple(columns)

    def load(self, columns: Sequence[str] = ()) -> dict[str, tuple[State, Fact]]:
        """All that is known, or the values of some columns; empty when nothing is, or nothing can be read."""
        wanted = ", ".join(columns or self._columns)

        def read(database: sqlite3.Connection) -> dict[str, tuple[State, Fact]]:
            rows = database.execute(f"SELECT name, mtime, size, inode, {wanted} FROM facts")  # noqa: S608 - our names
            return {row[0]: (row[1:4], row[4:]) for row in rows}

        if not self._path.exists():
            return {}
        with suppress(OSError):
            os.utime(self._path)
        return self._use(read) or {}

    def update(self, known: Mapping[str, tuple[State, Fact]], gone: Iterable[str] = ()) -> None:
        """Add facts, in the place of those under the same names, and drop those of files that are gone."""
        marks = ", ".join("?" * (4 + len(self._columns)))

        def write(database: sqlite3.Connection) -> None:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("DELETE FROM facts WHERE name = ?", ((name,) for name in gone))
            rows = ((name, *state, *fact) for name, (state, fact) in known.items())
            database.executemany(f"INSERT OR REPLACE INTO facts VALUES ({marks})", rows)  # noqa: S608 - marks alone
            database.execute("COMMIT")

        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                _drop_unused(self._path.parent)
        self._use(write)

    def _use(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do something with the database; None when it cannot be done."""
        # Values come back as they went in: a fingerprint may look like a number.
        columns = ", ".join(f"{column} BLOB" for column in self._columns)
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS facts"
                    f" (name TEXT PRIMARY KEY, mtime INTEGER, size INTEGER, inode INTEGER, {columns})"
                )
                return action(database)
        except (sqlite3.OperationalError, OSError, UnicodeEncodeError):
            return None  # Locked, full, not to be written: the next time may be better.
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            return None


def facts_file(cache: Path, what: str, *about: str) -> Path:
    """Where the facts of one kind go that are about one thing: a directory's real path and what they depend on."""
    digest = hashlib.sha256("\0".join(about).encode()).hexdigest()
    return cache / what / f"{digest[:32]}.sqlite"


def _drop_unused(folder: Path) -> None:
    for path in folder.glob("*.sqlite"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _UNUSED_SECONDS:
                path.unlink()
