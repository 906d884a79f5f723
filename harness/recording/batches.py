"""OpenAI's Batch API, its files: a request on each line of one, an answer on each line of others."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from harness.api.body import compact
from harness.recording.canonical import CHUNKED, endpoint_of
from harness.recording.model import Json, Request

ENDPOINTS = (*CHUNKED, "/v1/responses", "/v1/embeddings", "/v1/moderations")
"""What can be asked in a batch."""

LIMIT = 50_000
"""How many requests a batch may have."""
LIMIT_BYTES = 190_000_000
"""How large its file may be; a little less, for what stands around it."""

LIVE = ("validating", "in_progress", "finalizing", "cancelling")
"""The statuses of a batch that has not ended."""


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


def line_of(custom_id: str, request: Request, model: str) -> str:
    """A request as a line of the file that is uploaded; ``model`` is its name as the provider has it."""
    body = {name: value for name, value in request.body.items() if name not in ("stream", "stream_options")}
    said = {
        "custom_id": custom_id,
        "method": "POST",
        "url": endpoint_of(request.path),
        "body": {**body, "model": model},
    }
    return compact(said) + "\n"


def upload(lines: Iterable[str]) -> tuple[bytes, str]:
    """The form that uploads a file of lines, and its Content-Type."""
    content = "".join(lines).encode("utf-8", "replace")
    boundary = f"harness-{hashlib.sha256(content).hexdigest()[:32]}"
    purpose = f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="harness-refresh.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    body = purpose.encode() + file.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def answers_in(text: str) -> dict[str, Line]:
    """The answers in a file that a batch put out, or in its file of errors, by their custom ids."""
    found: dict[str, Line] = {}
    # A line ends where the line does: JSON may hold other characters that Python takes for ends of lines.
    for row in text.split("\n"):
        if row.strip():
            said = json.loads(row)
            response, error = said.get("response") or {}, said.get("error")
            told = "" if not error else str(error.get("message") or error.get("code") or error)
            found[str(said.get("custom_id"))] = Line(int(response.get("status_code") or 0), response.get("body"), told)
    return found
