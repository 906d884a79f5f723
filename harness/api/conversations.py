"""What clients send to ``/v1/conversations`` and what they are shown."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field

from harness.api.closed import Deferred
from harness.api.errors import invalid_prefix
from harness.api.item_kinds import TRIGGER
from harness.errors import InvalidRequest

MAX_ITEMS = 20
"""How many items one request may add."""

Metadata: TypeAlias = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16),
]
"""Up to 16 pairs that a client hangs on an object."""


class CreateConversation(Deferred):
    """The body of ``POST /v1/conversations``. Its items are still as the client wrote them."""

    model_config = ConfigDict(extra="forbid")

    metadata: Metadata | None = None
    items: Annotated[list[Any], Field(max_length=MAX_ITEMS)] | None = None


class UpdateConversation(Deferred):
    """The body of ``POST /v1/conversations/{conversation_id}``: the metadata that replaces the old; null is none."""

    model_config = ConfigDict(extra="forbid")

    metadata: Metadata | None


class CreateItems(Deferred):
    """The body of ``POST /v1/conversations/{conversation_id}/items``, its items as the client wrote them."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Any], Field(max_length=MAX_ITEMS)]


def check_conversation_id(conversation_id: str, param: str = "conversation_id") -> str:
    """The id, when it can be a conversation's. Raises InvalidRequest when it names another kind of thing."""
    if not conversation_id.startswith("conv_"):
        raise invalid_prefix(param, conversation_id, "conv")
    return conversation_id


def refuse_unkept(items: list[dict[str, Any]], param: str = "items") -> list[dict[str, Any]]:
    """The items, when a conversation can keep all of them. Raises InvalidRequest for the first that it cannot.

    A conversation keeps items of its own: one that it has already is not added twice, and one that another has is not
    known to it by a mere reference. What only tells a turn what to do is nothing to keep: no description lists it.
    """
    for place, item in enumerate(items):
        if item["type"] == TRIGGER:
            raise InvalidRequest(
                f"Invalid '{param}[{place}]': a '{TRIGGER}' is not kept in a conversation.",
                hint="Send it as the final input item of a response in the conversation.",
                param=f"{param}[{place}]",
                code="invalid_value",
            )
        if item["type"] == "item_reference":
            raise InvalidRequest(
                f"Invalid '{param}[{place}]': the item reference '{item['id'][:64]}' cannot be resolved, "
                "because a conversation keeps items of its own.",
                hint="Send the item itself, without its id.",
                param=f"{param}[{place}]",
                code="invalid_value",
            )
    return items


def conversation_object(
    conversation_id: str, created_at: int, metadata: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A conversation as the API shows it; ``created_at`` in whole Unix seconds."""
    return {
        "id": conversation_id,
        "object": "conversation",
        "created_at": created_at,
        "metadata": dict(metadata or {}),
    }


def deleted_conversation(conversation_id: str) -> dict[str, Any]:
    """What the API says of a conversation that it has just deleted."""
    return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
