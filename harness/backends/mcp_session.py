"""A session with an MCP server, as long as a turn needs it. The only user of the ``mcp`` package.

Servers may keep something for a session (a login, a page that is open), so the calls of one turn share one. It lives in
a task of its own: what the package opens must be closed by the task that opened it, and a connection that breaks takes
that task along and no other.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.recording.model import Json

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

CONNECT_SECONDS = 30.0
OPENING_SECONDS = 30.0
"""How long a server may take for its part of a handshake, and for a page of its tools."""

CALL_SECONDS = 300.0
"""How long a tool may run."""

GOODBYE_SECONDS = 5.0
"""How long a server may take to hear that a session is over."""

_NO_STREAMABLE_HTTP = (400, 404, 405, 406)
"""With one of these a server of the older transport (SSE) turns the newer one away."""

_NO_HANDSHAKE = (-32022, -32601)
"""Codes of servers that know no sessions (MCP's 2026-07-28 and later): of a version, or a method, that they lack."""

_BROKEN = (-32000, -32001)
"""Codes that are not the server's: the client's own word for a connection that closed, and for one that is too slow."""

_MOST_PAGES = 100
_LOST = 404

Work: TypeAlias = Callable[["Client"], Awaitable[Json]]
"""Something that is asked of a server."""


class SessionError(Exception):
    """Something asked of a server failed: with the ``status`` of HTTP, or the ``code`` of its protocol, or neither.

    ``was_lost`` says that the server had forgotten the session, and so did nothing: it may be asked in a new one.
    """

    def __init__(
        self, message: str, status: int | None = None, code: int | None = None, *, was_lost: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.was_lost = status, code, was_lost


class Session:
    """A session that is being opened. It is over once anything failed that the server itself did not refuse."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url, self._headers = url, dict(headers)
        self._statuses: list[int] = []
        self._asked: asyncio.Queue[tuple[Work, asyncio.Future[Json]] | None] = asyncio.Queue()
        self._failure: Exception | None = None
        self._is_open = self.is_over = False
        self.task = asyncio.create_task(self._run())

    async def ask(self, work: Work) -> Json:
        """What the server answers. Raises SessionError, or ImportError where the package is not installed."""
        outcome: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait((work, outcome))
        try:
            await asyncio.wait((outcome, self.task), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            # Nobody waits for the answer any more: what is asked is broken off.
            self.is_over = True
            self.task.cancel()
            raise
        if outcome.done():
            return outcome.result()
        raise self._failure or SessionError("The connection was closed.")

    def leave(self) -> None:
        """End the session; ``task`` ends when the server has heard of it, or takes too long to."""
        if not self.is_over:
            self.is_over = True
            self._asked.put_nowait(None)
            asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self.task.cancel)

    async def _run(self) -> None:
        try:
            async with _connected(self._url, self._headers, self._statuses) as client:
                self._is_open = True
                while (asked := await self._asked.get()) is not None:
                    await self._answer(client, *asked)
        except ImportError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - the client raises whatever its layers do, in groups
            self._failure = self._explained(error)
        finally:
            self.is_over = True

    async def _answer(self, client: "Client", work: Work, outcome: asyncio.Future[Json]) -> None:
        self._statuses.clear()
        try:
            answer = await work(client)
        except Exception as error:  # noqa: BLE001 - the client raises whatever its layers do, in groups
            failure = self._explained(error)
            if failure.code is None:
                self.leave()
            outcome.set_exception(failure)
        else:
            outcome.set_result(answer)

    def _explained(self, error: Exception) -> SessionError:
        from mcp import MCPError

        first = _first(error)
        status = self._statuses[-1] if self._statuses else 200
        if status >= 400:
            return SessionError(str(first), status=status, was_lost=self._is_open and status == _LOST)
        if isinstance(first, MCPError) and first.code not in _BROKEN:
            return SessionError(first.message, code=first.code)
        return SessionError(str(first) or type(first).__name__)


def _first(error: BaseException) -> BaseException:
    """The first error of a group of groups."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def list_tools(client: "Client") -> Json:
    """Work: all tools of a server, page by page, as MCP lists them."""
    tools: list[Json] = []
    cursor = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += [_plain(tool, "name", "title", "description", "inputSchema", "annotations") for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            break
    return {"tools": tools}


async def call_tool(client: "Client", name: str, arguments: dict[str, Json]) -> Json:
    """Work: run a tool; its result."""
    result = await client.call_tool(name, arguments, read_timeout_seconds=CALL_SECONDS)
    return _plain(result, "content", "structuredContent", "isError")


def _plain(model: Any, *names: str) -> Json:
    """These fields of a model of the package's, as they came: the rest is of the server's day."""
    dumped = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: dumped[name] for name in names if name in dumped}


_Transport: TypeAlias = Callable[[str, dict[str, str], list[int]], AbstractAsyncContextManager["Client"]]


@asynccontextmanager
async def _connected(url: str, headers: dict[str, str], statuses: list[int]) -> AsyncIterator["Client"]:
    """A client that has spoken to the server, in whichever way it takes. ``statuses`` gathers HTTP's."""
    async with AsyncExitStack() as stack:
        yield await _opened(stack, url, headers, statuses)


async def _opened(stack: AsyncExitStack, url: str, headers: dict[str, str], statuses: list[int]) -> "Client":
    # With the handshake first: a server that can do with and without one keeps nothing from call to call without.
    try:
        return await stack.enter_async_context(_streamable(url, headers, statuses))
    except Exception as error:  # noqa: BLE001 - raised below, if no other way is left
        refusal, refused = error, list(statuses)
    for transport in _others(_first(refusal), refused):
        statuses.clear()
        try:
            return await stack.enter_async_context(transport(url, headers, statuses))
        except Exception:  # noqa: BLE001, S112 - what the server has against the first way says more
            continue
    statuses[:] = refused
    raise refusal


def _others(refusal: BaseException, statuses: list[int]) -> Iterator[_Transport]:
    """The ways that are left to speak to a server which refused the first one so."""
    from mcp import MCPError

    if isinstance(refusal, MCPError) and refusal.code in _NO_HANDSHAKE:
        yield partial(_streamable, mode="auto")
    if statuses and min(statuses) >= 400 and statuses[-1] in _NO_STREAMABLE_HTTP:
        yield _sse


@asynccontextmanager
async def _streamable(
    url: str, headers: dict[str, str], statuses: list[int], mode: str = "legacy"
) -> AsyncIterator["Client"]:
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async with (
        _http_client(headers, statuses, ("POST",)) as http,
        Client(
            streamable_http_client(url, http_client=http), cache=None, mode=mode, read_timeout_seconds=OPENING_SECONDS
        ) as client,
    ):
        yield client


@asynccontextmanager
async def _sse(url: str, headers: dict[str, str], statuses: list[int]) -> AsyncIterator["Client"]:
    from mcp import Client
    from mcp.client.sse import sse_client

    def factory(headers: dict[str, str] | None = None, *_: Any, **__: Any) -> "httpx2.AsyncClient":
        return _http_client(headers, statuses, ("GET", "POST"))

    transport = sse_client(url, headers=headers, httpx_client_factory=factory)
    async with Client(transport, cache=None, mode="legacy", read_timeout_seconds=OPENING_SECONDS) as client:
        yield client


def _http_client(headers: dict[str, str] | None, statuses: list[int], noted: tuple[str, ...]) -> "httpx2.AsyncClient":
    """A client that notes how requests of the methods ``noted`` were answered: the package does not tell.

    Beside the requests that matter it asks for a stream of the server's own news, which many do not have, and says
    goodbye.
    """
    import httpx2

    async def note(response: httpx2.Response) -> None:
        if response.request.method in noted:
            statuses.append(response.status_code)

    timeout = httpx2.Timeout(CONNECT_SECONDS, read=CALL_SECONDS)
    return httpx2.AsyncClient(
        headers=headers, timeout=timeout, verify=_certificates(), event_hooks={"response": [note]}
    )


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust. Each client would read it from the disk by itself, for some 20 ms in which nobody is answered."""
    import httpx2

    return httpx2.create_ssl_context()
