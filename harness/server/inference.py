"""Requests that go straight to the backend: chat completions and their like, and the models."""

import json
from typing import Any

from aiohttp import web

from harness.api import sse
from harness.api.errors import error_body
from harness.backends.protocol import Answer, Call
from harness.errors import HarnessError, NotFound
from harness.recording.canonical import bare_model
from harness.server.context import SCOPE_PREFIX, scope_of, services

RECORDING_HEADER = "X-Harness-Recording"
"""Names the recording that answered."""

_FOR_UPSTREAM = ("authorization", "api-key", "x-api-key", "openai-organization", "openai-project", "openai-beta")
_FOR_UPSTREAM_PREFIX = "anthropic-"


def headers_for_upstream(request: web.Request) -> dict[str, str]:
    """The headers of a client that an upstream is to see, names in lower case."""
    lower = {name.lower(): value for name, value in request.headers.items()}
    return {
        name: value for name, value in lower.items() if name in _FOR_UPSTREAM or name.startswith(_FOR_UPSTREAM_PREFIX)
    }


async def infer(request: web.Request) -> web.StreamResponse:
    """Answer from the backend, whatever was asked: its status, its type, its bytes."""
    answer = await services(request).backend.send(await _call(request))
    headers = dict(answer.headers)
    if answer.recording:
        headers[RECORDING_HEADER] = answer.recording
    if answer.stream is None:
        return web.Response(
            status=answer.status, body=answer.body, headers={**headers, "Content-Type": answer.media_type}
        )
    return await _stream(request, answer, headers)


async def _call(request: web.Request) -> Call:
    resource = request.match_info.route.resource
    path = resource.canonical if resource else request.path
    return Call(
        request.method,
        path.removeprefix(SCOPE_PREFIX),
        await request.read(),
        scope_of(request),
        headers_for_upstream(request),
    )


async def _stream(request: web.Request, answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={**headers, "Content-Type": answer.media_type})
    response.headers["Cache-Control"] = "no-cache"
    assert answer.stream is not None
    try:
        await response.prepare(request)
        async for piece in answer.stream:
            await response.write(piece)
        await response.write_eof()
    except HarnessError as error:
        await response.write(sse.encode_json(error_body(error)))
        await response.write_eof()
    except ConnectionError:
        # The client has left. What is being recorded goes on without it.
        pass
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
    ("POST", "/v1/chat/completions", infer),
    ("POST", "/v1/completions", infer),
    ("POST", "/v1/embeddings", infer),
    ("POST", "/v1/messages", infer),
    ("GET", "/v1/models", list_models),
    ("GET", "/v1/models/{model:.+}", retrieve_model),
]
