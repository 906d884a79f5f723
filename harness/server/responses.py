"""``/v1/responses``: create, whole, streamed, in the background; retrieve, cancel, delete, list input items."""

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, TypeAlias

from aiohttp import web

from harness.api import sse
from harness.api.background import is_running, not_cancellable, not_streamable, parse_retrieve_query
from harness.api.create_response import CreateResponse, parse_create
from harness.api.errors import invalid_prefix, missing, not_found
from harness.api.items import NewId, parse_input, without_trigger
from harness.api.listing import list_body, paginate, parse_list_query
from harness.api.validation import is_id
from harness.errors import HarnessError, InvalidRequest, NotFound, RecordingNotFound, UpstreamError
from harness.server.background import Run
from harness.server.context import json_body, runs, scope_of, services
from harness.server.drive import Driver
from harness.server.inference import RECORDING_HEADER, headers_for_upstream
from harness.server.leases import Keeper, Lease, locked
from harness.server.openai_headers import local_headers
from harness.server.prompts import with_prompt
from harness.server.threshold import threshold_of
from harness.server.writer import Writer
from harness.stores.protocol import Object, TurnStore
from harness.turn.machine import Plan
from harness.turn.messages import Item

Known: TypeAlias = Mapping[str, tuple[Object, list[Item]]]
"""Responses by their ids, each with the items before its output."""

_STREAM_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


async def create(request: web.Request) -> web.StreamResponse:
    """Run a turn; a client that hangs up does not stop it."""
    parts = services(request)
    wanted = parse_create(await json_body(request), parts.upstream_parameters, parts.mcp)
    if wanted.background:
        return await _in_background(request, wanted)
    async with held_conversation(request, wanted) as taken:
        plan, driver = await begin(request, wanted, Keeper(services(request).state, taken))
        if wanted.stream:
            return await _stream(request, driver, plan)
        response = await driver.drive(plan, _nowhere)
    if response["status"] == "failed":
        raise _failed(response, driver.failure)
    return web.json_response(response, headers=_headers(driver))


async def _in_background(request: web.Request, wanted: CreateResponse) -> web.StreamResponse:
    """Have the server run the turn; what is wrong before it begins is an HTTP error all the same."""

    async def work(run: Run) -> None:
        async with held_conversation(request, wanted) as run.conversation:
            plan, driver = await begin(request, wanted, run)
            run.input_items = [*plan.history, *plan.input_items]
            await driver.drive(plan, run.emit)

    created = await runs(request).start(work)
    return await _follow(request, created["id"], -1) if wanted.stream else web.json_response(created)


def held_conversation(request: web.Request, wanted: CreateResponse) -> AbstractAsyncContextManager[Lease | None]:
    """The conversation, for this turn alone: from before its items are read until the turn's are appended."""
    if wanted.conversation_id is not None and not is_id(wanted.conversation_id):
        raise not_found("Conversation", wanted.conversation_id)
    return locked(services(request).state, wanted.conversation_id)


async def begin(
    request: web.Request, wanted: CreateResponse, store: TurnStore, known: Known | None = None
) -> tuple[Plan, Driver]:
    """The plan of a turn, and who carries it out. ``known`` are responses that the state has not, by their ids."""
    parts, scope = services(request), scope_of(request)
    history = await history_of(request, wanted, known)
    origin = await parts.identity.origin(scope)
    input_items, is_triggered = await new_items(request, wanted, history, origin.ids.new)
    threshold = await threshold_of(wanted, parts)
    wanted, told = await with_prompt(parts.state, wanted)
    plan = Plan(
        wanted,
        history,
        input_items,
        wanted.conversation_id,
        origin.ids,
        origin.now,
        threshold,
        compacts=is_triggered,
        prompt=told,
    )
    headers = headers_for_upstream(request)
    return plan, Driver(parts.backend, store, scope, headers, lambda: parts.identity.end(origin))


def _failed(response: Object, why: HarnessError | None) -> HarnessError:
    """The HTTP error for a response that failed in the middle, when nothing of it was sent: SDKs may ask again.

    Not so where a recording is missing: asked again, it is missing again.
    """
    if isinstance(why, RecordingNotFound):
        return why
    error = response["error"]
    status = 429 if error["code"] == "rate_limit_exceeded" else UpstreamError.status
    return UpstreamError(error["message"], code=error["code"], http_status=status, headers={})


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
            response.headers.update(_headers(driver) | local_headers(event["response"]["id"]))
        await writer.write(sse.encode_json(event, event["type"]))

    await driver.drive(plan, emit)
    await writer.write(sse.DONE)
    return response


async def history_of(request: web.Request, wanted: CreateResponse, known: Known | None = None) -> list[Item]:
    """What the model is to know before the input: the conversation as it is now, or the chain of responses."""
    state = services(request).state
    if wanted.conversation_id is not None:
        items = await state.items(wanted.conversation_id) if is_id(wanted.conversation_id) else None
        if items is None:
            raise not_found("Conversation", wanted.conversation_id)
        return items
    if wanted.previous_response_id is None:
        return []
    found = (known or {}).get(wanted.previous_response_id) or await _kept(request, wanted.previous_response_id)
    if found is None:
        raise InvalidRequest(
            f"Previous response with id '{wanted.previous_response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    response, before = found
    if is_running(response):
        raise InvalidRequest(
            f"Previous response with id '{wanted.previous_response_id}' has not ended yet.",
            hint="Retrieve it until its status is neither 'queued' nor 'in_progress'.",
            param="previous_response_id",
            code="invalid_value",
        )
    return [*before, *response["output"]]


async def _kept(request: web.Request, response_id: str) -> tuple[Object, list[Item]] | None:
    """A response and its input; None when it is not here (any more)."""
    if not is_id(response_id):
        return None
    before = await services(request).state.response_input(response_id)
    response = await runs(request).response(response_id)
    return None if response is None or before is None else (response, before)


async def new_items(
    request: web.Request, wanted: CreateResponse, history: list[Item], new_id: NewId
) -> tuple[list[Item], bool]:
    """The input as items, each reference replaced by what it names, unless the history holds that already.

    And whether it asks for a compaction.
    Raises InvalidRequest when there is nothing to answer to, or the conversation could not take the items, and NotFound
    for a reference to nothing.
    """
    given = [] if wanted.input is None else wanted.input
    message = {"type": "message", "role": "user", "content": given}
    items, is_triggered = without_trigger(parse_input([message] if isinstance(given, str) else given, new_id))
    if not items and not history and wanted.prompt is None:
        raise missing("input")
    known = {item["id"] for item in history if item.get("id")}
    new: list[Item] = []
    for item in items:
        if item["type"] != "item_reference":
            new.append(item)
        elif item["id"] not in known:
            known.add(item["id"])
            new.append(await _referenced(request, item["id"]))
    if wanted.conversation_id is not None:
        before = [item["id"] for item in history if item.get("id")]
        _refuse_duplicates([*before, *(item["id"] for item in new)])
    return new, is_triggered


async def _referenced(request: web.Request, item_id: str) -> Item:
    found = await services(request).state.output_item(item_id) if is_id(item_id) else None
    if found is None:
        raise NotFound(
            f"Item with id '{item_id}' not found. It is neither in the conversation, nor before the previous response, "
            "nor in the output of a response that was kept.",
            hint="Send the item itself.",
            param="input",
        )
    return found


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


async def retrieve(request: web.Request) -> web.StreamResponse:
    """A response that was kept; or, of one in the background, its events, from where the client left off."""
    response_id = _response_id(request)
    query = parse_retrieve_query(request.query.items())
    response = await _found(request, response_id)
    if not query.stream or request.method == "HEAD":
        return web.json_response(response)
    if not response["background"]:
        raise not_streamable()
    return await _follow(request, response_id, -1 if query.starting_after is None else query.starting_after)


async def _found(request: web.Request, response_id: str) -> Object:
    response = await runs(request).response(response_id)
    if response is None:
        raise not_found("Response", response_id)
    return response


async def _follow(request: web.Request, response_id: str, after: int) -> web.StreamResponse:
    """The events of a response in the background that follow number ``after``. A client that leaves stops nothing."""
    response = web.StreamResponse(headers=_STREAM_HEADERS | local_headers(response_id))
    writer = Writer(request, response)
    async with aclosing(runs(request).events(response_id, after)) as events:
        async for event in events:
            await writer.write(sse.encode_json(event, event["type"]))
            if writer.left:
                return response
    await writer.write(sse.DONE)
    return response


async def cancel(request: web.Request) -> web.Response:
    """Cancel a response in the background; one that has ended stays as it is."""
    response_id = _response_id(request)
    if not (await _found(request, response_id))["background"]:
        raise not_cancellable()
    response = await runs(request).cancel(response_id)
    if response is None:
        raise not_found("Response", response_id)
    return web.json_response(response)


async def delete(request: web.Request) -> web.Response:
    """Delete a response, and cancel it where it runs; the items that it gave its conversation stay."""
    response_id = _response_id(request)
    if not await runs(request).delete(response_id):
        raise not_found("Response", response_id)
    return web.json_response({"id": response_id, "object": "response", "deleted": True})


async def list_input_items(request: web.Request) -> web.Response:
    """What the model knew when it answered: the items before the input, and the input.

    Compactions are not shown: OpenAI hides them here, as OGX's authors found.
    """
    response_id = _response_id(request)
    query = parse_list_query(request.query.items())
    items = await services(request).state.response_input(response_id)
    if items is None:
        raise not_found("Response", response_id)
    shown = [item for item in items if item["type"] != "compaction"]
    page = paginate(shown, query.after, query.limit, query.order)
    return web.json_response(list_body(page.items, has_more=page.has_more))


ROUTES = [
    ("POST", "/v1/responses", create),
    ("GET", "/v1/responses/{response_id}", retrieve),
    ("DELETE", "/v1/responses/{response_id}", delete),
    ("POST", "/v1/responses/{response_id}/cancel", cancel),
    ("GET", "/v1/responses/{response_id}/input_items", list_input_items),
]
