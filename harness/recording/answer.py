"""A recorded response as the bytes that answer a request: whole or streamed, as the request wants it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.api import sse
from harness.api.body import compact
from harness.errors import RecordingError
from harness.recording.bodies import base_type, content, is_stream
from harness.recording.canonical import CHUNKED, endpoint_of
from harness.recording.chunks import Chunk, aggregate, aggregate_text, is_usage_chunk, split
from harness.recording.model import JSON_TYPE, STREAM_TYPE, Json, Request, Response


@dataclass(frozen=True, slots=True)
class Rendered:
    """Status, media type, body and headers of an HTTP answer, ready to be written.

    ``timings`` are those of the recording, if it has any; with ``is_broken`` the connection ends behind the body.
    """

    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, Json] | None = None
    is_broken: bool = False

    def pieces(self) -> list[bytes]:
        """The body, cut where the events or the lines of a stream end."""
        end = {STREAM_TYPE: b"\n\n"}.get(base_type(self.media_type), b"\n" if is_stream(self.media_type) else b"")
        return [piece + end for piece in self.body.split(end)[:-1]] if end else [self.body]


def render(response: Response, request: Request) -> Rendered:
    """The answer to ``request`` that ``response`` gives.

    A recorded stream goes out chunk by chunk as it was, its usage chunk only when the request asks for one; one that
    broke off does so again. A stream of completions answers a whole request (aggregated) and a whole a streaming
    request (split); at other endpoints an answer is what it was. Errors are never streamed.
    """
    media_type, body = _body(response, request)
    return Rendered(response.status, media_type, body, response.headers, response.timings, response.is_broken)


def _body(response: Response, request: Request) -> tuple[str, bytes]:
    if response.status >= 400 and not response.is_streaming:
        return whole_body(response)
    if response.is_streaming and response.media_type is not None:
        return response.media_type, "".join(f"{compact(value)}\n" for value in response.body).encode()
    if response.is_broken:
        return STREAM_TYPE, _broken(response, request)
    if response.is_streaming and _is_text_lines(response.body):
        return STREAM_TYPE, "\n".join([*response.body, ""]).encode()
    endpoint = endpoint_of(request.path)
    if endpoint not in CHUNKED:
        return (STREAM_TYPE, _stream(response.body)) if response.is_streaming else whole_body(response)
    try:
        return _either_way(response, endpoint, request)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(
            f"What was recorded is no completion that can be told in the other way, whole or as a stream: {error}",
            hint="Ask as it was asked when it was recorded, or record it again.",
        ) from error


def _either_way(response: Response, endpoint: str, request: Request) -> tuple[str, bytes]:
    if not request.wants_stream:
        return whole_body(response) if not response.is_streaming else (JSON_TYPE, _aggregated(endpoint, response.body))
    chunks = response.body if response.is_streaming else _split(endpoint, response.body)
    return STREAM_TYPE, _stream([chunk for chunk in chunks if not is_usage_chunk(chunk) or request.wants_usage])


def whole_body(response: Response) -> tuple[str, bytes]:
    """The media type and the bytes of an answer that is no stream."""
    bare = content(response.body, response.media_type) if response.media_type is not None else None
    media_type = JSON_TYPE if response.media_type is None else response.media_type
    return media_type, encode(response.body) if bare is None else bare


def encode(value: Json) -> bytes:
    """JSON as bytes, compact, text unescaped."""
    return compact(value).encode()


def _aggregated(endpoint: str, chunks: list[Chunk]) -> bytes:
    return encode(aggregate_text(chunks) if endpoint == "/v1/completions" else aggregate(chunks))


def _split(endpoint: str, whole: Json) -> list[Chunk]:
    return [whole] if endpoint == "/v1/completions" else split(whole)


def _is_text_lines(body: Json) -> bool:
    return isinstance(body, list) and bool(body) and all(isinstance(line, str) for line in body)


def _broken(response: Response, request: Request) -> bytes:
    """What came of a stream before it broke off; nothing of it where a whole is wanted."""
    if _is_text_lines(response.body):
        return "\n".join([*response.body, ""]).encode()
    if endpoint_of(request.path) in CHUNKED and not request.wants_stream:
        return b""
    return sse.encode_each(response.body)


def _stream(chunks: list[Chunk]) -> bytes:
    return sse.encode_each(chunks) + sse.DONE
