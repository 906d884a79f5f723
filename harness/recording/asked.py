"""A request out of a JSON file, whichever of the forms that people have at hand: a body, a request, a recording."""

import json

from harness.errors import RecordingError
from harness.recording.format import loads, to_exchange
from harness.recording.model import JSON_TYPE, Json, Request

_USUAL = {"messages": "/v1/chat/completions", "prompt": "/v1/completions"}
"""The endpoint that a field of the body says."""


def asked_from(text: str, *, path: str | None = None, scope: str | None = None) -> Request:
    """The request that a file's ``text`` is about.

    A recording asks what was recorded; an object with a ``body`` and a ``path`` or ``method`` is a request, with its
    ``scope``; anything else is a body alone, whose path follows from its fields. ``path``, which may have a query, and
    ``scope`` go before what the file says. Raises RecordingError when the text is not JSON or leaves out
    what is needed.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"not JSON: {error}", hint="Write a request's body, a request or a recording.") from error
    if isinstance(said, dict) and isinstance(said.get("request"), dict) and "response" in said:
        found = to_exchange(loads(text)).request
        there = f"{found.path}?{found.query}" if found.query else found.path
        return _request(found.method, path or there, found.body, scope or found.scope, found.media_type)
    if isinstance(said, dict) and "body" in said and ("path" in said or "method" in said):
        method, there_said, its_scope = (_text(said, name) for name in ("method", "path", "scope"))
        body = said["body"]
        return _request(method or "POST", path or there_said or _usual(body), body, scope or its_scope)
    return _request("POST", path or _usual(said), said, scope)


def _request(method: str, path: str, body: Json, scope: str | None, media_type: str = JSON_TYPE) -> Request:
    where, _, query = path.partition("?")
    return Request(method.upper(), where, body, scope, "&".join(sorted(query.split("&"))), media_type)


def _text(said: dict[str, Json], name: str) -> str | None:
    value = said.get(name)
    if not isinstance(value, str | None):
        raise RecordingError(f'"{name}" is neither text nor null.', hint="Write it in quotes.")
    return value


def _usual(body: Json) -> str:
    found = [path for field, path in _USUAL.items() if isinstance(body, dict) and field in body]
    if not found:
        raise RecordingError("The body does not say its endpoint.", hint="Name it: --path /v1/embeddings")
    return found[0]
