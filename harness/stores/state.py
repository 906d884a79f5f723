"""Conversations, responses, chat completions and counters in SQL: SQLite in memory or in a file, or PostgreSQL."""

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import URL, ColumnElement, Connection, and_, delete, insert, select, text, update

from harness.api.listing import Listed, ListQuery
from harness.errors import HarnessError
from harness.stores.protocol import Object
from harness.stores.state_address import Reach, reach_of, state_url, url_of
from harness.stores.state_engine import Database, open_database
from harness.stores.state_items import append, find_conversation
from harness.stores.state_pages import page
from harness.stores.state_prompts import PromptsState
from harness.stores.state_refusal import refusal
from harness.stores.state_responses import ResponsesState
from harness.stores.state_schema import completions, conversations, prepare
from harness.stores.state_schema import items as kept_items
from harness.stores.state_transactions import deletes

__all__ = ["SqlState", "open_state", "state_url"]

_COUNT = text(
    "INSERT INTO harness_counters (scope, number) VALUES (:scope, 1) "
    "ON CONFLICT (scope) DO UPDATE SET number = harness_counters.number + 1 RETURNING number"
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


async def _prepared(place: URL, reach: Reach) -> Database:
    database = open_database(place, reach)
    try:
        await database.open(prepare)
    except BaseException:
        await database.close()
        raise
    return database


class SqlState(PromptsState, ResponsesState):
    """A StateStore over a SQL database. ``open_state`` makes one; ``close`` it in the same event loop.

    A method that is cancelled half-way still runs to its end in the background. Raises InvalidRequest for an item whose
    id its conversation has already.
    """

    async def count(self, scope: str) -> int:
        # A scope may hold what no database takes as text (NUL, bytes of a header that are not UTF-8).
        key = scope.encode("unicode_escape").decode("ascii")

        def work(connection: Connection) -> int:
            return int(connection.execute(_COUNT, {"scope": key}).scalar_one())

        return await self._write(work)

    async def create_conversation(self, conversation: Object, items: Sequence[Object]) -> None:
        def work(connection: Connection) -> None:
            connection.execute(insert(conversations), {"id": conversation["id"], "data": conversation})
            append(connection, conversation["id"], items)

        await self._write(work)

    async def conversation(self, conversation_id: str) -> Object | None:
        return await self._read(lambda connection: find_conversation(connection, conversation_id))

    async def update_conversation(self, conversation_id: str, metadata: dict[str, str]) -> Object | None:
        def work(connection: Connection) -> Object | None:
            found = find_conversation(connection, conversation_id, lock=True)
            if found is None:
                return None
            updated = {**found, "metadata": metadata}
            change = update(conversations).where(conversations.c.id == conversation_id)
            connection.execute(change, {"data": updated})
            return updated

        return await self._write(work)

    async def delete_conversation(self, conversation_id: str) -> bool:
        # Its items go with it: ON DELETE CASCADE.
        statement = delete(conversations).where(conversations.c.id == conversation_id)
        return await self._write(lambda connection: deletes(connection, statement))

    async def add_items(self, conversation_id: str, items: Sequence[Object]) -> bool:
        return await self._write(lambda connection: append(connection, conversation_id, items))

    async def items(self, conversation_id: str) -> list[Object] | None:
        def work(connection: Connection) -> list[Object] | None:
            if find_conversation(connection, conversation_id) is None:
                return None
            wanted = select(kept_items.c.data).where(kept_items.c.conversation_id == conversation_id)
            return list(connection.scalars(wanted.order_by(kept_items.c.position)))

        return await self._read(work)

    async def item_page(self, conversation_id: str, query: ListQuery) -> Listed | None:
        def work(connection: Connection) -> Listed | None:
            if find_conversation(connection, conversation_id) is None:
                return None
            return page(connection, kept_items, query, within=kept_items.c.conversation_id == conversation_id)

        return await self._read(work)

    async def item(self, conversation_id: str, item_id: str) -> Object | None:
        wanted = select(kept_items.c.data).where(_is_item(conversation_id, item_id))
        return await self._read(lambda connection: connection.scalar(wanted))

    async def items_anywhere(self, ids: Collection[str]) -> dict[str, Object]:
        if not ids:
            return {}
        wanted = select(kept_items.c.id, kept_items.c.data).where(kept_items.c.id.in_(ids))

        def work(connection: Connection) -> dict[str, Object]:
            # Of copies the first counts: it is what they are copies of.
            return {row.id: row.data for row in connection.execute(wanted.order_by(kept_items.c.position.desc()))}

        return await self._read(work)

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        statement = delete(kept_items).where(_is_item(conversation_id, item_id))
        return await self._write(lambda connection: deletes(connection, statement))

    async def save_completion(self, completion: Object, messages: Sequence[Object]) -> None:
        def work(connection: Connection) -> None:
            connection.execute(delete(completions).where(completions.c.id == completion["id"]))
            row = {"id": completion["id"], "data": completion, "messages": list(messages)}
            connection.execute(insert(completions), row)

        await self._write(work)

    async def completions(self, query: ListQuery, wanted: Callable[[Object], bool]) -> Listed:
        return await self._read(lambda connection: page(connection, completions, query, wanted=wanted))

    async def completion(self, completion_id: str) -> Object | None:
        wanted = select(completions.c.data).where(completions.c.id == completion_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def completion_messages(self, completion_id: str) -> list[Object] | None:
        wanted = select(completions.c.messages).where(completions.c.id == completion_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def update_completion(self, completion_id: str, metadata: dict[str, str]) -> Object | None:
        is_it = completions.c.id == completion_id

        def work(connection: Connection) -> Object | None:
            found: Object | None = connection.scalar(select(completions.c.data).where(is_it).with_for_update())
            if found is None:
                return None
            updated = {**found, "metadata": metadata}
            connection.execute(update(completions).where(is_it), {"data": updated})
            return updated

        return await self._write(work)

    async def delete_completion(self, completion_id: str) -> bool:
        statement = delete(completions).where(completions.c.id == completion_id)
        return await self._write(lambda connection: deletes(connection, statement))


def _is_item(conversation_id: str, item_id: str) -> ColumnElement[bool]:
    return and_(kept_items.c.conversation_id == conversation_id, kept_items.c.id == item_id)
