"""An exchange as it crossed the wire, made one of ours, and back: for cassettes, archives, the bridge.

Unlike a recording that is made while it is answered, one that is made afterwards keeps its ids and times: its client
saw them, and the requests that followed quote them.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from harness.errors import InvalidRequest, RecordingError, UpstreamError
from harness.recording.answer import encode, render
from harness.recording.bodies import (
    BINARY,
    TEXT,
    base_type,
    content,
    is_stream,
    request_body,
    response_body,
)
from harness.recording.content_coding import decoded
from harness.recording.format import file_url
from harness.recording.headers import normalized, served
from harness.recording.key import key
from harness.recording.model import JSON_TYPE, MULTIPART, STREAM_TYPE, Exchange, Json, Request, Response
from harness.recording.normalize import without_padding
from harness.recording.providers import inferred_path, is_url, recorded_path
from harness.recording.redact import BUILT_IN, Redactor, secrets_of
from harness.recording.transcript import transcript

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+ *(;.*)?", re.DOTALL)
_BOUNDARY = "harness-form"
_ERROR = 400
_WITHOUT_BODY = ("GET", "HEAD", "DELETE", "OPTIONS")
_HIDDEN_HOST = "https://api.openai.com"
"""Whose answer it is where the URL was hidden."""
_OWN_PATH = "path"
"""What ``provider_metadata`` calls the path that a provider has for a recording's (``recorded_path``)."""
_OWN_ORIGIN = "origin"
"""What it calls scheme, host and port where a file's URL says others (``file_url``)."""
_CASSETTE = "cassette"


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """A request and its response as they crossed the wire. Names of headers are in lower case."""

    method: str
    url: str
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request_body: bytes = b""
    status: int = 200
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: bytes = b""


def asked(http: HttpExchange, scope: str | None = None) -> Request:
    """The request, as a client of the harness would have made it. Raises RecordingError when it cannot be read."""
    body, media_type = _asked_body(http)
    if not is_url(http.url):
        path = inferred_path(body, _first_value(http))
        if path is None:
            raise RecordingError("its URL is hidden, and nothing says its endpoint", hint="Record it again.")
        return Request(http.method.upper(), path, body, scope, media_type=media_type)
    parts = urlsplit(http.url)
    query = "&".join(sorted(parts.query.split("&")))
    return Request(http.method.upper(), recorded_path(parts.path), body, scope, query, media_type)


def _asked_body(http: HttpExchange) -> tuple[Json, str]:
    raw = decoded(http.request_body, http.request_headers.get("content-encoding", ""))
    said = _media_type(http.request_headers)
    try:
        body = request_body(raw, said)
    except InvalidRequest as error:
        raise RecordingError(f"its request cannot be read: {error.message}", hint="Record it again.") from error
    return body, (base_type(said) or JSON_TYPE) if raw.strip() and not _is_plain(body) else JSON_TYPE


def _is_plain(body: Json) -> bool:
    """Whether a body is JSON itself, not an object that stands for something else."""
    return not isinstance(body, dict) or len(body) != 1 or not {TEXT, BINARY, MULTIPART} & body.keys()


def body_of(http: HttpExchange) -> Json:
    """The JSON of a request; None when it has none that can be read."""
    try:
        return _asked_body(http)[0]
    except RecordingError:
        return None


def exchange_of(http: HttpExchange, scope: str | None = None, redactor: Redactor = BUILT_IN) -> Exchange:
    """The exchange to write down, without secrets: credentials go, and what they were is hidden wherever it stands.

    Raises RecordingError when there is no recording for it, with what it is about as the message.
    """
    request, known = asked(http, scope), credentials(http)
    clean = redactor.request(request, known)
    answer = _answer(http, request, key(clean, redactor))
    if not is_url(http.url):
        return redactor.exchange(Exchange(request, answer, _HIDDEN_HOST), known)
    parts = urlsplit(http.url)
    metadata = None if parts.path == request.path else {_OWN_PATH: parts.path}
    return redactor.exchange(Exchange(request, answer, f"{parts.scheme}://{parts.hostname}", metadata), known)


def from_cassette(http: HttpExchange) -> dict[str, Json]:
    """What ``provider_metadata`` says of an interaction that was taken over from a cassette of vcrpy's.

    That it was, and whom it asked where the URL of a recording does not tell: an address of one machine, and a port.
    """
    parts = urlsplit(http.url if is_url(http.url) else _HIDDEN_HOST)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return {_CASSETTE: True} | ({} if file_url(origin, "") == origin else {_OWN_ORIGIN: origin})


def was_in_cassette(exchange: Exchange) -> bool:
    """Whether ``from_cassette`` says so."""
    return (exchange.metadata or {}).get(_CASSETTE) is True


def credentials(http: HttpExchange) -> list[str]:
    """What the headers of a request give away. What recorders put in its place is no secret, and has no digit."""
    return [secret for secret in secrets_of(http.request_headers) if any(map(str.isdigit, secret))]


def _answer(http: HttpExchange, request: Request, name: str) -> Response:
    raw = decoded(http.response_body, http.response_headers.get("content-encoding", ""))
    said = _media_type(http.response_headers) or _sniffed(raw)
    headers = normalized(served(http.response_headers), name)
    if is_stream(said) and http.status < _ERROR:
        return _stream(raw, request.path, said, http.status, headers)
    try:
        body, media_type = response_body(raw, said)
    except ValueError:
        # It says that it is JSON: an empty body, or a gateway's page.
        body, media_type = {TEXT: raw.decode(errors="replace")}, said
    return Response(without_padding(body), status=http.status, media_type=media_type, headers=headers)


def _stream(raw: bytes, path: str, media_type: str, status: int, headers: Mapping[str, str]) -> Response:
    said = transcript(path, media_type, without_padding)
    # An editor may have taken the empty line that ends the last event.
    whole = raw.rstrip().endswith((b"}", b"[DONE]"))
    try:
        # What the upstream said of its failure is among what has passed.
        with suppress(UpstreamError):
            for _ in said.feed(raw.rstrip() + b"\n\n" if whole else raw):
                pass
            said.end()
    except ValueError as error:
        raise RecordingError(f"its stream cannot be read: {error}", hint="Record it again.") from error
    if raw.strip() and not said.body:
        raise RecordingError("its stream is none of its endpoint's kind", hint="Record it again.")
    return Response(said.body, True, status, said.media_type, headers)  # noqa: FBT003 - is_streaming, as everywhere


def _media_type(headers: Mapping[str, str]) -> str:
    """The value of Content-Type; nothing where it is not there, or was hidden."""
    said = headers.get("content-type", "").strip()
    return said if _MEDIA_TYPE.fullmatch(said) else ""


def _sniffed(raw: bytes) -> str:
    """What a body without a type is."""
    if raw.lstrip().startswith((b"data:", b"event:")):
        return STREAM_TYPE
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        try:
            raw.decode()
        except UnicodeDecodeError:
            return "application/octet-stream"
        return "text/plain"
    return JSON_TYPE


def _first_value(http: HttpExchange) -> Json:
    """The JSON of an answer, or of the first event of a stream; None where there is none."""
    raw = http.response_body
    with suppress(RecordingError):
        raw = decoded(raw, http.response_headers.get("content-encoding", ""))
    found = re.search(rb"^data: ?(\{.*\})\r?$", raw, re.MULTILINE)
    try:
        return json.loads(found[1] if found and _sniffed(raw) == STREAM_TYPE else raw)
    except (ValueError, RecursionError):
        return None


def http_of(exchange: Exchange) -> HttpExchange:
    """The exchange as a client would see it: what a cassette holds.

    Raises RecordingError for what no recording keeps (the files of a form, a request's bytes) and for broken streams.
    """
    request, response = exchange.request, exchange.response
    if response.is_broken:
        raise RecordingError("its stream broke off, which a cassette cannot say", hint="Keep the recording.")
    headers, body = _asked_bytes(request)
    said_type, said = _said_bytes(response, request)
    query = f"?{request.query}" if request.query else ""
    return HttpExchange(
        request.method,
        _own_url(exchange) + query,
        headers,
        body,
        response.status,
        {"content-type": said_type, **response.headers},
        said,
    )


def _own_url(exchange: Exchange) -> str:
    metadata = exchange.metadata or {}
    own, origin = metadata.get(_OWN_PATH), metadata.get(_OWN_ORIGIN)
    path = own if isinstance(own, str) and own.startswith("/") else exchange.request.path
    return f"{origin}{path}" if isinstance(origin, str) and is_url(origin) else file_url(exchange.provider, path)


def _asked_bytes(request: Request) -> tuple[dict[str, str], bytes]:
    body = request.body
    if isinstance(body, dict) and isinstance(body.get(MULTIPART), list):
        return {"content-type": f"{request.media_type}; boundary={_BOUNDARY}"}, _form(body[MULTIPART])
    if isinstance(body, dict) and BINARY in body:
        raise RecordingError("its request is bytes, which a recording does not keep", hint="Keep the recording.")
    if body in ({}, None) and request.method in _WITHOUT_BODY:
        return {}, b""
    text = content(body, request.media_type)
    return {"content-type": request.media_type}, encode(body) if text is None else text


def _form(parts: list[Json]) -> bytes:
    files = [str(part.get("filename") or part.get("name")) for part in parts if "value" not in part]
    if files:
        raise RecordingError(
            f"its request is a form with {', '.join(files)}, of which a recording keeps a digest alone",
            hint="Keep the recording, or let vcrpy record its test: pytest --record-mode=once",
        )
    pieces = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{part["name"]}"\r\n\r\n{part["value"]}\r\n'
        for part in parts
    ]
    return "".join([*pieces, f"--{_BOUNDARY}--\r\n"]).encode()


def _said_bytes(response: Response, request: Request) -> tuple[str, bytes]:
    """The whole answer. Whoever asked for a stream got all that was recorded of it, the usage included."""
    if response.is_streaming and request.wants_stream and isinstance(request.body, dict):
        request = replace(request, body={**request.body, "stream_options": {"include_usage": True}})
    rendered = render(response, request)
    return rendered.media_type, rendered.body
