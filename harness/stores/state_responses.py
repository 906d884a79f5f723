"""Responses, and what was streamed of those in the background, in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from harness.api.background import is_running
from harness.api.errors import conversation_locked
from harness.errors import InvalidRequest
from harness.stores.protocol import Held, Object
from harness.stores.state_items import append
from harness.stores.state_leases import LeasesState, drop, is_leased
from harness.stores.state_schema import events as kept_events
from harness.stores.state_schema import response_items, responses
from harness.stores.state_transactions import deletes


class ResponsesState(LeasesState):
    """The part of a state that turns need."""

    async def save_turn(
        self,
        response: Object,
        *,
        input_items: Sequence[Object],
        conversation_id: str | None,
        new_items: Sequence[Object],
        keep: bool,
        lease: Held | None = None,
        events: Sequence[Object] | None = None,
    ) -> bool:
        def work(connection: Connection) -> bool:
            if lease is not None and not drop(connection, lease) and conversation_id is not None:
                raise conversation_locked()
            if conversation_id is not None and not append(connection, conversation_id, new_items):
                return False
            if events is not None:
                _end(connection, response, events)
            elif keep:
                row = {"id": response["id"], "data": response, "input": list(input_items)}
                connection.execute(insert(responses), row)
                _add_output(connection, response)
            return True

        return await self._write(work)

    async def begin_response(
        self, response: Object, *, input_items: Sequence[Object], events: Sequence[Object]
    ) -> None:
        row = {"id": response["id"], "data": response, "input": list(input_items)}

        def work(connection: Connection) -> None:
            connection.execute(insert(responses), row)
            _add_events(connection, response["id"], events)

        await self._write(work)

    async def add_events(self, response_id: str, events: Sequence[Object], shown: Object | None) -> bool:
        def work(connection: Connection) -> bool:
            if _running(connection, response_id) is None:
                return False
            _add_events(connection, response_id, events)
            if shown is not None:
                _change(connection, response_id, shown)
            return True

        return await self._write(work)

    async def events(self, response_id: str, after: int) -> list[Object]:
        wanted = select(kept_events.c.data).where(
            kept_events.c.response_id == response_id, kept_events.c.number > after
        )

        def work(connection: Connection) -> list[Object]:
            return list(connection.scalars(wanted.order_by(kept_events.c.number)))

        return await self._read(work)

    async def end_response(self, response_id: str, ending: Object, *, if_unheld: bool = False) -> Object | None:
        def work(connection: Connection) -> Object | None:
            found = _locked(connection, response_id)
            if not is_running(found) or (if_unheld and is_leased(connection, response_id)):
                return found
            ended = {**(found or {}), **ending}
            _change(connection, response_id, ended)
            return ended

        return await self._write(work)

    async def response(self, response_id: str) -> Object | None:
        wanted = select(responses.c.data).where(responses.c.id == response_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def response_input(self, response_id: str) -> list[Object] | None:
        wanted = select(responses.c.input).where(responses.c.id == response_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def output_item(self, item_id: str) -> Object | None:
        wanted = select(response_items.c.data).where(response_items.c.id == item_id).limit(1)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def delete_response(self, response_id: str) -> bool:
        # Its events and its items go with it: ON DELETE CASCADE.
        statement = delete(responses).where(responses.c.id == response_id)
        return await self._write(lambda connection: deletes(connection, statement))


def _locked(connection: Connection, response_id: str) -> Object | None:
    """A response that nobody else changes until the transaction ends."""
    wanted = select(responses.c.data).where(responses.c.id == response_id).with_for_update()
    found: Object | None = connection.scalar(wanted)
    return found


def _running(connection: Connection, response_id: str) -> Object | None:
    found = _locked(connection, response_id)
    return found if is_running(found) else None


def _change(connection: Connection, response_id: str, response: Object) -> None:
    connection.execute(update(responses).where(responses.c.id == response_id), {"data": response})


def _add_events(connection: Connection, response_id: str, events: Sequence[Object]) -> None:
    rows: list[dict[str, Any]] = [
        {"response_id": response_id, "number": event["sequence_number"], "data": event} for event in events
    ]
    if rows:
        connection.execute(insert(kept_events), rows)


def _end(connection: Connection, response: Object, events: Sequence[Object]) -> None:
    if _running(connection, response["id"]) is None:
        raise InvalidRequest(f"Response with id '{response['id']}' does not run any more.")
    _add_events(connection, response["id"], events)
    _change(connection, response["id"], response)
    _add_output(connection, response)


def _add_output(connection: Connection, response: Object) -> None:
    rows = [{"response_id": response["id"], "id": item["id"], "data": item} for item in response["output"]]
    if rows:
        connection.execute(insert(response_items), rows)
