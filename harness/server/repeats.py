"""Repeated requests, answered before they are parsed.

Most of what a mock server hears it has heard before, byte for byte: a client sends the same headers with the same
body. Such a request is answered from prepared bytes by its connection itself; parsing, routing and rendering happen the
first time only. Whatever else a connection carries (what is new, pipelined, chunked, to be closed) goes to aiohttp. A
request without a socket is answered again in the thread of whoever asks.
"""

import re
import threading
from asyncio import BaseTransport, Protocol, Transport
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web

from harness.backends.protocol import Answer
from harness.server.pipe import Pipe

_LARGEST_REQUEST = 64 * 1024
_LARGEST_ANSWER = 1024 * 1024
"""Bytes. To write what is larger takes longer than to find it anew."""
_MOST_REQUESTS = 4096
_MOST_BYTES = 32 * 1024 * 1024
_OVERHEAD = 1000
"""Bytes, about, of what is known of a request, or of an answer, beside what was sent."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*(?=\r\n)", re.IGNORECASE)
_NOT_PLAIN = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade|connection:[ \t]*close)", re.IGNORECASE)

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

Headers: TypeAlias = Callable[[Answer], Mapping[str, str]]


@dataclass(frozen=True)
class Whole:
    """All of an HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @cached_property
    def data(self) -> bytes:
        """The answer as aiohttp writes it."""
        head = [f"HTTP/1.1 {self.status} {_PHRASES.get(self.status, '')}".encode()]
        head += [name + b": " + value for name, value in self.headers]
        return b"\r\n".join([*head, b"", self.body])


class Repeats:
    """The requests of a server that are known how to be answered again; the oldest is forgotten first.

    They are bounded in number and, with their answers, in bytes.
    """

    def __init__(self, headers: Headers) -> None:
        self._headers = headers
        self._known: OrderedDict[bytes, _Repeat] = OrderedDict()
        self._bytes = 0
        self._one_at_a_time = threading.Lock()
        """Whoever changes what is known holds it."""

    def respond(self, request: web.Request, answer: Answer) -> web.Response:
        """The response to a request that may come again: its connection is watched from now on."""
        transport, connection = request.transport, None
        if isinstance(transport, Pipe):
            self.remember(transport.request, answer)
        elif isinstance(transport, Transport):
            connection = self._watched(transport)
        return _Response(connection, answer, self._headers(answer))

    def _watched(self, transport: Transport) -> "_Connection | None":
        protocol = transport.get_protocol()
        if isinstance(protocol, _Connection) or not isinstance(protocol, Protocol):
            return protocol if isinstance(protocol, _Connection) else None
        connection = _Connection(self, transport, protocol)
        transport.set_protocol(connection)
        return connection

    def answer(self, request: bytes) -> Whole | None:
        """The answer to a request that was answered before; None when it has to be handled. For any thread."""
        known = self._known.get(request)
        if known is None:
            return None
        answer = known.again()
        if answer is None or answer.body is None:
            self._change(request, known, None)
            return None
        whole = known.had.get(answer.recording)
        if whole is None or whole.body is not answer.body:
            whole = _whole(answer, answer.body, self._headers(answer))
            if len(whole.body) <= _LARGEST_ANSWER:
                self._change(request, known, replace(known, had={**known.had, answer.recording: whole}))
        return whole

    def remember(self, request: bytes, answer: Answer) -> None:
        is_plain = request.startswith((b"POST ", b"GET ")) and answer.status not in _WITHOUT_BODY
        is_small = len(request) <= _LARGEST_REQUEST and len(answer.body or b"") <= _LARGEST_ANSWER
        if answer.again is not None and is_plain and is_small:
            self._change(request, self._known.get(request), _Repeat(answer.again, len(request)))

    def _change(self, request: bytes, old: "_Repeat | None", new: "_Repeat | None") -> None:
        """Put ``new`` in the place of ``old``, unless another thread was quicker; None is not known."""
        with self._one_at_a_time:
            if self._known.get(request) is not old:
                return
            self._bytes += (new.size if new else 0) - (old.size if old else 0)
            if new is None:
                self._known.pop(request, None)
            else:
                self._known[request] = new
            while len(self._known) > _MOST_REQUESTS or self._bytes > _MOST_BYTES:
                self._bytes -= self._known.popitem(last=False)[1].size

    def whole(self, request: bytes, answer: Answer) -> Whole:
        """An answer that has all of its body, as HTTP. For any thread; the request is known from then on."""
        self.remember(request, answer)
        return _whole(answer, answer.body or b"", self._headers(answer))


@dataclass(frozen=True)
class _Repeat:
    """How a request of some length is answered again, and the answers that it had, by the recording's name."""

    again: Callable[[], Answer | None]
    length: int
    had: Mapping[str | None, Whole] = field(default_factory=dict)

    @cached_property
    def size(self) -> int:
        """Bytes that it holds, about: the request also as a call, read; answers also with their heads before them."""
        return _OVERHEAD + 4 * self.length + sum(2 * len(whole.body) + _OVERHEAD for whole in self.had.values())


def _whole(answer: Answer, body: bytes, headers: Mapping[str, str]) -> Whole:
    all_headers = {**headers, "Content-Length": str(len(body))}
    return Whole(answer.status, [(name.encode(), value.encode()) for name, value in all_headers.items()], body)


class _Response(web.Response):
    """A response that tells its connection when all of it is written."""

    def __init__(self, connection: "_Connection | None", answer: Answer, headers: Mapping[str, str]) -> None:
        super().__init__(status=answer.status, body=answer.body, headers=headers)
        self._connection, self._answer = connection, answer

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        if self._connection is not None:
            self._connection.answered(self._answer)


class _Connection(Protocol):
    """Stands between a transport and aiohttp's handler, and finds where each request ends.

    It knows that only while requests are plain (a head, a body of a told length) and come one after another. The first
    time that it does not, everything goes to aiohttp for the rest of the connection.
    """

    def __init__(self, repeats: Repeats, transport: Transport, handler: Protocol) -> None:
        self._repeats, self._transport, self._handler = repeats, transport, handler
        self._held = b""
        self._asked: bytes | None = None
        self._is_busy = True
        self._is_watched = True
        self._is_paused = False

    def data_received(self, data: bytes) -> None:
        if not self._is_watched:
            self._handler.data_received(data)
        elif self._is_busy:
            self._give_up(data)
        else:
            self._held = self._held + data if self._held else data
            self._look()

    def _look(self) -> None:
        """Answer what is held, hand it on, or wait for the rest of it."""
        held = self._held
        answer = None if self._is_paused else self._repeats.answer(held)
        if answer is not None:
            self._held = b""
            self._transport.write(answer.data)
            return
        missing = _missing(held)
        if missing is None or missing < 0:
            self._give_up(b"")
        elif missing == 0:
            self._held, self._asked, self._is_busy = b"", held, True
            self._handler.data_received(held)

    def _give_up(self, data: bytes) -> None:
        self._is_watched, self._asked = False, None
        held, self._held = self._held, b""
        self._handler.data_received(held + data)

    def answered(self, answer: Answer) -> None:
        """All of ``answer`` to what was handed on last is written."""
        self._is_busy = False
        if self._asked is not None:
            self._repeats.remember(self._asked, answer)

    def connection_made(self, transport: BaseTransport) -> None:
        """Not called: the connection was made before it was watched."""

    def eof_received(self) -> bool | None:
        if self._held:
            self._give_up(b"")
        return self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._is_paused = True
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._handler.resume_writing()


def _missing(data: bytes) -> int | None:
    """How many bytes of a plain request are still to come, negative when there are too many; None when it is not plain.

    Of a head that has not ended, one more at least.
    """
    end = data.find(b"\r\n\r\n") + 4
    if len(data) > _LARGEST_REQUEST:
        return None
    if end < 4:
        return 1
    head = data[: end - 2]
    lengths = _LENGTH.findall(head)
    if len(lengths) > 1 or _NOT_PLAIN.search(head) or b" HTTP/1.1\r\n" not in head:
        return None
    return end + (int(lengths[0]) if lengths else 0) - len(data)
