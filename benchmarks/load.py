"""A load generator for one core: connections that ask the same request again and again, and count whole answers."""

import asyncio
import re
import time
from dataclasses import dataclass

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(slots=True)
class Count:
    """Whole answers so far, and the first of them, for a look at what was counted."""

    answers: int = 0
    first: bytes = b""


class _Asking(asyncio.Protocol):
    """One connection: sends, waits for the end of the answer, sends again."""

    def __init__(self, request: bytes, count: Count) -> None:
        self._request, self._count = request, count
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if not _is_whole(self._seen):
            return
        if not self._count.first:
            self._count.first = self._seen
        self._count.answers += 1
        self._seen = b""
        self._transport.write(self._request)


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    length = _LENGTH.search(head)
    return len(body) >= int(length[1]) if length else answer.endswith(_LAST_CHUNK)


def post(host: str, path: str, body: bytes) -> bytes:
    """An HTTP/1.1 request as bytes."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def answers_a_second(
    port: int, path: str, body: bytes, *, connections: int, seconds: float
) -> tuple[float, bytes]:
    """The rate at which a server on this machine answers, after a fifth of the time for warming up; and an answer."""
    loop = asyncio.get_running_loop()
    count = Count()
    request = post(f"127.0.0.1:{port}", path, body)
    opened = [
        await loop.create_connection(lambda: _Asking(request, count), "127.0.0.1", port) for _ in range(connections)
    ]
    await asyncio.sleep(seconds / 5)
    before, began = count.answers, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (count.answers - before) / (time.perf_counter() - began)
    for transport, _ in opened:
        transport.abort()
    return rate, count.first
