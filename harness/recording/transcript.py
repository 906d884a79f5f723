"""A stream of an answer while it passes: the upstream's bytes in, the client's bytes out, and what is to be recorded.

A protocol without I/O. There are three kinds: chunks of a completion, other server-sent events, lines of JSON. Each
knows how its stream says that it is complete: many upstreams end one by closing the connection, and so does one that
breaks off. Streams of no kind that we know end where HTTP says that they do (RFC 9112, section 8).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from harness.api import sse
from harness.api.body import compact
from harness.api.errors import error_body
from harness.errors import HarnessError, UpstreamError
from harness.recording.bodies import LINE_TYPES, base_type
from harness.recording.canonical import CHUNKED, endpoint_of
from harness.recording.model import STREAM_TYPE, Json

Normalize: TypeAlias = Callable[[Json], Json]

_AGAIN = "Ask again; nothing was recorded."
_ENDINGS = {
    # Of a kind of events: what the type of each begins with, and the types that end a stream.
    "message_start": ("message_stop",),
    "response.": ("response.completed", "response.failed", "response.incomplete"),
}


class ToldError(UpstreamError):
    """A failure in mid-stream that the upstream has told the client itself."""


class Transcript(Protocol):
    """Feed it pieces as they come, cut anywhere; then ``end`` it, or ``fail`` it."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the client gets for a piece. Raises UpstreamError for what is none of the stream's kind."""
        ...

    def end(self) -> bytes:
        """What the client gets at the end. Raises UpstreamError when the stream ended before it was complete."""
        ...

    def fail(self, error: HarnessError) -> bytes:
        """What tells the client of an error."""
        ...

    @property
    def body(self) -> list[Json]:
        """What has passed, as a recording has it."""
        ...

    @property
    def media_type(self) -> str | None:
        """The type of the stream, None for plain SSE."""
        ...


def transcript(path: str, content_type: str, normalize: Normalize) -> Transcript:
    """The transcript of an answer to a request for ``path``."""
    if base_type(content_type) in LINE_TYPES:
        return LineTranscript(content_type, normalize)
    return EventTranscript(normalize, only_chunks=endpoint_of(path) in CHUNKED)


def failure(content_type: str, error: HarnessError) -> bytes:
    """What tells the reader of a stream of an error, in mid-stream."""
    if base_type(content_type) in LINE_TYPES:
        # As Ollama says it.
        return f"{compact({'error': str(error)})}\n".encode()
    return sse.encode_json(error_body(error))


class EventTranscript:
    """Server-sent events. Chunks of completions are recorded as such; any others as lines of text, names and all.

    ``only_chunks`` is for endpoints whose streams are chunks: whatever else comes there is garbage.
    """

    def __init__(self, normalize: Normalize, *, only_chunks: bool) -> None:
        self._normalize, self._only_chunks = normalize, only_chunks
        self._decoder = sse.Decoder()
        self._chunks: list[Json] | None = [] if only_chunks else None
        self._lines: list[str] = []
        self._named = self._finished = False
        self._endings: tuple[str, ...] = ()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        for event in self._decoder.feed(piece):
            value = _value(event.data)
            self._heed(event, value)
            data = self._encoded(event, value)
            if data:
                self._lines += data.decode().split("\n")[:-1]
                yield data
            if _tells_failure(value):
                raise ToldError(f"The upstream failed in mid-stream: {value.get('error') or value}")

    def _heed(self, event: sse.Event, value: Json) -> None:
        """What an event says of the stream: of what kind it is, that it has ended."""
        if event.data == "[DONE]":
            self._finished = True
            return
        self._named = self._named or event.name != "message"
        if self._chunks is None and not self._lines and isinstance(value, dict) and "choices" in value:
            self._chunks = []
        if self._only_chunks and value is None:
            raise UpstreamError("The upstream sent an event that is not JSON.", hint=_AGAIN)
        if self._only_chunks and not _tells_failure(value) and not _is_chunk(value):
            raise UpstreamError(f"The upstream sent what is no chunk: {event.data[:200]}", hint=_AGAIN)
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str):
            for beginning, endings in _ENDINGS.items():
                self._endings = endings if kind.startswith(beginning) else self._endings
            self._finished = self._finished or kind in self._endings

    def _encoded(self, event: sse.Event, value: Json) -> bytes:
        name = None if event.name == "message" else event.name
        if self._chunks is not None:
            if event.data == "[DONE]":
                # It is sent at the end, with or without the upstream's having said it.
                return b""
            self._chunks.append(self._normalize(value))
            return sse.encode_json(self._chunks[-1], name)
        if value is None:
            return sse.encode(event.data, name, event.id)
        # What is recorded as lines stays as the upstream wrote it.
        return sse.encode(compact(self._normalize(value)), name, event.id)

    def end(self) -> bytes:
        if not self._is_complete():
            raise UpstreamError("The upstream ended its stream before the answer was complete.", hint=_AGAIN)
        return sse.DONE if self._are_chunks else b""

    def _is_complete(self) -> bool:
        if self._finished:
            return True
        if self._chunks is not None:
            return _all_choices_ended(self._chunks)
        return bool(self._lines) and not self._endings and not self._decoder.is_inside

    def fail(self, error: HarnessError) -> bytes:
        return failure(STREAM_TYPE, error)

    @property
    def _are_chunks(self) -> bool:
        return self._chunks is not None and not self._named

    @property
    def body(self) -> list[Json]:
        return list(self._lines) if self._chunks is None or self._named else self._chunks

    @property
    def media_type(self) -> None:
        return None


class LineTranscript:
    """One JSON value on each line (NDJSON), as Ollama streams: complete with the line that says ``"done": true``."""

    def __init__(self, content_type: str, normalize: Normalize) -> None:
        self._content_type, self._normalize = content_type, normalize
        self._rest = b""
        self._values: list[Json] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in filter(bytes.strip, lines):
            value = self._value(line)
            yield f"{compact(value)}\n".encode()
            if _tells_failure(value):
                raise ToldError(f"The upstream failed in mid-stream: {value.get('error') or value}")

    def _value(self, line: bytes) -> Json:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UpstreamError(f"The upstream sent a line that is not JSON: {line[:200]!r}", hint=_AGAIN) from error
        self._values.append(self._normalize(value))
        return self._values[-1]

    def end(self) -> bytes:
        last = b"".join(self.feed(b"\n")) if self._rest.strip() else b""
        says = [value["done"] for value in self._values if isinstance(value, dict) and "done" in value]
        if not self._values or (says and says[-1] is not True):
            raise UpstreamError("The upstream ended its stream before the answer was complete.", hint=_AGAIN)
        return last

    def fail(self, error: HarnessError) -> bytes:
        return failure(self._content_type, error)

    @property
    def body(self) -> list[Json]:
        return self._values

    @property
    def media_type(self) -> str:
        return self._content_type


def _value(data: str) -> Json:
    """The JSON that an event's data is; None for what is not (an upstream has no reason to send ``null``)."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _tells_failure(value: Json) -> bool:
    return isinstance(value, dict) and (value.get("error") is not None or value.get("type") == "error")


def _is_chunk(value: Json) -> bool:
    """Whether a value can be told from garbage: an object, whose choices, if it has any, are objects."""
    if not isinstance(value, dict):
        return False
    choices = value.get("choices")
    return choices is None or (isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices))


def _all_choices_ended(chunks: list[Json]) -> bool:
    """Whether every choice has its finish reason: how a stream without ``[DONE]`` says that it is complete."""
    ended: dict[int, bool] = defaultdict(bool)
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            ended[choice.get("index", 0)] |= choice.get("finish_reason") is not None
    return bool(ended) and all(ended.values())
