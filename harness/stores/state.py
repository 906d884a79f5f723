"""Conversations, items and responses in SQL: SQLite in memory or in a file, or PostgreSQL.

SQLite lets one writer in at a time, and a connection has one transaction at a time. So transactions that write take
turns within a process, on a lock of their own; between processes SQLite's own lock and its busy timeout settle it,
since a write asks for the lock at its beginning (``BEGIN IMMEDIATE``) and never has to upgrade. In memory there is but
one connection, and reads take turns as well.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import URL, ColumnElement, Delete, and_, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from harness.errors import HarnessError, InvalidRequest
from harness.stores.protocol import Object
from harness.stores.state_engine import Reach, enable_wal, open_engine, reach_of, state_url, try_file, url_of
from harness.stores.state_refusal import refusal
from harness.stores.state_schema import completions, conversations, leases, prepare, responses
from harness.stores.state_schema import items as kept_items

__all__ = ["SqlState", "open_state", "state_url"]

T = TypeVar("T")
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]

_COUNT = text(
    "INSERT INTO harness_counters (scope, number) VALUES (:scope, 1) "
    "ON CONFLICT (scope) DO UPDATE SET number = harness_counters.number + 1 RETURNING number"
)

_LEASE = text(
    "INSERT INTO harness_leases (name, holder, until) VALUES (:name, :holder, :until) "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until "
    "WHERE harness_leases.until < :now OR harness_leases.holder = excluded.holder RETURNING holder"
)


async def open_state(url: str) -> "SqlState":
    """The state at a SQLAlchemy URL, its tables created where they are not there yet.

    Raises SettingsError when there is no database to be had, or one that a newer harness wrote.
    """
    place = url_of(url)
    reach = reach_of(place)
    try:
        return SqlState(await _prepared(place, reach), reach)
    except HarnessError:
        raise
    except Exception as error:  # each driver raises errors of its own
        raise refusal(place, reach, error) from error


async def _prepared(place: URL, reach: Reach) -> AsyncEngine:
    engine = open_engine(place, reach)
    if reach is Reach.FILE:
        await asyncio.to_thread(try_file, engine, place)
    try:
        async with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
            await connection.run_sync(prepare)
        if reach is Reach.FILE:
            await enable_wal(engine)
    except BaseException:
        await engine.dispose()
        raise
    return engine


class SqlState:
    """A StateStore over a SQL database. ``open_state`` makes one; ``close`` it in the same event loop.

    A method that is cancelled half-way still runs to its end in the background: a connection that is broken off could
    take the database in memory with it. Raises InvalidRequest for an item whose id its conversation has already.
    """

    def __init__(self, engine: AsyncEngine, reach: Reach) -> None:
        self._engine = engine
        # A server shows each statement the state of its own moment, unless it is told to show that of the first.
        moment: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if reach is Reach.SERVER else {}
        self._reading = engine.execution_options(begin="BEGIN", **moment)
        self._writing = engine.execution_options(begin="BEGIN IMMEDIATE")
        lock = asyncio.Lock()
        free = contextlib.nullcontext()
        self._write_turn = free if reach is Reach.SERVER else lock
        self._read_turn = lock if reach is Reach.MEMORY else free
        self._running: set[asyncio.Task[Any]] = set()

    async def count(self, scope: str) -> int:
        # A scope may hold what no database takes as text (NUL, bytes of a header that are not UTF-8).
        key = scope.encode("unicode_escape").decode("ascii")

        async def work(connection: AsyncConnection) -> int:
            return int((await connection.execute(_COUNT, {"scope": key})).scalar_one())

        return await self._write(work)

    async def create_conversation(self, conversation: Object, items: Sequence[Object]) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(conversations), {"id": conversation["id"], "data": conversation})
            await _append(connection, conversation["id"], items)

        await self._write(work)

    async def conversation(self, conversation_id: str) -> Object | None:
        return await self._read(lambda connection: _conversation(connection, conversation_id))

    async def update_conversation(self, conversation_id: str, metadata: dict[str, str]) -> Object | None:
        async def work(connection: AsyncConnection) -> Object | None:
            found = await _conversation(connection, conversation_id, lock=True)
            if found is None:
                return None
            updated = {**found, "metadata": metadata}
            change = update(conversations).where(conversations.c.id == conversation_id)
            await connection.execute(change, {"data": updated})
            return updated

        return await self._write(work)

    async def delete_conversation(self, conversation_id: str) -> bool:
        # Its items go with it: ON DELETE CASCADE.
        statement = delete(conversations).where(conversations.c.id == conversation_id)
        return await self._write(lambda connection: _deletes(connection, statement))

    async def add_items(self, conversation_id: str, items: Sequence[Object]) -> bool:
        return await self._write(lambda connection: _append(connection, conversation_id, items))

    async def items(self, conversation_id: str) -> list[Object] | None:
        async def work(connection: AsyncConnection) -> list[Object] | None:
            if await _conversation(connection, conversation_id) is None:
                return None
            wanted = select(kept_items.c.data).where(kept_items.c.conversation_id == conversation_id)
            return list(await connection.scalars(wanted.order_by(kept_items.c.position)))

        return await self._read(work)

    async def item(self, conversation_id: str, item_id: str) -> Object | None:
        wanted = select(kept_items.c.data).where(_is_item(conversation_id, item_id))
        return await self._read(lambda connection: connection.scalar(wanted))

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        statement = delete(kept_items).where(_is_item(conversation_id, item_id))
        return await self._write(lambda connection: _deletes(connection, statement))

    async def save_turn(
        self,
        response: Object,
        *,
        input_items: Sequence[Object],
        conversation_id: str | None,
        new_items: Sequence[Object],
        keep: bool,
    ) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            if conversation_id is not None and not await _append(connection, conversation_id, new_items):
                return False
            if keep:
                row = {"id": response["id"], "data": response, "input": list(input_items)}
                await connection.execute(insert(responses), row)
            return True

        return await self._write(work)

    async def response(self, response_id: str) -> Object | None:
        wanted = select(responses.c.data).where(responses.c.id == response_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def response_input(self, response_id: str) -> list[Object] | None:
        wanted = select(responses.c.input).where(responses.c.id == response_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def delete_response(self, response_id: str) -> bool:
        statement = delete(responses).where(responses.c.id == response_id)
        return await self._write(lambda connection: _deletes(connection, statement))

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        now = time.time()
        row = {"name": name, "holder": holder, "until": now + seconds, "now": now}

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(_LEASE, row)).first() is not None

        return await self._write(work)

    async def drop_lease(self, name: str, holder: str) -> None:
        statement = delete(leases).where(leases.c.name == name, leases.c.holder == holder)
        await self._write(lambda connection: _deletes(connection, statement))

    async def save_completion(self, completion: Object, messages: Sequence[Object]) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(completions).where(completions.c.id == completion["id"]))
            row = {"id": completion["id"], "data": completion, "messages": list(messages)}
            await connection.execute(insert(completions), row)

        await self._write(work)

    async def completions(self) -> list[Object]:
        async def work(connection: AsyncConnection) -> list[Object]:
            return list(await connection.scalars(select(completions.c.data).order_by(completions.c.position)))

        return await self._read(work)

    async def completion(self, completion_id: str) -> Object | None:
        wanted = select(completions.c.data).where(completions.c.id == completion_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def completion_messages(self, completion_id: str) -> list[Object] | None:
        wanted = select(completions.c.messages).where(completions.c.id == completion_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def update_completion(self, completion_id: str, metadata: dict[str, str]) -> Object | None:
        is_it = completions.c.id == completion_id

        async def work(connection: AsyncConnection) -> Object | None:
            found: Object | None = await connection.scalar(select(completions.c.data).where(is_it).with_for_update())
            if found is None:
                return None
            updated = {**found, "metadata": metadata}
            await connection.execute(update(completions).where(is_it), {"data": updated})
            return updated

        return await self._write(work)

    async def delete_completion(self, completion_id: str) -> bool:
        statement = delete(completions).where(completions.c.id == completion_id)
        return await self._write(lambda connection: _deletes(connection, statement))

    async def close(self) -> None:
        """Wait for what is under way, then let go of the database."""
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._engine.dispose()

    async def _read(self, work: Work[T]) -> T:
        """One transaction that only reads: all that it reads is of one moment."""
        return await self._transaction(self._reading, self._read_turn, work)

    async def _write(self, work: Work[T]) -> T:
        """One transaction: everything that ``work`` does, or, when it raises, nothing."""
        return await self._transaction(self._writing, self._write_turn, work)

    async def _transaction(
        self, engine: AsyncEngine, turn: contextlib.AbstractAsyncContextManager[None], work: Work[T]
    ) -> T:
        async def run() -> T:
            async with turn, engine.begin() as connection:
                return await work(connection)

        task = asyncio.create_task(run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


def _is_item(conversation_id: str, item_id: str) -> ColumnElement[bool]:
    return and_(kept_items.c.conversation_id == conversation_id, kept_items.c.id == item_id)


async def _conversation(connection: AsyncConnection, conversation_id: str, *, lock: bool = False) -> Object | None:
    wanted = select(conversations.c.data).where(conversations.c.id == conversation_id)
    found: Object | None = await connection.scalar(wanted.with_for_update() if lock else wanted)
    return found


async def _append(connection: AsyncConnection, conversation_id: str, new_items: Sequence[Object]) -> bool:
    """Append to a conversation, which is locked until the transaction ends: batches do not interleave."""
    if await _conversation(connection, conversation_id, lock=True) is None:
        return False
    if new_items:
        await _refuse_duplicates(connection, conversation_id, [item["id"] for item in new_items])
        rows = [{"conversation_id": conversation_id, "id": item["id"], "data": item} for item in new_items]
        await connection.execute(insert(kept_items), rows)
    return True


async def _refuse_duplicates(connection: AsyncConnection, conversation_id: str, ids: Sequence[str]) -> None:
    taken = select(kept_items.c.id).where(kept_items.c.conversation_id == conversation_id, kept_items.c.id.in_(ids))
    seen = set(await connection.scalars(taken))
    for item_id in ids:
        if item_id in seen:
            raise InvalidRequest(
                f"Duplicate item found with id '{item_id}'. Remove duplicate items from your input and try again.",
                code="invalid_value",
            )
        seen.add(item_id)


async def _deletes(connection: AsyncConnection, statement: Delete) -> bool:
    return (await connection.execute(statement)).rowcount > 0
