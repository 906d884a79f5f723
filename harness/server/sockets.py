"""``/v1/responses`` over a WebSocket: each message asks for a turn, whose events come back as messages.

Source: ``ResponsesClientEvent`` and ``ResponsesServerEvent`` of the ``openai`` package. Turns of one lane (what has the
same ``stream_id``, or none) come one after another, those of several lanes side by side. A client that leaves stops
none of them.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from aiohttp import hdrs, web

from harness.api.body import parse_object
from harness.api.create_response import parse_create
from harness.api.errors import not_allowed
from harness.api.socket_events import REQUEST, STEER, check_kind, error_event, response_body, steer_failed
from harness.errors import HarnessError, InvalidRequest
from harness.server import cors
from harness.server.background import GRACE_SECONDS
from harness.server.context import services
from harness.server.leases import Keeper
from harness.server.responses import begin, held_conversation
from harness.stores.protocol import Object
from harness.turn.messages import Item

_GOING_AWAY = 1001
_CLOSING_SECONDS = 1.0
"""How long a client may take to agree that a socket is closed."""

_log = logging.getLogger(__name__)


async def connect(request: web.Request) -> web.StreamResponse:
    """Speak over a WebSocket until the client leaves and all that it asked for is done."""
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise not_allowed(request.method, request.path, "POST")
    if cors.comes_from_page(request) and not cors.is_local(request):
        raise InvalidRequest(
            f"A page of {request.headers[hdrs.ORIGIN]} may not ask here.",
            hint="Serve it from this machine (http://localhost).",
            http_status=403,
            code="origin_not_allowed",
        )
    socket = web.WebSocketResponse(timeout=_CLOSING_SECONDS, max_msg_size=request.client_max_size, compress=False)
    await socket.prepare(request)
    dialogue = Dialogue(request, socket)
    request.app[OPEN].add(dialogue)
    try:
        await dialogue.run()
    finally:
        request.app[OPEN].discard(dialogue)
    return socket


async def close(app: web.Application) -> None:
    """Let what is on its way finish, and tell every client that the server goes away."""
    await asyncio.gather(*(dialogue.close() for dialogue in app[OPEN]))


class Dialogue:
    """What is said over one socket. A response that is not kept can be gone on from here, while its lane's last."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._request, self._socket = request, socket
        self._lanes: dict[str | None, asyncio.Task[None]] = {}
        self._last: dict[str | None, tuple[Object, list[Item]]] = {}

    async def run(self) -> None:
        async for message in self._socket:
            if message.type in (web.WSMsgType.TEXT, web.WSMsgType.BINARY):
                await self._receive(message.data)
        await asyncio.gather(*self._lanes.values())

    async def close(self) -> None:
        if self._lanes:
            await asyncio.wait(self._lanes.values(), timeout=GRACE_SECONDS)
        await self._socket.close(code=_GOING_AWAY)

    async def _receive(self, data: str | bytes) -> None:
        lane = None
        try:
            event = parse_object(data.encode() if isinstance(data, str) else data)
            check_kind(event)
            lane = event.get("stream_id")
            if event["type"] == STEER:
                await self._send(steer_failed(event), lane)
            else:
                self._lanes[lane] = asyncio.create_task(self._answer(event, lane, self._lanes.get(lane)))
        except HarnessError as error:
            await self._send(error_event(error), lane)

    async def _answer(self, event: dict[str, Any], lane: str | None, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await self._turn(event, lane)
        except HarnessError as error:
            await self._send(error_event(error), lane)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an error and the log the traceback
            _log.exception("%s over a WebSocket failed", REQUEST)
            failed = HarnessError("The harness failed on this request.", hint="Its log has the details.")
            await self._send(error_event(failed), lane)

    async def _turn(self, event: dict[str, Any], lane: str | None) -> None:
        parts = services(self._request)
        wanted = parse_create(response_body(event), parts.upstream_parameters, parts.mcp)
        known = {response["id"]: (response, before) for response, before in self._last.values()}
        async with held_conversation(self._request, wanted) as taken:
            plan, driver = await begin(self._request, wanted, Keeper(parts.state, taken), known)

            async def emit(said: dict[str, Any]) -> None:
                await self._send(said, lane)

            response = await driver.drive(plan, emit)
        if not wanted.keeps:
            self._last[lane] = response, plan.items

    async def _send(self, event: dict[str, Any], lane: str | None) -> None:
        # A client that has left hears nothing of it.
        with suppress(ConnectionError):
            await self._socket.send_json(event if lane is None else event | {"stream_id": lane})


OPEN = web.AppKey("open", set[Dialogue])
"""What is said over the sockets of a server that are open."""

ROUTES = [("GET", "/v1/responses", connect)]
