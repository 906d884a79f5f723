"""A recording's file: text to document, document to exchange, and back.

A *document* is the file's JSON as it stands: what we do not know in it is kept, so that loading and dumping a file of
any age changes none of its content. Format 1 is that of OGX's recordings (``{"__type__", "__data__"}`` around each
body); its older generations (no ``test_id``, no ``id_normalization_mapping``, ``payload`` in place of ``body``, raw
bodies without a label) are read as well. ``__type__`` is a label from a table, never a class to import.
"""

import ipaddress
import json
from typing import TypeAlias
from urllib.parse import urlsplit

from harness.errors import NotHttp, RecordingError
from harness.recording.bodies import content
from harness.recording.canonical import endpoint_of
from harness.recording.model import JSON_TYPE, Exchange, Json, Request, Response

Document: TypeAlias = dict[str, Json]

_TYPES = {
    ("/v1/chat/completions", False): "openai.types.chat.chat_completion.ChatCompletion",
    ("/v1/chat/completions", True): "openai.types.chat.chat_completion_chunk.ChatCompletionChunk",
    ("/v1/completions", False): "openai.types.completion.Completion",
    ("/v1/completions", True): "openai.types.completion.Completion",
    ("/v1/embeddings", False): "openai.types.create_embedding_response.CreateEmbeddingResponse",
}
_LISTING = "/v1/models"
"""The endpoint whose answer is written as a list: its ``data`` alone, other fields beside it as ``envelope``."""
_MODEL_TYPE = "openai.types.model.Model"

_INDENT = 2
_OPENING, _CLOSING, _EMPTY = ("[", "{"), ("]", "}"), ("[]", "{}")

_OK = 200
_ERROR, _FAILURE = 400, 500

_OF_TOOLS = frozenset({"tool_name", "api"})
"""What the request of OGX's exchanges with tools, and with what reads files, names in place of a URL."""

_LOCAL_ENDINGS = (".local", ".localhost", ".internal", ".lan")

_ERROR_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


def loads(text: str) -> Document:
    """A file's text as a document. Raises RecordingError when it is not JSON, or not a recording."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"not JSON: {error}", hint="Record it again, or restore the file.") from error
    if not isinstance(document, dict) or not isinstance(document.get("request"), dict):
        raise RecordingError('not a recording: no "request" object', hint="Move the file elsewhere.")
    if not isinstance(document.get("response"), dict):
        raise RecordingError('not a recording: no "response" object', hint="Move the file elsewhere.")
    return document


def dumps(document: Document) -> str:
    """The file's text: indent 2, ASCII escapes, a final newline, keys in the document's own order."""
    return json.dumps(document, indent=_INDENT) + "\n"


def is_dumped(text: str, document: Document) -> bool:
    """Whether ``text`` is that of :func:`dumps`, or the same without ASCII escapes, as older recordings have it.

    Many times as quick as comparing: Python's encoder is slow where it is to indent.
    """
    *lines, rest = text.split("\n")
    said = [line.lstrip(" ") for line in lines]
    if rest or not _is_indented(lines, said):
        return False
    flat = "\n".join(said)
    for broken, whole in (("{\n", "{"), ("[\n", "["), ("\n}", "}"), ("\n]", "]")):
        flat = flat.replace(broken, whole)
    return flat == json.dumps(document, ensure_ascii=text.isascii(), separators=(",\n", ": "))


def _is_indented(lines: list[str], texts: list[str]) -> bool:
    """Whether each line is as deep as it should be, and each bracket that is not empty opens one and closes one."""
    depth, before = 0, ""
    for line, said in zip(lines, texts, strict=True):
        value = said.removesuffix(",")
        if value in _CLOSING:
            depth -= _INDENT
        elif value.endswith(_CLOSING) and not value.endswith(_EMPTY):
            return False
        if len(line) - len(said) != depth or (value in _CLOSING and before.endswith(_OPENING)):
            return False
        if said.endswith(_OPENING):
            depth += _INDENT
        before = said
    return True


def to_exchange(document: Document) -> Exchange:
    """What a document records.

    Raises RecordingError when a part that an answer needs is missing, NotHttp for an exchange of OGX's with a tool.
    """
    request, response = document["request"], document["response"]
    if "url" not in request and not _OF_TOOLS.isdisjoint(request):
        raise NotHttp(NotHttp.said, hint="Leave it to OGX, or move it elsewhere.")
    provider, path, query = _parts_of(request.get("url"))
    scope = document.get("test_id")
    if not isinstance(scope, str | None):
        raise _broken('"test_id" is neither text nor null')
    return Exchange(
        Request(
            method=str(request.get("method", "POST")),
            path=path,
            body=request["body"] if "body" in request else request.get("payload"),
            scope=scope,
            query=query,
            media_type=str(request.get("media_type", JSON_TYPE)),
        ),
        _error(response) if response.get("is_exception") else _response(endpoint_of(path), response),
        provider=provider,
        metadata=request.get("provider_metadata"),
        ids=_texts(document, "id_normalization_mapping"),
        position=_number(document.get("position")),
    )


def _number(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _broken(what: str) -> RecordingError:
    return RecordingError(f"not a recording: {what}", hint="Record it again, or restore the file.")


def _parts_of(url: Json) -> tuple[str, str, str]:
    """Scheme and host, path, query."""
    if not isinstance(url, str):
        raise _broken('"request" has no "url"')
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _broken(f'"url" is not a URL: {error}') from error
    return f"{parts.scheme}://{parts.netloc}", parts.path, parts.query


def _texts(holder: dict[str, Json], name: str) -> dict[str, str]:
    """An optional object of texts."""
    value = holder.get(name) or {}
    if not isinstance(value, dict):
        raise _broken(f'"{name}" is not an object')
    return {str(key): str(item) for key, item in value.items()}


def _media_type(response: dict[str, Json]) -> str | None:
    value = response.get("media_type")
    if not isinstance(value, str | None):
        raise _broken('"media_type" is not text')
    return value


def _error(response: dict[str, Json]) -> Response:
    data = response.get("exception_data") or {}
    if not isinstance(data, dict):
        raise _broken('"exception_data" is not an object')
    body = data.get("body")
    if not isinstance(body, dict):
        message = response.get("exception_message") or data.get("message") or "recorded error"
        body = {"message": message, "type": "server_error", "param": None, "code": None}
    # An SDK's error holds what is inside "error"; whatever else an upstream sent is kept whole.
    return Response(
        data.get("raw_body", {"error": body}),
        status=_status(data.get("status_code") or 500),
        media_type=_media_type(response),
        headers=_texts(response, "headers"),
    )


def _response(endpoint: str, response: dict[str, Json]) -> Response:
    if "body" not in response:
        raise _broken('"response" has no "body"')
    body, is_streaming = response["body"], bool(response.get("is_streaming"))
    if is_streaming and not isinstance(body, list):
        raise _broken('a stream whose "body" is not a list')
    if is_streaming:
        body = [_unwrap(item) for item in body]
    elif isinstance(body, list) and (endpoint == _LISTING or (body and all(map(_is_labelled, body)))):
        body = {**response.get("envelope", {"object": "list"}), "data": [_unwrap(item) for item in body]}
    timings = response.get("timings")
    return Response(
        _unwrap(body),
        is_streaming,
        _status(response.get("status", 200)),
        _media_type(response),
        _texts(response, "headers"),
        timings if isinstance(timings, dict) else None,
        is_broken=response.get("is_broken") is True,
    )


def _status(value: Json) -> int:
    if not isinstance(value, int):
        raise _broken(f"{value!r} is not an HTTP status")
    return value


def _is_labelled(value: Json) -> bool:
    return isinstance(value, dict) and "__type__" in value and "__data__" in value


def _unwrap(value: Json) -> Json:
    return value["__data__"] if _is_labelled(value) else value


def to_document(exchange: Exchange) -> Document:
    """The document of a new recording, in format 1. The same exchange gives the same document every time."""
    request, endpoint = exchange.request, endpoint_of(exchange.request.path)
    query = f"?{request.query}" if request.query else ""
    written: dict[str, Json] = {
        "method": request.method,
        "url": file_url(exchange.provider, request.path) + query,
        "headers": {},
        "body": request.body,
        "endpoint": endpoint,
        "model": request.model,
    }
    if request.media_type != JSON_TYPE:
        written["media_type"] = request.media_type
    if exchange.metadata:
        written["provider_metadata"] = exchange.metadata
    document = {
        "test_id": request.scope,
        "request": written,
        "response": _written_response(endpoint, exchange.response) | _beside(exchange.response),
        "id_normalization_mapping": dict(exchange.ids),
    }
    return document if exchange.position is None else {**document, "position": exchange.position}


def file_url(provider: str, path: str) -> str:
    """The URL as a file has it.

    The provider's host says who answered, but an address that means something on one machine or in one network alone
    (loopback, an IP address, a name without a dot) is written as ``localhost``, without its port.
    """
    parts = urlsplit(provider)
    host = parts.hostname or ""
    return f"http://localhost{path}" if _is_local(host) else f"{parts.scheme}://{host}{path}"


def _is_local(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_ENDINGS)
    return True


def label_of(endpoint: str, *, is_streaming: bool) -> str | None:
    """The label of a new recording's body, whatever an upstream says that it is; None for one that gets none."""
    return _TYPES.get((endpoint, is_streaming))


def _beside(response: Response) -> dict[str, Json]:
    """The optional keys that stand beside a body."""
    beside = {
        "media_type": response.media_type,
        "headers": dict(sorted(response.headers.items())),
        "timings": response.timings,
        "is_broken": response.is_broken or None,
    }
    return {name: value for name, value in beside.items() if value not in (None, {})}


def _written_response(endpoint: str, response: Response) -> dict[str, Json]:
    if response.status >= _ERROR:
        return _written_error(response)
    status = {} if response.status == _OK else {"status": response.status}
    if endpoint == _LISTING and isinstance(response.body, dict) and isinstance(response.body.get("data"), list):
        models = [{"__type__": _MODEL_TYPE, "__data__": model} for model in response.body["data"]]
        others = {name: value for name, value in response.body.items() if name != "data"}
        envelope = {} if others == {"object": "list"} else {"envelope": others}
        return {**status, "body": models, "is_streaming": False, **envelope}
    label = label_of(endpoint, is_streaming=response.is_streaming)
    body = response.body
    if label is not None:
        body = (
            [{"__type__": label, "__data__": chunk} for chunk in body]
            if response.is_streaming
            else {"__type__": label, "__data__": body}
        )
    return {**status, "body": body, "is_streaming": response.is_streaming}


def _written_error(response: Response) -> dict[str, Json]:
    body = response.body
    inner = body.get("error") if isinstance(body, dict) else None
    text = content(body, response.media_type or "")
    said = body if text is None else text.decode(errors="replace")
    message = f"Error code: {response.status} - {said}"
    of_its_kind = "APIStatusError" if response.status < _FAILURE else "InternalServerError"
    data: dict[str, Json] = {
        "category": "provider_sdk",
        "provider": "openai",
        "type": _ERROR_TYPES.get(response.status, of_its_kind),
        "message": message,
        "status_code": response.status,
        "body": inner if isinstance(inner, dict) else None,
    }
    if not isinstance(inner, dict) or set(body) != {"error"}:
        data["raw_body"] = body
    return {
        "body": None,
        "is_streaming": False,
        "is_exception": True,
        "exception_data": data,
        "exception_message": message,
    }
