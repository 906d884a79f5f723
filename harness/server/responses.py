"""``/v1/responses``: create, whole and streamed; retrieve, delete, list input items."""

import logging
from typing import Any

from aiohttp import web

from harness.api import sse
from harness.api.errors import invalid_prefix, not_found
from harness.api.items import parse_items
from harness.api.listing import list_body, paginate, parse_list_query
from harness.api.responses import CreateResponse, parse_create
from harness.errors import InvalidRequest
from harness.server.context import json_body, scope_of, services
from harness.server.drive import Driver
from harness.server.inference import RECORDING_HEADER, headers_for_upstream
from harness.turn.machine import Plan
from harness.turn.messages import Item

_log = logging.getLogger(__name__)


async def create(request: web.Request) -> web.StreamResponse:
    """Run a turn; a client that hangs up does not stop it."""
    wanted = parse_create(await json_body(request))
    parts = services(request)
    history = await _history(request, wanted)
    origin = await parts.identity.origin(scope_of(request))
    items = [{"type": "message", "role": "user", "content": wanted.input}]
    input_items = parse_items(items if isinstance(wanted.input, str) else wanted.input, "input", origin.ids.new)
    plan = Plan(
        wanted, history, _resolved(input_items, history), wanted.conversation_id, origin.ids, origin.now
    )
    driver = Driver(
        parts.backend, parts.state, scope_of(request), headers_for_upstream(request), lambda: parts.identity.end(origin)
    )
    if wanted.stream:
        return await _Stream(request, driver).run(plan)
    response = await driver.drive(plan, _nowhere)
    return web.json_response(response, headers=_headers(driver))


async def _nowhere(_: dict[str, Any]) -> None:
    """For a turn whose events nobody reads."""


def _headers(driver: Driver) -> dict[str, str]:
    return {RECORDING_HEADER: ", ".join(driver.recordings)} if driver.recordings else {}


class _Stream:
    """The events of a turn on their way to the client: the answer begins with the first of them."""

    def __init__(self, request: web.Request, driver: Driver) -> None:
        self._request, self._driver = request, driver
        self._response: web.StreamResponse | None = None
        self._left = False

    async def run(self, plan: Plan) -> web.StreamResponse:
        await self._driver.drive(plan, self._emit)
        assert self._response is not None, "a turn that ends without an error has emitted its end"
        await self._write(sse.DONE)
        return self._response

    async def _emit(self, event: dict[str, Any]) -> None:
        if self._response is None:
            self._response = web.StreamResponse(headers=_headers(self._driver))
            self._response.headers["Content-Type"] = "text/event-stream"
            self._response.headers["Cache-Control"] = "no-cache"
            await self._response.prepare(self._request)
        await self._write(sse.encode_json(event, event["type"]))

    async def _write(self, data: bytes) -> None:
        if self._left or self._response is None:
            return
        try:
            await self._response.write(data)
        except ConnectionError:
            self._left = True
            _log.info("the client left %s early; the turn goes on", self._request.path)


async def _history(request: web.Request, wanted: CreateResponse) -> list[Item]:
    """What the model is to know before the input: the conversation as it is now, or the chain of responses."""
    state = services(request).state
    if wanted.conversation_id is not None:
        items = await state.items(wanted.conversation_id)
        if items is None:
            raise not_found("Conversation", wanted.conversation_id)
        return items
    if wanted.previous_response_id is None:
        return []
    previous = await state.response(wanted.previous_response_id)
    before = await state.response_input(wanted.previous_response_id)
    if previous is None or before is None:
        raise InvalidRequest(
            f"Previous response with id '{wanted.previous_response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return [*before, *previous["output"]]


def _resolved(items: list[Item], history: list[Item]) -> list[Item]:
    """Input items without the references to what the history holds already."""
    known = {item["id"] for item in history if item.get("id")}
    for place, item in enumerate(items):
        if item["type"] == "item_reference" and item["id"] not in known:
            raise InvalidRequest(f"Item with id '{item['id']}' not found.", param=f"input[{place}].id")
    return [item for item in items if item["type"] != "item_reference"]


def _response_id(request: web.Request) -> str:
    response_id = request.match_info["response_id"]
    if not response_id.startswith("resp_"):
        raise invalid_prefix("response_id", response_id, "resp")
    return response_id


async def retrieve(request: web.Request) -> web.Response:
    """A response that was kept."""
    response_id = _response_id(request)
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
