"""What goes into batches and comes out of them: OpenAI's Batch API, with its files, and Anthropic's message batches."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.api.body import compact
from harness.recording.canonical import CHUNKED, endpoint_of
from harness.recording.key import parse_stem
from harness.recording.model import Json, Request

MESSAGES = "/v1/messages"
ENDPOINTS = (*CHUNKED, "/v1/responses", "/v1/embeddings", "/v1/moderations", MESSAGES)
"""What can be asked in a batch."""

LIMIT = 50_000
"""How many requests a batch may have: OpenAI's limit, the lower one."""
LIMIT_BYTES = 190_000_000
"""How large it may be; a little less than OpenAI's limit, for what stands around it."""

_STREAM = ("stream", "stream_options")
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""What Anthropic's errors have for a status where they are answered alone; any other has 500."""


@dataclass(frozen=True, slots=True)
class Line:
    """One answer of a batch: a status with a body, or why there is none."""

    status: int
    body: Json
    error: str = ""


def is_batchable(request: Request) -> bool:
    """Whether a request can be asked in a batch. Streams of completions can: they are cut from a whole."""
    endpoint = endpoint_of(request.path)
    if request.method != "POST" or endpoint not in ENDPOINTS or not isinstance(request.body, dict) or request.query:
        return False
    return endpoint in CHUNKED or not request.wants_stream


def custom_id(name: str, part: str) -> str:
    """What a request is called in a batch: by its recording, and which of its answers is meant. At most 64 characters.

    Letters, digits and hyphens alone: Anthropic takes no others.
    """
    base, number = parse_stem(name)
    return f"{base[:40]}-{number}-{part.replace('/', '-')}"


def line_of(custom_id: str, request: Request, model: str) -> str:
    """A request as a line of JSON, as its provider has it; ``model`` is its name there."""
    endpoint = endpoint_of(request.path)
    body = {name: value for name, value in request.body.items() if name not in _STREAM} | {"model": model}
    if endpoint == MESSAGES:
        return compact({"custom_id": custom_id, "params": body}) + "\n"
    return compact({"custom_id": custom_id, "method": "POST", "url": endpoint, "body": body}) + "\n"


def upload(lines: Iterable[str]) -> tuple[bytes, str]:
    """The form that uploads a file of lines to OpenAI, and its Content-Type."""
    content = "".join(lines).encode("utf-8", "replace")
    boundary = f"harness-{hashlib.sha256(content).hexdigest()[:32]}"
    purpose = f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="harness-refresh.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    body = purpose.encode() + file.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def together(lines: Iterable[str]) -> bytes:
    """The body that asks Anthropic for a batch of lines."""
    return b'{"requests":[%s]}' % ",".join(line.strip() for line in lines).encode("utf-8", "replace")


def answers_in(text: str) -> dict[str, Line]:
    """The answers in what a batch put out, or in its file of errors, by their custom ids."""
    return {str(said.get("custom_id")): _answer(said) for said in _rows(text)}


def _rows(text: str) -> Iterator[dict[str, Json]]:
    # A line ends where the line does: JSON may hold other characters that Python takes for ends of lines.
    for row in text.split("\n"):
        if row.strip():
            yield json.loads(row)


def _answer(said: dict[str, Json]) -> Line:
    if "result" in said:
        return _anthropics(said["result"])
    response, error = said.get("response") or {}, said.get("error")
    told = "" if not error else str(error.get("message") or error.get("code") or error)
    return Line(int(response.get("status_code") or 0), response.get("body"), told)


def _anthropics(result: dict[str, Json]) -> Line:
    kind = result.get("type")
    if kind == "succeeded":
        return Line(200, result.get("message"))
    error = result.get("error")
    if kind != "errored" or not isinstance(error, dict):
        return Line(0, None, f"it is {kind}")
    inner = error.get("error")
    return Line(_STATUSES.get(str(inner.get("type")) if isinstance(inner, dict) else "", 500), error)
