"""Requests without a socket that are answered in the thread of whoever asks: what is at hand needs no event loop.

That is what was asked before, and what the backend has at hand of plain requests to its own endpoints. What is said in
any other way is the server's, whose parser and router know more.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web

from harness.backends.protocol import Call
from harness.errors import HarnessError
from harness.server.context import SCOPE_HEADER, SERVICES, whole_text
from harness.server.inference import INFERRED, REPEATS, for_upstream, wants_keeping
from harness.server.repeats import Whole

_MOST_BYTES = 8000
"""How long a head may be: aiohttp takes no line of more than 8190."""

_BEGINNING = re.compile(
    rb"POST (?:/scope/((?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+))?(/v1/[a-z/]+) HTTP/1\.0\r\nContent-Length: [0-9]+\r\n"
)
"""Scope and path of a plain request, and the one header that no two requests need share."""

_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*")
"""Other headers: RFC 9112, sections 3 and 5, without what it lets pass for old clients."""

_SCOPE = SCOPE_HEADER.lower()

_NOT_PLAIN = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade", "connection"})
"""Headers that say how the rest is to be read, or that there is more than an answer to come."""


def answer_at_hand(app: web.Application, request: bytes) -> Whole | None:
    """The answer that the server would give to a request, all of it; None when the server has to be asked."""
    whole = app[REPEATS].answer(request)
    services = app[SERVICES]
    if whole is not None or services.at_hand is None:
        return whole
    call = call_of(request)
    if call is None or (services.local_responses and _may_be_kept(call)):
        return None
    if not services.unscoped.shows(call.scope):
        return None
    answer = services.at_hand.at_hand(call)
    if answer is None:
        return None
    if answer.again is not None:
        answer.again = services.unscoped.while_shown(call.scope, answer.again)
    return app[REPEATS].whole(request, answer)


def _may_be_kept(call: Call) -> bool:
    try:
        return wants_keeping(call)
    except HarnessError:
        return True


def call_of(request: bytes) -> Call | None:
    """A request in HTTP/1.0 as the call that it is for the backend; None when it is none, or not plain."""
    end = request.find(b"\r\n\r\n") + 2
    match = _BEGINNING.match(request, 0, end) if end <= _MOST_BYTES else None
    if match is None or (path := match[2].decode()) not in INFERRED:
        return None
    said = _said(request[match.end() : end])
    if said is None:
        return None
    scope = said.scope
    if match[1] is not None:
        try:
            scope = unquote(match[1].decode(), errors="strict")
        except UnicodeDecodeError:
            return None
    return Call("POST", path, request[end + 2 :], whole_text(scope), said.for_upstream)


class _Said(NamedTuple):
    """What a call takes from its headers."""

    scope: str | None
    for_upstream: Mapping[str, str]


@lru_cache(maxsize=128)
def _said(fields: bytes) -> _Said | None:
    """Of the headers of a plain request; None when it is not plain. A client sends the same with every request."""
    if not _FIELDS.fullmatch(fields):
        return None
    parts = [line.partition(":") for line in fields.decode("utf-8", "surrogateescape").split("\r\n")[:-1]]
    headers = [(name.lower(), value.strip(" \t")) for name, _, value in parts]
    if any(name in _NOT_PLAIN for name, _ in headers):
        return None
    scope = next((value for name, value in headers if name == _SCOPE), None)
    return _Said(scope, for_upstream(headers))
