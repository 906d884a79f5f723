"""The application: every route, with and without a scope in its path, and one middleware that renders errors."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import hdrs, web

from harness.api.errors import error_body, not_allowed
from harness.errors import HarnessError, InvalidRequest, NotFound
from harness.server import (
    compaction,
    conversations,
    cors,
    inference,
    input_tokens,
    openai_headers,
    prompts,
    responses,
    sockets,
    stored_completions,
)
from harness.server.background import Runs
from harness.server.context import RUNS, SCOPE_PREFIX, SERVICES, Services
from harness.server.repeats import Repeats

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOCAL_ROUTES: list[tuple[str, str, Handler]] = [
    *stored_completions.ROUTES,
    *conversations.ROUTES,
    *responses.ROUTES,
    *sockets.ROUTES,
    *input_tokens.ROUTES,
    *compaction.ROUTES,
    *prompts.ROUTES,
]
"""Method, path and handler of what is served from the state."""

ROUTES: list[tuple[str, str, Handler]] = [*inference.ROUTES, *LOCAL_ROUTES]
"""Method, path and handler of everything that has a handler of its own; the backend answers anything else."""

_ALSO = "/v1/openai"
"""What stands before ``/v1`` for clients of a llama-stack of before OGX: it served OpenAI's API below its own."""

_LOCAL_PATHS = r"chat/completions|responses|conversations|prompts"
"""Below ``/v1``: where what is not known is not the backend's either, as long as the state answers there."""

_LARGEST_BODY = 512 * 1024 * 1024
_log = logging.getLogger(__name__)


def make_app(services: Services) -> web.Application:
    """The server's application over the parts that wiring has chosen; closing it closes them."""
    app = web.Application(middlewares=[_errors], client_max_size=_LARGEST_BODY)
    app[SERVICES] = services
    app[RUNS] = Runs(services.state)
    app[sockets.OPEN] = set()
    app[inference.REPEATS] = Repeats(inference.headers_of)
    routes = ROUTES if services.local_responses else inference.ROUTES
    not_served = _not_served(_summary((method, path) for method, path, _ in routes))
    for prefix in ("", SCOPE_PREFIX):
        for place in (prefix, prefix + _ALSO):
            for method, path, handler in routes:
                add(app, method, place + path, handler)
            if services.local_responses:
                app.router.add_route("*", f"{place}/v1/{{path:({_LOCAL_PATHS})(/(?s:.*))?}}", not_served)
        for name in ("v1", *services.upstream_names):
            app.router.add_route("*", f"{prefix}/{name}/{{rest:(?s:.+)}}", inference.pass_on)
    add(app, "GET", "/health", _health)
    app.router.add_route("*", "/{rest:(?s:.*)}", not_served)
    app.on_response_prepare.extend([_without_clock, openai_headers.complete, cors.complete])
    app.on_shutdown.append(_finish)
    app.on_cleanup.append(_close)
    return app


def add(app: web.Application, method: str, path: str, handler: Handler) -> None:
    """Add a route; what answers GET answers HEAD."""
    app.router.add_route(method, path, handler)
    if method == "GET":
        app.router.add_route("HEAD", path, handler)


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _without_clock(_: web.Request, response: web.StreamResponse) -> None:
    """Nothing of the machine or the hour in an answer: the same request gets the same bytes."""
    response.headers.popall("Date", None)
    response.headers.popall("Server", None)


async def _finish(app: web.Application) -> None:
    await asyncio.gather(sockets.close(app), app[RUNS].close())


async def _close(app: web.Application) -> None:
    await app[RUNS].close(grace=0)
    await app[SERVICES].backend.close()
    await app[SERVICES].state.close()


def _summary(routes: Iterable[tuple[str, str]]) -> str:
    paths: dict[str, list[str]] = {}
    for method, path in [*routes, ("GET", "/health")]:
        # A pattern's own syntax ({model:.+}) is nothing for a reader.
        paths.setdefault(re.sub(r":[^}]*}", "}", path), []).append(method)
    return ", ".join(f"{'|'.join(methods)} {path}" for path, methods in paths.items())


def _not_served(served: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        methods = await _methods(request)
        if methods:
            raise not_allowed(request.method, request.path, methods)
        raise NotFound(
            f"Unknown request URL: {request.method} {request.path}.",
            hint=f"Served here: {served}; and what the backend answers below /v1. A base URL ends in /v1.",
            code="unknown_url",
        )

    return handler


async def _methods(request: web.Request) -> str:
    """The methods that the path of a request has handlers for."""
    found: set[str] = set()
    for resource in request.app.router.resources():
        _, methods = await resource.resolve(request)
        if hdrs.METH_ANY not in methods:
            found |= methods
    return ", ".join(sorted(found))


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as OpenAI's body. An SDK must not ask again where asking again cannot help."""
    try:
        return cors.preflight(request) or await handler(request)
    except HarnessError as error:
        return error_response(error)
    except web.HTTPRequestEntityTooLarge as error:
        too_large = InvalidRequest(f"The body is larger than {_LARGEST_BODY} bytes.", code="request_too_large")
        return error_response(too_large, status=error.status)
    except web.HTTPException:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the client gets OpenAI's error body and the log the traceback
        _log.exception("%s %s failed", request.method, request.path)
        return error_response(HarnessError("The harness failed on this request.", hint="Its log has the details."))


def error_response(error: HarnessError, status: int | None = None) -> web.Response:
    """The HTTP answer that says ``error``."""
    return web.json_response(error_body(error), status=status or error.http_status, headers=error.headers)
