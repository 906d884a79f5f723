"""The routes below ``/v1/conversations``."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiohttp import web

from harness.api.conversations import (
    CreateConversation,
    CreateItems,
    UpdateConversation,
    check_conversation_id,
    conversation_object,
    deleted_conversation,
    refuse_unkept,
)
from harness.api.errors import not_found
from harness.api.items import parse_items
from harness.api.listing import list_body, parse_include_query, parse_list_query
from harness.api.validation import is_id, parse
from harness.errors import NotFound
from harness.server.context import json_body, scope_of, services
from harness.server.identity import Origin
from harness.turn.ids import looks_made

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def create_conversation(request: web.Request) -> web.Response:
    body = parse(CreateConversation, await json_body(request))
    origin = await _origin(request)
    conversation = conversation_object(origin.ids.new("conv"), origin.now, body.metadata)
    items = await _items(request, body.items or [], origin)
    await services(request).state.create_conversation(conversation, items)
    return web.json_response(conversation)


async def get_conversation(request: web.Request) -> web.Response:
    return web.json_response(await _conversation(request))


async def update_conversation(request: web.Request) -> web.Response:
    conversation_id = _conversation_id(request)
    body = parse(UpdateConversation, await json_body(request))
    updated = await services(request).state.update_conversation(conversation_id, body.metadata or {})
    if updated is None:
        raise _no_conversation(conversation_id)
    return web.json_response(updated)


async def delete_conversation(request: web.Request) -> web.Response:
    conversation_id = _conversation_id(request)
    if not await services(request).state.delete_conversation(conversation_id):
        raise _no_conversation(conversation_id)
    return web.json_response(deleted_conversation(conversation_id))


async def create_items(request: web.Request) -> web.Response:
    conversation_id = _conversation_id(request)
    parse_include_query(request.query.items())
    body = parse(CreateItems, await json_body(request))
    items = await _items(request, body.items, await _origin(request))
    if not await services(request).state.add_items(conversation_id, items):
        raise _no_conversation(conversation_id)
    return web.json_response(list_body(items))


async def list_items(request: web.Request) -> web.Response:
    conversation_id = _conversation_id(request)
    query = parse_list_query(request.query.items())
    page = await services(request).state.item_page(conversation_id, query)
    if page is None:
        raise _no_conversation(conversation_id)
    return web.json_response(list_body(page.items, has_more=page.has_more))


async def get_item(request: web.Request) -> web.Response:
    parse_include_query(request.query.items())
    await _conversation(request)
    item_id = _item_id(request)
    item = await services(request).state.item(_conversation_id(request), item_id)
    if item is None:
        raise not_found("Item", item_id)
    return web.json_response(item)


async def delete_item(request: web.Request) -> web.Response:
    """Answers with the conversation that the item was in."""
    conversation = await _conversation(request)
    item_id = _item_id(request)
    if not await services(request).state.delete_item(conversation["id"], item_id):
        raise not_found("Item", item_id)
    return web.json_response(conversation)


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/v1/conversations", create_conversation),
    ("GET", "/v1/conversations/{conversation_id}", get_conversation),
    ("POST", "/v1/conversations/{conversation_id}", update_conversation),
    ("DELETE", "/v1/conversations/{conversation_id}", delete_conversation),
    ("POST", "/v1/conversations/{conversation_id}/items", create_items),
    ("GET", "/v1/conversations/{conversation_id}/items", list_items),
    ("GET", "/v1/conversations/{conversation_id}/items/{item_id}", get_item),
    ("DELETE", "/v1/conversations/{conversation_id}/items/{item_id}", delete_item),
]
"""Method, path below the server's prefix, handler."""


async def _items(request: web.Request, given: list[Any], origin: Origin) -> list[dict[str, Any]]:
    """The items as they are to be kept: one that a conversation has already is that one, whatever it is sent as.

    So OGX does it, as it says that OpenAI does. An id that a client thought up names nothing anywhere else.
    """
    items = refuse_unkept(parse_items(given, "items", origin.ids.new))
    asked = {item["id"] for item in given if isinstance(item.get("id"), str) and looks_made(item["id"])}
    known = await services(request).state.items_anywhere(asked)
    return [known.get(item["id"], item) for item in items]


async def _origin(request: web.Request) -> Origin:
    return await services(request).identity.origin(scope_of(request))


async def _conversation(request: web.Request) -> dict[str, Any]:
    conversation_id = _conversation_id(request)
    found = await services(request).state.conversation(conversation_id)
    if found is None:
        raise _no_conversation(conversation_id)
    return found


def _conversation_id(request: web.Request) -> str:
    """The conversation that the path names. Raises InvalidRequest, or NotFound for what no id ever looks like."""
    given = check_conversation_id(request.match_info["conversation_id"])
    if not is_id(given):
        raise _no_conversation(given)
    return given


def _item_id(request: web.Request) -> str:
    given = request.match_info["item_id"]
    if not is_id(given):
        raise not_found("Item", given)
    return given


def _no_conversation(conversation_id: str) -> NotFound:
    return not_found("Conversation", conversation_id)
