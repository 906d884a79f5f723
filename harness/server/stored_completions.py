"""``/v1/chat/completions`` beyond asking: completions that were asked with ``store: true``, kept and shown."""

import re
from typing import Any

from aiohttp import web

from harness.api.completions import (
    UpdateCompletion,
    deleted_completion,
    stored_completion,
    stored_messages,
)
from harness.api.errors import not_found
from harness.api.listing import ListQuery, UnboundedListQuery, list_body, paginate, parse_list_query
from harness.api.validation import parse
from harness.server.context import json_body, services
from harness.stores.protocol import StateStore

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


async def keep(state: StateStore, asked: dict[str, Any], completion: dict[str, Any]) -> None:
    """Write down a whole completion that was asked with ``store: true``; one of the same id before it goes."""
    completion_id = str(completion.get("id"))
    await state.save_completion(stored_completion(asked, completion), stored_messages(asked, completion_id))


async def list_completions(request: web.Request) -> web.Response:
    """What is kept, filtered by model and metadata."""
    metadata = {name[9:-1]: value for name, value in request.query.items() if name.startswith("metadata[")}
    model = request.query.get("model")

    def wanted(row: dict[str, Any]) -> bool:
        return _is_of(row, model) and metadata.items() <= row["metadata"].items()

    page = await services(request).state.completions(_query(request), wanted)
    return web.json_response(list_body(page.items, has_more=page.has_more))


def _is_of(completion: dict[str, Any], model: str | None) -> bool:
    """Whether a model gave a completion; the name without its date, which clients ask for, is one of its names."""
    given = str(completion.get("model"))
    return model in (None, given, _DATE.sub("", given))


async def retrieve(request: web.Request) -> web.Response:
    """One completion."""
    return web.json_response(_found(request, await services(request).state.completion(_id(request))))


async def update(request: web.Request) -> web.Response:
    """Replace the metadata of a completion."""
    wanted = parse(UpdateCompletion, await json_body(request))
    updated = await services(request).state.update_completion(_id(request), wanted.metadata or {})
    return web.json_response(_found(request, updated))


async def delete(request: web.Request) -> web.Response:
    """Delete a completion."""
    if not await services(request).state.delete_completion(_id(request)):
        raise not_found("Chat completion", _id(request))
    return web.json_response(deleted_completion(_id(request)))


async def list_messages(request: web.Request) -> web.Response:
    """The messages that a completion was asked with."""
    query = _query(request)
    messages = _found(request, await services(request).state.completion_messages(_id(request)))
    page = paginate(messages, query.after, query.limit, query.order)
    return web.json_response(list_body(page.items, has_more=page.has_more))


def _query(request: web.Request) -> ListQuery:
    return parse_list_query([("order", "asc"), *request.query.items()], UnboundedListQuery)


def _id(request: web.Request) -> str:
    return request.match_info["completion_id"]


def _found(request: web.Request, value: Any) -> Any:
    if value is None:
        raise not_found("Chat completion", _id(request))
    return value


ROUTES = [
    ("GET", "/v1/chat/completions", list_completions),
    ("GET", "/v1/chat/completions/{completion_id}", retrieve),
    ("POST", "/v1/chat/completions/{completion_id}", update),
    ("DELETE", "/v1/chat/completions/{completion_id}", delete),
    ("GET", "/v1/chat/completions/{completion_id}/messages", list_messages),
]
