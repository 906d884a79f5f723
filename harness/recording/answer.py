"""A recorded response as the bytes that answer a request: whole or streamed, as the request wants it."""

from dataclasses import dataclass

from harness.api import sse
from harness.api.body import compact
from harness.recording.canonical import endpoint_of
from harness.recording.chunks import Chunk, aggregate, aggregate_text, is_usage_chunk, split
from harness.recording.model import Json, Request, Response

JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Rendered:
    """Status, media type and body of an HTTP answer, ready to be written."""

    status: int
    media_type: str
    body: bytes


def render(response: Response, request: Request) -> Rendered:
    """The answer to ``request`` that ``response`` gives.

    A recorded stream goes out chunk by chunk as it was, its usage chunk only when the request asks for one. A stream
    answers a whole request (aggregated) and a whole a streaming request (split). Errors are never streamed.
    """
    if response.status >= 400:
        return Rendered(response.status, JSON_TYPE, encode(response.body))
    if response.is_streaming and _is_text_lines(response.body):
        return Rendered(response.status, STREAM_TYPE, "\n".join([*response.body, ""]).encode())
    legacy = endpoint_of(request.path) == "/v1/completions"
    if not request.wants_stream:
        body = response.body
        if response.is_streaming:
            body = aggregate_text(body) if legacy else aggregate(body)
        return Rendered(response.status, JSON_TYPE, encode(body))
    if response.is_streaming:
        chunks = response.body
    elif legacy:
        chunks = [response.body]
    else:
        chunks = split(response.body)
    return Rendered(response.status, STREAM_TYPE, _stream(chunks, with_usage=request.wants_usage))


def encode(value: Json) -> bytes:
    """JSON as bytes, compact, text unescaped."""
    return compact(value).encode()


def _is_text_lines(body: Json) -> bool:
    return isinstance(body, list) and bool(body) and all(isinstance(line, str) for line in body)


def _stream(chunks: list[Chunk], *, with_usage: bool) -> bytes:
    sent = [chunk for chunk in chunks if with_usage or not is_usage_chunk(chunk)]
    return b"".join([*(sse.encode_json(chunk) for chunk in sent), sse.DONE])
