"""A recorded response as the bytes that answer a request: whole or streamed, as the request wants it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.api import sse
from harness.api.body import compact
from harness.recording.bodies import content
from harness.recording.canonical import CHUNKED, endpoint_of
from harness.recording.chunks import Chunk, aggregate, aggregate_text, is_usage_chunk, split
from harness.recording.model import JSON_TYPE, STREAM_TYPE, Json, Request, Response


@dataclass(frozen=True, slots=True)
class Rendered:
    """Status, media type, body and headers of an HTTP answer, ready to be written."""

    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def render(response: Response, request: Request) -> Rendered:
    """The answer to ``request`` that ``response`` gives.

    A recorded stream goes out chunk by chunk as it was, its usage chunk only when the request asks for one. A stream of
    completions answers a whole request (aggregated) and a whole a streaming request (split); at other endpoints an
    answer is what it was. Errors are never streamed.
    """
    media_type, body = _body(response, request)
    return Rendered(response.status, media_type, body, response.headers)


def _body(response: Response, request: Request) -> tuple[str, bytes]:
    if response.status >= 400 and not response.is_streaming:
        return whole_body(response)
    if response.is_streaming and response.media_type is not None:
        return response.media_type, "".join(f"{compact(value)}\n" for value in response.body).encode()
    if response.is_streaming and _is_text_lines(response.body):
        return STREAM_TYPE, "\n".join([*response.body, ""]).encode()
    endpoint = endpoint_of(request.path)
    if endpoint not in CHUNKED:
        return (STREAM_TYPE, _stream(response.body)) if response.is_streaming else whole_body(response)
    if not request.wants_stream:
        return whole_body(response) if not response.is_streaming else (JSON_TYPE, _aggregated(endpoint, response.body))
    chunks = response.body if response.is_streaming else _split(endpoint, response.body)
    return STREAM_TYPE, _stream([chunk for chunk in chunks if request.wants_usage or not is_usage_chunk(chunk)])


def whole_body(response: Response) -> tuple[str, bytes]:
    """The media type and the bytes of an answer that is no stream."""
    bare = content(response.body, response.media_type) if response.media_type is not None else None
    return response.media_type or JSON_TYPE, encode(response.body) if bare is None else bare


def encode(value: Json) -> bytes:
    """JSON as bytes, compact, text unescaped."""
    return compact(value).encode()


def _aggregated(endpoint: str, chunks: list[Chunk]) -> bytes:
    return encode(aggregate_text(chunks) if endpoint == "/v1/completions" else aggregate(chunks))


def _split(endpoint: str, whole: Json) -> list[Chunk]:
    return [whole] if endpoint == "/v1/completions" else split(whole)


def _is_text_lines(body: Json) -> bool:
    return isinstance(body, list) and bool(body) and all(isinstance(line, str) for line in body)


def _stream(chunks: list[Chunk]) -> bytes:
    return b"".join([*map(sse.encode_json, chunks), sse.DONE])
