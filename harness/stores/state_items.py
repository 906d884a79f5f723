"""A conversation and its items, within a transaction that somebody else began."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from harness.errors import InvalidRequest
from harness.stores.protocol import Object
from harness.stores.state_schema import conversations
from harness.stores.state_schema import items as kept_items


def find_conversation(connection: Connection, conversation_id: str, *, lock: bool = False) -> Object | None:
    wanted = select(conversations.c.data).where(conversations.c.id == conversation_id)
    found: Object | None = connection.scalar(wanted.with_for_update() if lock else wanted)
    return found


def append(connection: Connection, conversation_id: str, new_items: Sequence[Object]) -> bool:
    """Append to a conversation, which is locked until the transaction ends: batches do not interleave."""
    if find_conversation(connection, conversation_id, lock=True) is None:
        return False
    if new_items:
        _refuse_duplicates(connection, conversation_id, [item["id"] for item in new_items])
        rows = [{"conversation_id": conversation_id, "id": item["id"], "data": item} for item in new_items]
        connection.execute(insert(kept_items), rows)
    return True


def _refuse_duplicates(connection: Connection, conversation_id: str, ids: Sequence[str]) -> None:
    taken = select(kept_items.c.id).where(kept_items.c.conversation_id == conversation_id, kept_items.c.id.in_(ids))
    kept = set(connection.scalars(taken))
    for item_id, count in Counter(ids).items():
        if item_id in kept or count > 1:
            raise InvalidRequest(
                ("Item already in conversation. " if item_id in kept else "")
                + f"Duplicate item found with id '{item_id}'. Remove duplicate items from your input and try again.",
                code="invalid_value",
            )
