"""Transactions on an engine, each of them all of its work or nothing.

SQLite lets one writer in at a time, and a connection has one transaction at a time. So transactions that write take
turns within a process, on a lock of their own; between processes SQLite's own lock and its busy timeout settle it,
since a write asks for the lock at its beginning (``BEGIN IMMEDIATE``) and never has to upgrade. In memory there is but
one connection, and reads take turns as well.

Elsewhere a transaction waits for a connection before it asks the pool for one: in the order in which they came. The
pool's own queue lets newcomers pass, and under load some would wait until they are given up.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Delete
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from harness.errors import HarnessError
from harness.stores.state_engine import CONNECTIONS, Reach

T = TypeVar("T")
_Turn: TypeAlias = contextlib.AbstractAsyncContextManager[None]
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]


class Transactions:
    """Runs pieces of work, each as one transaction.

    One that is cancelled half-way still runs to its end in the background: a connection that is broken off could take
    the database in memory with it. After ``close`` nothing runs any more.
    """

    def __init__(self, engine: AsyncEngine, reach: Reach) -> None:
        self._engine = engine
        # A server shows each statement the state of its own moment, unless it is told to show that of the first.
        moment: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if reach is Reach.SERVER else {}
        self._reading = engine.execution_options(begin="BEGIN", **moment)
        self._writing = engine.execution_options(begin="BEGIN IMMEDIATE")
        self._write_turn, self._read_turn = _turns(reach)
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def close(self) -> None:
        """Wait for what is under way, then let go of the database."""
        self._closed = True
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._engine.dispose()

    async def _read(self, work: Work[T]) -> T:
        """One transaction that only reads: all that it reads is of one moment."""
        return await self._transaction(self._reading, self._read_turn, work)

    async def _write(self, work: Work[T]) -> T:
        """One transaction: everything that ``work`` does, or, when it raises, nothing."""
        return await self._transaction(self._writing, self._write_turn, work)

    async def _transaction(self, engine: AsyncEngine, turn: _Turn, work: Work[T]) -> T:
        if self._closed:
            # A connection that opened now would never be closed.
            raise HarnessError("The server is ending: its state is closed.")

        async def run() -> T:
            async with turn, engine.begin() as connection:
                return await work(connection)

        task = asyncio.create_task(run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


def _turns(reach: Reach) -> tuple[_Turn, _Turn]:
    """What a transaction that writes, and one that reads, waits for before it begins."""
    if reach is Reach.SERVER:
        connections = asyncio.Semaphore(CONNECTIONS)
        return connections, connections
    lock = asyncio.Lock()
    return lock, lock if reach is Reach.MEMORY else asyncio.Semaphore(CONNECTIONS - 1)


async def deletes(connection: AsyncConnection, statement: Delete) -> bool:
    """Whether there was something to delete."""
    return (await connection.execute(statement)).rowcount > 0
