"""What handlers share: the parts that wiring has chosen, the scope of a request, its JSON body."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from harness.backends.protocol import Backend
from harness.errors import InvalidRequest
from harness.server.identity import Identity
from harness.stores.protocol import StateStore

SCOPE_HEADER = "X-Harness-Test-Id"


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running server."""

    backend: Backend
    state: StateStore
    identity: Identity


SERVICES = web.AppKey("services", Services)


def services(request: web.Request) -> Services:
    return request.app[SERVICES]


def scope_of(request: web.Request) -> str | None:
    """The scope that the base URL carries (``/scope/TOKEN/v1``, percent-encoded), else the header's, else None."""
    return request.match_info.get("scope") or request.headers.get(SCOPE_HEADER) or None


async def json_body(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; no body is an empty one. Raises InvalidRequest for anything else."""
    return parse_object(await request.read())


def parse_object(raw: bytes) -> dict[str, Any]:
    """Bytes as a JSON object. Raises InvalidRequest when they are not one."""
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"We could not parse the JSON body of your request: {error}", code="invalid_json"
        ) from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body of the request must be a JSON object.", code="invalid_type")
    return body
