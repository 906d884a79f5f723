"""MCP servers: asked for their tools, and to run one. The only user of the ``mcp`` package.

The requests are those of ``harness.recording.mcp``; whom they go to is the call's ``target``, with the call's headers.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from harness.backends.protocol import Answer, Call
from harness.errors import HarnessError, UpstreamError
from harness.recording.answer import encode
from harness.recording.mcp import LIST_PATH
from harness.recording.model import JSON_TYPE, Json

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

_NO_STREAMABLE_HTTP = (400, 404, 405, 406)
"""With one of these a server of the older transport (SSE) turns the newer one away."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_MOST_PAGES = 100
_CONNECT_SECONDS, _READ_SECONDS = 30.0, 300.0
_BROKEN = (-32000, -32001)
"""Codes that are not the server's: the client's own word for a connection that closed, and for one that is too slow."""


class McpUpstream:
    """Asks the MCP server that a call names. Each call has a session of its own."""

    async def ask(self, call: Call) -> Answer:
        """The server's result; an error of the server's protocol is a 400, one of HTTP its status.

        Raises UpstreamError when the server cannot be reached.
        """
        statuses: list[int] = []
        try:
            return _answer(200, await self._result(call, statuses))
        except ImportError as error:
            raise _not_installed(error) from error
        except Exception as error:  # noqa: BLE001 - the client raises whatever its layers do, in groups
            return _failure(call, _first(error), statuses)

    async def _result(self, call: Call, statuses: list[int]) -> Json:
        try:
            return await _speak(_streamable, call, statuses)
        except Exception:
            if not statuses or statuses[-1] not in _NO_STREAMABLE_HTTP or min(statuses) < 400:
                raise
        refused, statuses[:] = list(statuses), []
        try:
            return await _speak(_sse, call, statuses)
        except Exception:
            # What the server has against the newer transport says more.
            statuses[:] = refused
            raise

    async def check_key(self, call: Call) -> None:
        """There is nothing cheap to ask that would tell."""

    def secrets(self, call: Call) -> list[str]:
        """What must never be written down: what the headers say, and the secrets that URLs carry."""
        parts = urlsplit(call.target or "")
        inside = [parts.username, parts.password, *(value for _, value in parse_qsl(parts.query))]
        sent = [word for value in call.headers.values() for word in (value, value.rpartition(" ")[2])]
        return [secret for secret in [*inside, *sent] if secret]

    def provider(self, call: Call) -> str:
        parts = urlsplit(call.target or "")
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    async def close(self) -> None:
        """Nothing is held open."""


async def _speak(
    transport: Callable[[Call, list[int]], AbstractAsyncContextManager["Client"]], call: Call, statuses: list[int]
) -> Json:
    body = call.request.body
    async with transport(call, statuses) as client:
        if call.path == LIST_PATH:
            return {"tools": await _all_tools(client)}
        result = await client.call_tool(body["name"], body["arguments"], read_timeout_seconds=_READ_SECONDS)
        return _plain(result, "content", "structuredContent", "isError")


async def _all_tools(client: "Client") -> list[Json]:
    tools: list[Json] = []
    cursor = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += [_plain(tool, "name", "title", "description", "inputSchema", "annotations") for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            break
    return tools


def _plain(model: Any, *names: str) -> Json:
    """These fields of a model of the package's, as they came: the rest is of the server's day."""
    dumped = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: dumped[name] for name in names if name in dumped}


@asynccontextmanager
async def _streamable(call: Call, statuses: list[int]) -> AsyncIterator["Client"]:
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    assert call.target is not None
    async with (
        _http_client(statuses, dict(call.headers)) as http,
        Client(streamable_http_client(call.target, http_client=http), cache=None) as client,
    ):
        yield client


@asynccontextmanager
async def _sse(call: Call, statuses: list[int]) -> AsyncIterator["Client"]:
    from mcp import Client
    from mcp.client.sse import sse_client

    def factory(headers: dict[str, str] | None = None, *_: Any, **__: Any) -> "httpx2.AsyncClient":
        return _http_client(statuses, headers)

    assert call.target is not None
    transport = sse_client(call.target, headers=dict(call.headers), httpx_client_factory=factory)
    async with Client(transport, cache=None) as client:
        yield client


def _http_client(statuses: list[int], headers: dict[str, str] | None) -> "httpx2.AsyncClient":
    """A client that notes how each request was answered: the package does not tell."""
    import httpx2

    async def note(response: httpx2.Response) -> None:
        statuses.append(response.status_code)

    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS)
    return httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks={"response": [note]})


def _first(error: BaseException) -> BaseException:
    """The first error of a group of groups."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _failure(call: Call, error: BaseException, statuses: list[int]) -> Answer:
    from mcp import MCPError

    status = statuses[-1] if statuses else 200
    if status >= 400:
        message = f"Http status code: {status} ({_PHRASES.get(status, 'Unknown')})"
        return _answer(status, {"error": {"type": "http_error", "code": status, "message": message}})
    if isinstance(error, MCPError) and error.code not in _BROKEN:
        fields = {"type": "mcp_protocol_error", "code": error.code, "message": error.message}
        return _answer(400, {"error": fields})
    raise UpstreamError(
        f"The MCP server {McpUpstream().provider(call)} could not be asked: {str(error) or type(error).__name__}",
        hint="Is it running, and is the address right?",
    ) from error


def _answer(status: int, body: Json) -> Answer:
    return Answer(status, JSON_TYPE, encode(body))


def _not_installed(error: ImportError) -> HarnessError:
    return HarnessError(
        f"The tools of MCP servers need the package 'mcp': {error}",
        hint="Install the extra 'mcp', or: pip install 'mcp>=2'",
        code="mcp_not_installed",
        http_status=501,
    )
