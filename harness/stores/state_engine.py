"""Databases that run pieces of work, each a plain function of a connection, and each one transaction.

SQLite blocks whoever asks it. So its transactions run in threads, each in one visit, however many statements it has.
PostgreSQL is asked over the network, and awaited.
"""

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from harness.stores.state_address import Reach

T = TypeVar("T")
Work: TypeAlias = Callable[[Connection], T]

PATIENCE = 60.0
"""Seconds that one process waits for another to let go of a file."""

CONNECTIONS = 10
"""How many connections one process has to its database at most. Who waits for one waits outside of the pool."""

_PAUSE = 0.02
"""Seconds between two attempts to switch a file's journal."""

_OPTIONS: dict[str, Any] = {
    "json_serializer": partial(json.dumps, separators=(",", ":")),
    # What is kept is nobody's business who reads a log.
    "hide_parameters": True,
}
_POOL: dict[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": PATIENCE}


class Database(Protocol):
    """Runs transactions; nothing is connected before the first. Raises what SQLAlchemy and the driver raise."""

    async def open(self, prepare: Work[None]) -> None:
        """Run the first transaction, and be ready for others."""
        ...

    async def run(self, work: Work[T], *, writes: bool) -> T:
        """What ``work`` returns, and all that it did; when it raises, nothing. What only reads sees one moment."""
        ...

    async def close(self) -> None: ...


def open_database(url: URL, reach: Reach) -> Database:
    """A database. Raises what SQLAlchemy raises for one that it does not know, and ImportError without its driver."""
    return Server(url) if reach is Reach.SERVER else Sqlite(url, reach)


class Server:
    """A database server."""

    def __init__(self, url: URL) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        # A connection that the server has closed since (it was restarted) is replaced, not handed out.
        self._engine = create_async_engine(_for_driver(url), pool_pre_ping=True, **_POOL, **_OPTIONS)
        # A server shows each statement the state of its own moment, unless it is told to show that of the first.
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")

    async def open(self, prepare: Work[None]) -> None:
        await self.run(prepare, writes=True)

    async def run(self, work: Work[T], *, writes: bool) -> T:
        async with (self._engine if writes else self._reading).begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        await self._engine.dispose()


def _for_driver(url: URL) -> URL:
    """What PostgreSQL's own clients call ``sslmode`` is ``ssl`` to asyncpg."""
    if url.get_driver_name() != "asyncpg" or "sslmode" not in url.query:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})


class Sqlite:
    """SQLite, in a file or in memory. A write asks for the file's lock at its beginning, and never has to upgrade."""

    def __init__(self, url: URL, reach: Reach) -> None:
        # isolation_level None: the sqlite3 module begins no transactions of its own.
        arguments = {"timeout": PATIENCE, "isolation_level": None, "check_same_thread": False}
        pool = {"poolclass": StaticPool} if reach is Reach.MEMORY else _POOL
        engine = create_engine(url, connect_args=arguments, **pool, **_OPTIONS)
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        self._outside = engine.execution_options(begin="")
        self._reading = engine.execution_options(begin="BEGIN")
        self._writing = engine.execution_options(begin="BEGIN IMMEDIATE")
        self._threads = ThreadPoolExecutor(CONNECTIONS, "harness-state")
        self._is_file = reach is Reach.FILE

    async def open(self, prepare: Work[None]) -> None:
        await self.run(prepare, writes=True)
        if self._is_file:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._enable_log)

    async def run(self, work: Work[T], *, writes: bool) -> T:
        engine = self._writing if writes else self._reading
        return await asyncio.get_running_loop().run_in_executor(self._threads, _transaction, engine, work)

    def _enable_log(self) -> None:
        """Let readers of a file go on while another writes it. The file remembers.

        SQLite does not always wait for its lock here, so that this does.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with self._outside.connect() as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._outside.dispose)
        self._threads.shutdown(wait=False)


def _transaction(engine: Engine, work: Work[T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _set_up(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    # With a write-ahead log this can lose the last transactions to a power cut, and nothing to a crash of ours.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options()["begin"]
    if statement:
        connection.exec_driver_sql(statement)
