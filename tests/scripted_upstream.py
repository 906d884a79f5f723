"""An upstream that says exactly what a test wants, byte for byte, and breaks off where the test wants it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chat completion chunk as an upstream sends it: with an id and a time of its own."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    shared = {"id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    return {**shared, "choices": [choice], **more}


def sse(*chunks: dict[str, Any], done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(item, ensure_ascii=False)}\n\n" for item in chunks]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def http(body: bytes, *, status: int = 200, media: str = "application/json", headers: str = "") -> bytes:
    """A response whose length is known, so that an early end is seen."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def stream(*chunks: dict[str, Any], done: bool = True) -> bytes:
    """A stream that ends with the connection, as HTTP/1.0 servers send it: an early end is not seen by HTTP."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + sse(*chunks, done=done)


@dataclass
class ScriptedUpstream:
    """Answers the n-th request with the n-th of ``answers`` (past the last, the last), cut after ``cut`` bytes.

    ``requests`` holds what was asked: the head and the body. With ``pause`` set, answers wait for it after
    ``pause_after``: their head, if nothing else is said. ``reply`` makes the answer from the request's body, in the
    place of ``answers``. Requests for ``silent_at``, a path, are noted, and never answered.
    """

    answers: list[bytes]
    cut: int | None = None
    requests: list[tuple[str, Any]] = field(default_factory=list)
    port: int = 0
    pause: threading.Event | None = None
    pause_after: bytes = b"\r\n\r\n"
    piece: int = 1 << 20
    reply: Callable[[dict[str, Any]], bytes] | None = None
    silent_at: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _answer(self) -> bytes:
        if self.reply is not None:
            return self.reply(self.requests[-1][1])
        return self.answers[min(len(self.requests), len(self.answers)) - 1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
            body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b""
            self.requests.append((head, _decoded(body)))
            if self.silent_at == head.split()[1]:
                await reader.read()
                return
            answer = self._answer()[: self.cut]
            start = answer.find(self.pause_after) + len(self.pause_after) if self.pause else 0
            writer.write(answer[:start])
            await writer.drain()
            if self.pause:
                await asyncio.to_thread(self.pause.wait, 10)
            for place in range(start, len(answer), self.piece):
                writer.write(answer[place : place + self.piece])
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The harness went away: nothing left to say.
        finally:
            writer.close()


def _decoded(body: bytes) -> Any:
    """JSON, an empty object for nothing, and any other body as it came."""
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return body


@contextmanager
def scripted(*answers: bytes, **options: Any) -> Iterator[ScriptedUpstream]:
    """A scripted upstream on a free port, in a thread of its own."""
    upstream = ScriptedUpstream(list(answers), **options)
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def main() -> None:
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        upstream.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    ready.wait()
    try:
        yield upstream
    finally:
        if upstream.pause:
            upstream.pause.set()
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
