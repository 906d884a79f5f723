"""``/v1/responses``: create, whole and streamed; retrieve, delete, list input items."""

from collections import Counter
from typing import Any

from aiohttp import web

from harness.api import sse
from harness.api.errors import invalid_prefix, invalid_value, missing, not_found
from harness.api.items import NewId, parse_items
from harness.api.listing import list_body, paginate, parse_include_query, parse_list_query
from harness.api.responses import CreateResponse, parse_create
from harness.api.validation import is_id
from harness.errors import InvalidRequest, NotFound
from harness.server.context import json_body, scope_of, services
from harness.server.drive import Driver
from harness.server.inference import RECORDING_HEADER, headers_for_upstream
from harness.server.writer import Writer
from harness.stores.protocol import Object, StateStore
from harness.turn.machine import Plan
from harness.turn.messages import Item

_STREAM_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


async def create(request: web.Request) -> web.StreamResponse:
    """Run a turn; a client that hangs up does not stop it."""
    parts = services(request)
    wanted = parse_create(await json_body(request), parts.upstream_parameters)
    history = await history_of(request, wanted)
    origin = await parts.identity.origin(scope_of(request))
    input_items = new_items(wanted, history, origin.ids.new)
    plan = Plan(wanted, history, input_items, wanted.conversation_id, origin.ids, origin.now)
    driver = Driver(
        parts.backend, parts.state, scope_of(request), headers_for_upstream(request), lambda: parts.identity.end(origin)
    )
    if wanted.stream:
        return await _stream(request, driver, plan)
    response = await driver.drive(plan, _nowhere)
    return web.json_response(response, headers=_headers(driver))


async def _nowhere(_: dict[str, Any]) -> None:
    """For a turn whose events nobody reads."""


def _headers(driver: Driver) -> dict[str, str]:
    return {RECORDING_HEADER: ", ".join(driver.recordings)} if driver.recordings else {}


async def _stream(request: web.Request, driver: Driver, plan: Plan) -> web.StreamResponse:
    """The events of a turn on their way to the client: the answer begins with the first of them."""
    response = web.StreamResponse(headers=_STREAM_HEADERS)
    writer = Writer(request, response)

    async def emit(event: dict[str, Any]) -> None:
        if not response.prepared:
            # Only now the backend has begun to answer.
            response.headers.update(_headers(driver))
        await writer.write(sse.encode_json(event, event["type"]))

    await driver.drive(plan, emit)
    await writer.write(sse.DONE)
    return response


async def history_of(request: web.Request, wanted: CreateResponse) -> list[Item]:
    """What the model is to know before the input: the conversation as it is now, or the chain of responses."""
    state = services(request).state
    if wanted.conversation_id is not None:
        items = await state.items(wanted.conversation_id) if is_id(wanted.conversation_id) else None
        if items is None:
            raise not_found("Conversation", wanted.conversation_id)
        return items
    if wanted.previous_response_id is None:
        return []
    found = await _kept(state, wanted.previous_response_id)
    if found is None:
        raise InvalidRequest(
            f"Previous response with id '{wanted.previous_response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    response, before = found
    return [*before, *response["output"]]


async def _kept(state: StateStore, response_id: str) -> tuple[Object, list[Item]] | None:
    """A response and its input; None when it is not here (any more)."""
    if not is_id(response_id):
        return None
    response, before = await state.response(response_id), await state.response_input(response_id)
    return None if response is None or before is None else (response, before)


def new_items(wanted: CreateResponse, history: list[Item], new_id: NewId) -> list[Item]:
    """The input as items, without references to what the history holds already.

    Raises InvalidRequest when there is nothing to answer to, or the conversation could not take the items.
    """
    given = wanted.input or []
    message = {"type": "message", "role": "user", "content": given}
    items = parse_items([message] if isinstance(given, str) else given, "input", new_id)
    if not items and not history:
        raise missing("input")
    known = {item["id"] for item in history if item.get("id")}
    for item in items:
        if item["type"] == "item_reference" and item["id"] not in known:
            raise _no_item(item["id"])
    new = [item for item in items if item["type"] != "item_reference"]
    if wanted.conversation_id is not None:
        _refuse_duplicates([*known, *(item["id"] for item in new)])
    return new


def _no_item(item_id: str) -> NotFound:
    return NotFound(
        f"Item with id '{item_id}' not found. It is neither in the conversation nor before the previous response.",
        hint="Send the item itself.",
        param="input",
    )


def _refuse_duplicates(ids: list[str]) -> None:
    for item_id, count in Counter(ids).items():
        if count > 1:
            raise InvalidRequest(
                f"Duplicate item found with id '{item_id}'. Remove duplicate items from your input and try again.",
                param="input",
                code="invalid_value",
            )


def _response_id(request: web.Request) -> str:
    """The response that the path names. Raises InvalidRequest, or NotFound for what no id ever looks like."""
    response_id = request.match_info["response_id"]
    if not response_id.startswith("resp_"):
        raise invalid_prefix("response_id", response_id, "resp")
    if not is_id(response_id):
        raise not_found("Response", response_id)
    return response_id


async def retrieve(request: web.Request) -> web.Response:
    """A response that was kept."""
    response_id = _response_id(request)
    parse_include_query(request.query.items())
    if request.query.get("stream", "false").lower() != "false":
        raise invalid_value("stream", "A response that was not created with 'background' cannot be streamed again.")
    response = await services(request).state.response(response_id)
    if response is None:
        raise not_found("Response", response_id)
    return web.json_response(response)


async def delete(request: web.Request) -> web.Response:
    """Delete a response; the items that it gave its conversation stay."""
    response_id = _response_id(request)
    if not await services(request).state.delete_response(response_id):
        raise not_found("Response", response_id)
    return web.json_response({"id": response_id, "object": "response", "deleted": True})


async def list_input_items(request: web.Request) -> web.Response:
    """What the model knew when it answered: the items before the input, and the input."""
    response_id = _response_id(request)
    query = parse_list_query(request.query.items())
    items = await services(request).state.response_input(response_id)
    if items is None:
        raise not_found("Response", response_id)
    page = paginate(items, query.after, query.limit, query.order)
    return web.json_response(list_body(page.items, has_more=page.has_more))


ROUTES = [
    ("POST", "/v1/responses", create),
    ("GET", "/v1/responses/{response_id}", retrieve),
    ("DELETE", "/v1/responses/{response_id}", delete),
    ("GET", "/v1/responses/{response_id}/input_items", list_input_items),
]
