"""HTTP between a client library's objects and our own server in the same process. No I/O."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

Headers = list[tuple[bytes, bytes]]

_OURS = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding", b"accept-encoding", b"expect"})
"""Headers of the connection, which is another one here."""

SCOPE_HEADER = "x-harness-test-id"

_SCOPED = re.compile(r"/scope/[^/]+(?=/)")
"""What a base URL that carries its scope begins with."""


def target(path: str, scope: str | None) -> str:
    """Where the server has what a client asks of any provider: from ``/v1/`` on, with the scope before it.

    Without a ``scope`` that of the URL stays, if it carries one.
    """
    carried = _SCOPED.match(path)
    before, found, rest = path[carried.end() if carried else 0 :].partition("/v1/")
    asked = f"/v1/{rest}" if found else f"/v1{before}"
    if scope is None:
        return (carried[0] if carried else "") + asked
    return f"/scope/{quote(scope, safe='')}{asked}"


def request(method: str, path: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A request as bytes, in HTTP/1.0: the answer then ends with its connection, and is not cut into chunks.

    Raises ValueError for a header that is more than one line.
    """
    own = [f"{method} {path} HTTP/1.0".encode(), b"Content-Length: %d" % len(body), b"Host: harness"]
    lines = own + [name + b": " + value for name, value in headers if name.lower() not in _OURS]
    head = b"\r\n".join([*lines, b"", b""])
    if not head.count(b"\r") == head.count(b"\n") == len(lines) + 1:
        raise ValueError("A header holds the end of a line.")
    return head + body


@dataclass(slots=True)
class Answer:
    """The answer of our own server to such a request, as it comes. ``is_over`` once all of it is there."""

    method: str
    status: int = 0
    headers: Headers = field(default_factory=list)
    is_over: bool = False
    _head: bytes = b""
    _missing: int | None = None
    """How much of the body is to come, where the head says so."""

    def receive(self, piece: bytes | None) -> bytes:
        """What ``piece`` brings of the body; with the first of it, ``status`` and ``headers`` are set.

        None is the end. Raises EOFError when that comes too early.
        """
        if piece is None:
            self.is_over = True
            if not self.status or self._missing:
                raise EOFError("The harness hung up before the end of its answer.")
            return b""
        if not self.status:
            head, found, piece = (self._head + piece).partition(b"\r\n\r\n")
            if not found:
                self._head = head
                return b""
            self._read(head)
        if self._missing is not None:
            self._missing -= len(piece)
            self.is_over = not self._missing
        return piece

    def _read(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        self.headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        said = next((int(value) for name, value in self.headers if name.lower() == b"content-length"), None)
        self._missing = 0 if self.method == "HEAD" else said
        self.status = int(first.split(b" ", 2)[1])
