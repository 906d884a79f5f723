"""A real MCP server on a free port, in a thread: tools that count how often they were run."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations


@dataclass
class Served:
    """A server that runs: where it is, the calls that it got, and the headers that came with its requests."""

    url: str = ""
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def _server(served: Served) -> MCPServer[Any]:
    server = MCPServer("tools", log_level="CRITICAL")

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

    return server


@contextmanager
def mcp_server(*, sse: bool = False, token: str | None = None) -> Iterator[Served]:
    """The server over streamable HTTP, or over the older transport. With ``token`` it turns others away."""
    served = Served()
    server = _server(served)
    app = server.sse_app() if sse else server.streamable_http_app(stateless_http=True)
    with listening(_Door(app, served, token)) as port:
        served.url = f"http://127.0.0.1:{port}/{'sse' if sse else 'mcp'}"
        yield served


class _Door:
    """Notes who comes, and keeps out who has not the token."""

    def __init__(self, app: Any, served: Served, token: str | None) -> None:
        self._app, self._served, self._token = app, served, token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope.get("headers", ())}
        if scope["type"] == "http":
            self._served.headers.append(headers)
        if scope["type"] == "http" and self._token and headers.get("authorization") != f"Bearer {self._token}":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)


@contextmanager
def listening(app: Callable[..., Any]) -> Iterator[int]:
    """An ASGI application on a free port, which is given."""
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
