"""Requests that go straight to the backend: chat completions and their like, the models, and whatever is not known."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from aiohttp import web

from harness.api import sse
from harness.api.completions import check_metadata
from harness.backends.protocol import Answer, Call
from harness.errors import BrokenOff, HarnessError, NotFound
from harness.recording.bodies import base_type
from harness.recording.canonical import bare_model
from harness.recording.chunks import aggregate
from harness.recording.model import STREAM_TYPE
from harness.recording.transcript import failure
from harness.server.context import body_of, named_scope, scope_of, services
from harness.server.cors import comes_from_page
from harness.server.openai_headers import has_request_id, request_id
from harness.server.repeats import Repeats
from harness.server.stored_completions import keep
from harness.server.writer import Writer

CHAT_PATH = "/v1/chat/completions"

RECORDING_HEADER = "X-Harness-Recording"
"""Names the recording that answered."""

REPEATS = web.AppKey("repeats", Repeats)

_SCOPED = re.compile("^/scope/[^/]*(?=/)")

_FOR_UPSTREAM = ("authorization", "api-key", "x-api-key", "openai-organization", "openai-project", "openai-beta")
_FOR_UPSTREAM_PREFIX = "anthropic-"


def headers_for_upstream(request: web.Request) -> dict[str, str]:
    """The headers of a client that an upstream is to see, names in lower case."""
    return for_upstream((name.lower(), value) for name, value in request.headers.items())


def for_upstream(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Those of a request's headers that an upstream is to see; names are in lower case."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    # A list may come in several headers of one name (RFC 9110, section 5.3), a key in one.
    return {name: found[name][-1] for name in _FOR_UPSTREAM if name in found} | {
        name: ", ".join(values)
        for name, values in found.items()
        if name.startswith(_FOR_UPSTREAM_PREFIX) or name == "openai-beta"
    }


async def infer(request: web.Request) -> web.StreamResponse:
    """Answer from the backend, whatever was asked: its status, its type, its bytes."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource else request.path
    # What stands before the last /v1 says how the server is reached, not what is asked.
    return await _answer(request, await _call(request, path[path.rindex("/v1") :]))


async def pass_on(request: web.Request) -> web.StreamResponse:
    """The same for an endpoint that nobody here knows: any method, path and query, any kind of body."""
    call = await _call(request, _SCOPED.sub("", request.rel_url.raw_path))
    return await _answer(request, replace(call, content_type=request.headers.get("Content-Type", "")))


async def _call(request: web.Request, path: str) -> Call:
    query = "&".join(sorted(request.rel_url.raw_query_string.split("&")))
    headers = headers_for_upstream(request)
    return Call(request.method, path, await body_of(request), scope_of(request), headers, query=query)


async def _answer(request: web.Request, call: Call) -> web.StreamResponse:
    stores = services(request).local_responses and wants_keeping(call)
    answer = await services(request).backend.send(call)
    headers = headers_of(answer)
    if answer.stream is not None:
        return await _stream(request, answer, headers, call if stores else None)
    if stores and answer.status < 400:
        await _keep(request, call, answer.media_type, answer.body or b"")
    unscoped, named = services(request).unscoped, named_scope(request)
    # What a page may see of an answer depends on where the page is from.
    if not stores and answer.again is not None and unscoped.shows(named) and not comes_from_page(request):
        answer.again = unscoped.while_shown(named, answer.again)
        return request.app[REPEATS].respond(request, answer)
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def headers_of(answer: Answer) -> dict[str, str]:
    """The headers of an answer to a client."""
    headers = dict(answer.headers)
    if answer.recording:
        headers[RECORDING_HEADER] = answer.recording
    if answer.media_type:
        headers["Content-Type"] = answer.media_type
    seed = answer.recording or answer.body
    return headers if seed is None or has_request_id(headers) else headers | request_id(seed)


def wants_keeping(call: Call) -> bool:
    """Whether a chat completion is to be stored. Raises InvalidRequest for metadata that cannot be."""
    # Most requests do not: they are not parsed for it.
    if b'"store"' not in call.raw or call.path != CHAT_PATH or call.request.body.get("store") is not True:
        return False
    check_metadata(call.request.body)
    return True


async def _keep(request: web.Request, call: Call, media_type: str, data: bytes) -> None:
    if base_type(media_type) == STREAM_TYPE:
        events = [event.data for event in sse.Decoder().feed(data)]
        completion = aggregate([json.loads(event) for event in events if event != "[DONE]"])
    else:
        completion = json.loads(data)
    await keep(services(request).state, call.request.body, completion)


async def _stream(
    request: web.Request, answer: Answer, headers: dict[str, str], kept_call: Call | None
) -> web.StreamResponse:
    """Hand a stream on as it arrives. With ``kept_call`` it is kept at its end, whether or not the client stayed."""
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.headers["Cache-Control"] = "no-cache"
    assert answer.stream is not None
    pieces: list[bytes] = []
    writer = Writer(request, response)
    try:
        await writer.write(b"")
        async for piece in answer.stream:
            await writer.write(piece)
            if kept_call is not None:
                pieces.append(piece)
            elif writer.left:
                return response
    except BrokenOff:
        await writer.cut()
        return response
    except HarnessError as error:
        await writer.write(failure(answer.media_type, error))
        return response
    whole = b"".join(pieces)
    if kept_call is not None and whole.endswith(sse.DONE):
        await _keep(request, kept_call, STREAM_TYPE, whole)
    return response


async def list_models(request: web.Request) -> web.StreamResponse:
    """Every model that can be asked."""
    answer = await services(request).backend.models(_models_call(request))
    return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.media_type})


async def retrieve_model(request: web.Request) -> web.StreamResponse:
    """One model of that list, also under a name that has its upstream before it (``openai/gpt-4o``)."""
    wanted = request.match_info["model"]
    names = (wanted, bare_model(wanted, services(request).upstream_names))
    answer = await services(request).backend.models(_models_call(request))
    if answer.status != 200:
        return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.media_type})
    listing: dict[str, Any] = json.loads(answer.body or b"{}")
    for model in listing.get("data") or ():
        if model.get("id") in names:
            return web.json_response({**model, "id": wanted})
    raise NotFound(f"The model '{wanted}' does not exist.", param="model", code="model_not_found")


def _models_call(request: web.Request) -> Call:
    return Call("GET", "/v1/models", b"", None, headers_for_upstream(request))


ROUTES = [
    ("POST", CHAT_PATH, infer),
    ("POST", "/v1/completions", infer),
    ("POST", "/v1/embeddings", infer),
    ("POST", "/v1/messages", infer),
    ("GET", "/v1/models", list_models),
    ("GET", "/v1/models/{model:.+}", retrieve_model),
]

INFERRED = frozenset(path for _, path, handler in ROUTES if handler is infer)
"""The paths of which a POST goes straight to the backend, as the JSON object that it is."""
