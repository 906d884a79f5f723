"""Transactions of one process, in their turns.

SQLite lets one writer in at a time, and a connection has one transaction at a time. So transactions that write take
turns within a process, on a lock of their own; between processes SQLite's own lock and its busy timeout settle it,
since a write asks for the lock at its beginning (``BEGIN IMMEDIATE``) and never has to upgrade. In memory there is but
one connection, and reads take turns as well.

Elsewhere a transaction waits for a connection before it asks the pool for one: in the order in which they came. The
pool's own queue lets newcomers pass, and under load some would wait until they are given up.
"""

import asyncio
import contextlib
from typing import Any, TypeAlias

from sqlalchemy import Connection, Delete

from harness.errors import HarnessError
from harness.stores.state_address import Reach
from harness.stores.state_engine import CONNECTIONS, Database, T, Work

_Turn: TypeAlias = contextlib.AbstractAsyncContextManager[None]


class Transactions:
    """Runs pieces of work, each as one transaction.

    Whoever is cancelled while one runs leaves it to run to its end: half a transaction is never broken off. After
    ``close`` nothing runs any more.
    """

    def __init__(self, database: Database, reach: Reach) -> None:
        self._database = database
        self._write_turn, self._read_turn = _turns(reach)
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def close(self) -> None:
        """Wait for what is under way, then let go of the database."""
        self._closed = True
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._database.close()

    async def _read(self, work: Work[T]) -> T:
        """One transaction that only reads: all that it reads is of one moment."""
        return await self._transaction(work, self._read_turn, writes=False)

    async def _write(self, work: Work[T]) -> T:
        """One transaction: everything that ``work`` does, or, when it raises, nothing."""
        return await self._transaction(work, self._write_turn, writes=True)

    async def _transaction(self, work: Work[T], turn: _Turn, *, writes: bool) -> T:
        if self._closed:
            # A connection that opened now would never be closed.
            raise HarnessError("The server is ending: its state is closed.")

        async def run() -> T:
            async with turn:
                return await self._database.run(work, writes=writes)

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


def deletes(connection: Connection, statement: Delete) -> bool:
    """Whether there was something to delete."""
    return connection.execute(statement).rowcount > 0
