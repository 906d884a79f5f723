"""A real MCP server on a free port, in a thread: its tools note that they were run, and one counts in its session."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer


@dataclass
class Served:
    """A server that runs: where it is, the calls that it got, and the methods and headers of its requests."""

    url: str = ""
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP, ``after`` so many seconds; one that ``breaks_off`` is a byte short of what it says."""

    status: int
    body: bytes = b""
    after: float = 0
    breaks_off: bool = False


def _server(served: Served, *, counting: bool) -> "MCPServer[Any]":
    # Slow to import, and this module is by all that are collected.
    from mcp.server.mcpserver import Context, MCPServer
    from mcp_types import ToolAnnotations

    server = MCPServer("tools", log_level="CRITICAL")

    def count(ctx: Context) -> str:
        session = (ctx.headers or {}).get("mcp-session-id", "none")
        served.counts[session] += 1
        return str(served.counts[session])

    @server.tool(description="Adds two numbers.", annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> str:
        served.calls.append(f"add {a} {b}")
        return str(a + b)

    @server.tool(description="Sends a letter.")
    def send(to: str) -> str:
        served.calls.append(f"send {to}")
        if to == "nobody":
            raise ValueError(to)
        return f"Sent to {to}."

    if counting:
        server.add_tool(count, description="Counts its calls in this session.")
    return server


@contextmanager
def mcp_server(
    *,
    sse: bool = False,
    token: str | None = None,
    counting: bool = False,
    refuses: Callable[[Served, bytes], Reply | None] | None = None,
) -> Iterator[Served]:
    """The server over streamable HTTP, or over the older transport. With ``token`` it turns others away.

    ``counting`` gives it a tool that keeps something for a session. ``refuses`` sees the body of each POST, and may
    answer it in the server's place.
    """
    served = Served()
    server = _server(served, counting=counting)
    app = server.sse_app() if sse else server.streamable_http_app()
    with listening(_Door(app, served, token, refuses)) as port:
        served.url = f"http://127.0.0.1:{port}/{'sse' if sse else 'mcp'}"
        yield served


class _Door:
    """Notes who comes, and keeps out who is not to come in."""

    def __init__(
        self, app: Any, served: Served, token: str | None, refuses: Callable[[Served, bytes], Reply | None] | None
    ) -> None:
        self._app, self._served, self._token, self._refuses = app, served, token, refuses

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        reply = None
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self._served.headers.append(headers)
            self._served.methods.append(scope["method"])
            if self._token and headers.get("authorization") != f"Bearer {self._token}":
                reply = Reply(401)
            elif self._refuses is not None and scope["method"] == "POST":
                message = await receive()
                reply = self._refuses(self._served, message["body"])
                receive = _again(message, receive)
        await (self._app(scope, receive, send) if reply is None else _reply(send, reply))


async def _reply(send: Any, reply: Reply) -> None:
    await asyncio.sleep(reply.after)
    length = str(len(reply.body) + (1 if reply.breaks_off else 0)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _again(message: Any, receive: Any) -> Any:
    """What gives a message once more, and then what comes."""
    first = [message]

    async def replay() -> Any:
        return first.pop() if first else await receive()

    return replay


@contextmanager
def listening(app: Callable[..., Any]) -> Iterator[int]:
    """An ASGI application on a free port, which is given."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
