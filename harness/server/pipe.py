"""A connection in memory: the server reads and writes it as it would a socket, byte for byte."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

Deliver = Callable[[bytes | None], None]
"""Takes what the server writes, piece by piece, then None for the end. Called in the server's loop."""


class Pipe(asyncio.Transport):
    """One request's connection to a server. All of it happens in the server's event loop.

    What the client would send is there at once; ``deliver`` gets what comes back.
    """

    def __init__(self, deliver: Deliver) -> None:
        super().__init__()
        self._deliver = deliver
        self._protocol: asyncio.BaseProtocol | None = None
        self._closed = False
        self.request = b""
        """All that the client sends."""

    def open(self, server: web.Server, data: bytes) -> None:
        """Connect to ``server``, and send ``data``."""
        self.request = data
        self._protocol = handler = server()
        handler.connection_made(self)
        handler.data_received(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closed:
            self._deliver(bytes(data))

    def close(self) -> None:
        """Either side hangs up."""
        if not self._closed:
            self._closed = True
            self._deliver(None)
            if self._protocol is not None:
                asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def pause_reading(self) -> None:
        """All of the request is there already."""

    def resume_reading(self) -> None:
        """All of the request is there already."""
