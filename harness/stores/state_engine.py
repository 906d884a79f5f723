"""From a path or URL to a database engine whose transactions begin as the state needs them to."""

import asyncio
import contextlib
import enum
import json
import re
import sqlite3
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from harness.errors import SettingsError

PATIENCE = 60.0
"""Seconds that one process waits for another to let go of a file."""

CONNECTIONS = 10
"""How many connections one process has to its database at most. Who waits for one waits outside of the pool."""

_PAUSE = 0.02
"""Seconds between two attempts to switch a file's journal."""

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}


class Reach(enum.Enum):
    """Who else may be at the database: no other connection, other processes of this machine, anyone."""

    MEMORY = "memory"
    FILE = "file"
    SERVER = "server"


def state_url(path: str | None) -> str:
    """The SQLAlchemy URL of a state: in memory for None, else that of a file; a URL as it is, but for its driver."""
    if path is None:
        return "sqlite+aiosqlite://"
    name, separator, rest = path.partition("://")
    if separator:
        return f"{_DRIVERS.get(name, name)}://{rest}"
    return URL.create("sqlite+aiosqlite", database=path).render_as_string(hide_password=False)


def url_of(url: str) -> URL:
    """A URL in parts. Raises SettingsError when it is none."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            "The place of the state is not a database URL.",
            hint="Give the path of a file, or a URL like postgresql://user:password@host:5432/name.",
        ) from error


def shown(url: URL) -> str:
    """A URL as it may be shown: without its password, wherever that stands."""
    return re.sub(r"(?<=password=)[^&]*", "***", url.render_as_string())


def reach_of(url: URL) -> Reach:
    if url.get_backend_name() != "sqlite":
        return Reach.SERVER
    in_memory = url.database in (None, "", ":memory:", "file::memory:") or url.query.get("mode") == "memory"
    return Reach.MEMORY if in_memory else Reach.FILE


def open_engine(url: URL, reach: Reach) -> AsyncEngine:
    """An engine; nothing is connected yet.

    On SQLite a transaction begins with the statement that the execution option ``begin`` names. Raises what SQLAlchemy
    raises for a database that it does not know, and ImportError when the database's driver is not installed.
    """
    write_json = partial(json.dumps, separators=(",", ":"))
    # What is kept is nobody's business who reads a log.
    options: dict[str, Any] = {"json_serializer": write_json, "hide_parameters": True}
    pool: dict[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": PATIENCE}
    if reach is Reach.SERVER:
        # A connection that the server has closed since (it was restarted) is replaced, not handed out.
        return create_async_engine(_for_driver(url), pool_pre_ping=True, **pool, **options)
    # isolation_level None: the sqlite3 module begins no transactions of its own.
    connect_args = {"timeout": PATIENCE, "isolation_level": None}
    pool = {"poolclass": StaticPool} if reach is Reach.MEMORY else pool
    engine = create_async_engine(url, connect_args=connect_args, **pool, **options)
    event.listen(engine.sync_engine, "connect", _set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _for_driver(url: URL) -> URL:
    """What PostgreSQL's own clients call ``sslmode`` is ``ssl`` to asyncpg."""
    if url.get_driver_name() != "asyncpg" or "sslmode" not in url.query:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})


def try_file(engine: AsyncEngine, url: URL) -> None:
    """Open a file, read in it, close it; blocks. Raises sqlite3.Error when it cannot be opened or is no database.

    Where that fails in aiosqlite, its thread reports to an event loop that may be closed by then, and a connection
    stays open.
    """
    arguments, options = engine.dialect.create_connect_args(url)
    with contextlib.closing(sqlite3.connect(arguments[0], **{"timeout": PATIENCE, **options})) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master")


async def enable_wal(engine: AsyncEngine) -> None:
    """Let readers of a file go on while another writes it. The file remembers.

    SQLite does not always wait for its lock here, so that this does.
    """
    outside = engine.execution_options(begin="")
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            async with outside.connect() as connection:
                await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            if "locked" not in str(error) or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return


def _set_up(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    # With a write-ahead log this can lose the last transactions to a power cut, and nothing to a crash of ours.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get("begin", "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)
