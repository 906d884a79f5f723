"""A recording's file: text to document, document to exchange, and back.

A *document* is the file's JSON as it stands: what we do not know in it is kept, so that loading and dumping a file of
any age changes none of its content. Format 1 is that of OGX's recordings (``{"__type__", "__data__"}`` around each
body); its older generations (no ``test_id``, no ``id_normalization_mapping``, ``payload`` in place of ``body``, raw
bodies without a label) are read as well. ``__type__`` is a label from a table, never a class to import.
"""

import ipaddress
import json
from urllib.parse import urlsplit
from typing import TypeAlias

from harness.errors import RecordingError
from harness.recording.canonical import endpoint_of
from harness.recording.model import Exchange, Json, Request, Response

Document: TypeAlias = dict[str, Json]

_TYPES = {
    ("/v1/chat/completions", False): "openai.types.chat.chat_completion.ChatCompletion",
    ("/v1/chat/completions", True): "openai.types.chat.chat_completion_chunk.ChatCompletionChunk",
    ("/v1/completions", False): "openai.types.completion.Completion",
    ("/v1/completions", True): "openai.types.completion.Completion",
    ("/v1/embeddings", False): "openai.types.create_embedding_response.CreateEmbeddingResponse",
}
_MODEL_TYPE = "openai.types.model.Model"

_ERROR_TYPES = {
    400: "BadRequestError",
    404: "NotFoundError",
    413: "APIStatusError",
    422: "UnprocessableEntityError",
}


def loads(text: str) -> Document:
    """A file's text as a document. Raises RecordingError when it is not JSON, or not a recording."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RecordingError(f"not JSON: {error}", hint="Record it again, or restore the file.") from error
    if not isinstance(document, dict) or not isinstance(document.get("request"), dict):
        raise RecordingError('not a recording: no "request" object', hint="Move the file elsewhere.")
    if not isinstance(document.get("response"), dict):
        raise RecordingError('not a recording: no "response" object', hint="Move the file elsewhere.")
    return document


def dumps(document: Document) -> str:
    """The file's text: indent 2, ASCII escapes, a final newline, keys in the document's own order."""
    return json.dumps(document, indent=2) + "\n"


def to_exchange(document: Document) -> Exchange:
    """What a document records. Raises RecordingError when a part that an answer needs is missing."""
    request, response = document["request"], document["response"]
    url = request.get("url")
    if not isinstance(url, str):
        raise RecordingError('not a recording: "request" has no "url"', hint="Record it again.")
    parts = urlsplit(url)
    return Exchange(
        Request(
            method=str(request.get("method", "POST")),
            path=parts.path,
            body=request["body"] if "body" in request else request.get("payload"),
            scope=document.get("test_id"),
        ),
        _response(response),
        provider=f"{parts.scheme}://{parts.netloc}",
        metadata=request.get("provider_metadata"),
    )


def _response(response: dict[str, Json]) -> Response:
    if response.get("is_exception"):
        data = response.get("exception_data") or {}
        status = data.get("status_code", 500)
        body = data.get("body")
        if not isinstance(body, dict):
            message = response.get("exception_message") or data.get("message") or "recorded error"
            body = {"message": message, "type": "server_error", "param": None, "code": None}
        # An SDK's error holds what is inside "error"; whatever else an upstream sent is kept whole.
        return Response(data["raw_body"] if "raw_body" in data else {"error": body}, status=status)
    body = response.get("body")
    if isinstance(body, list):
        body = [_unwrap(item) for item in body]
        if not response.get("is_streaming") and all(isinstance(item, dict) for item in body):
            body = {"object": "list", "data": body}
    return Response(
        _unwrap(body), is_streaming=bool(response.get("is_streaming")), status=response.get("status", 200)
    )


def _unwrap(value: Json) -> Json:
    return value["__data__"] if isinstance(value, dict) and "__data__" in value else value


def to_document(exchange: Exchange) -> Document:
    """The document of a new recording, in format 1. The same exchange gives the same document every time."""
    request, endpoint = exchange.request, endpoint_of(exchange.request.path)
    written: dict[str, Json] = {
        "method": request.method,
        "url": file_url(exchange.provider, request.path),
        "headers": {},
        "body": request.body,
        "endpoint": endpoint,
        "model": request.model,
    }
    if exchange.metadata:
        written["provider_metadata"] = exchange.metadata
    return {
        "test_id": request.scope,
        "request": written,
        "response": _written_response(endpoint, exchange.response),
        "id_normalization_mapping": {},
    }


def file_url(provider: str, path: str) -> str:
    """The URL as a file has it: the provider's host says who answered, but an address that means something on one
    machine alone (loopback, a bare IP address) is written as ``localhost``, without its port."""
    parts = urlsplit(provider)
    host = parts.hostname or "localhost"
    try:
        ipaddress.ip_address(host)
        local = True
    except ValueError:
        local = host == "localhost"
    return f"http://localhost{path}" if local else f"{parts.scheme}://{host}{path}"


def _written_response(endpoint: str, response: Response) -> dict[str, Json]:
    if response.status >= 400:
        return _written_error(response)
    if endpoint == "/v1/models" and isinstance(response.body, dict) and isinstance(response.body.get("data"), list):
        models = [{"__type__": _MODEL_TYPE, "__data__": model} for model in response.body["data"]]
        return {"body": models, "is_streaming": False}
    status = {} if response.status == 200 else {"status": response.status}
    label = _TYPES.get((endpoint, response.is_streaming))
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
    message = f"Error code: {response.status} - {body}"
    data: dict[str, Json] = {
        "category": "provider_sdk",
        "provider": "openai",
        "type": _ERROR_TYPES.get(response.status, "APIStatusError"),
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


