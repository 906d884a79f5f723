"""Streams while they pass, of every kind: what the client gets, what is recorded, and when one is complete."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UpstreamError
from harness.recording.answer import render
from harness.recording.model import Json, Request, Response
from harness.recording.transcript import Transcript, transcript

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
SSE, NDJSON = "text/event-stream", "application/x-ndjson"


def events(*values: Any, named: bool = False, done: bool = False) -> bytes:
    heads = [f"event: {value['type']}\n" if named else "" for value in values]
    texts = [f"{head}data: {json.dumps(value)}\n\n" for head, value in zip(heads, values, strict=True)]
    return "".join([*texts, "data: [DONE]\n\n" if done else ""]).encode()


def typed(*kinds: str) -> list[dict[str, str]]:
    return [{"type": kind} for kind in kinds]


def choice(finish: str | None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": "ü"}, "finish_reason": finish}]}


LINES = b'{"message": {"content": "Hi"}, "done": false}\n{"done": true}\n'
STREAMS = {
    "chunks": (CHAT, SSE, events(choice(None), choice("stop"), done=True)),
    "chunks without an end marker": (CHAT, SSE, events(choice(None), choice("stop"))),
    "anthropic": (MESSAGES, SSE, events(*typed("message_start", "ping", "message_stop"), named=True)),
    "responses": (RESPONSES, SSE, events(*typed("response.created", "response.completed"), named=True)),
    "speech": ("/v1/audio/speech", SSE, events(*typed("speech.audio.delta", "speech.audio.done"))),
    "unknown, with an end marker": ("/v1/x", SSE, events(*typed("a", "b"), done=True)),
    "text": ("/v1/x", SSE, b": hello\r\n\r\nevent: word\r\nid: 1\r\ndata: one\r\ndata: two\r\n\r\ndata: three\r\n\r\n"),
    "lines": ("/api/chat", NDJSON, LINES),
    "lines without a last newline": ("/api/pull", NDJSON, b'{"status": "pulling"}\n{"status": "success"}'),
}


def passed(said: Transcript, pieces: list[bytes]) -> bytes:
    """What the client got."""
    return b"".join([*(data for piece in pieces for data in said.feed(piece)), said.end()])


def same(value: Json) -> Json:
    return value


@pytest.mark.parametrize("kind", STREAMS)
@given(data=st.data())
def test_the_client_gets_what_is_replayed_however_it_is_cut(kind: str, data: st.DataObject) -> None:
    path, media_type, raw = STREAMS[kind]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    said = transcript(path, media_type, same)
    got = passed(said, pieces)
    response = Response(json.loads(json.dumps(said.body)), is_streaming=True, media_type=said.media_type)
    asked = Request("POST", path, {"stream": True, "stream_options": {"include_usage": True}})
    assert (render(response, asked).body, render(response, asked).media_type) == (got, media_type)


@pytest.mark.parametrize("kind", ["chunks", "anthropic", "responses", "lines"])
def test_a_stream_that_says_its_end_is_not_complete_before(kind: str) -> None:
    path, media_type, raw = STREAMS[kind]
    # Chunks say it twice; a last line says it without its newline.
    complete = {"chunks": len(raw.partition(b"data: [DONE]")[0]), "lines": len(raw) - 1}
    for cut in range(complete.get(kind, len(raw))):
        with pytest.raises(UpstreamError):
            passed(transcript(path, media_type, same), [raw[:cut]])


@pytest.mark.parametrize("kind", ["speech", "text", "unknown, with an end marker"])
def test_a_stream_of_no_known_kind_is_complete_between_two_events(kind: str) -> None:
    path, media_type, raw = STREAMS[kind]
    raw = raw.replace(b"\r", b"")
    for cut in range(1, len(raw)):
        said = transcript(path, media_type, same)
        if raw[:cut].endswith(b"\n\n") and b"data" in raw[:cut]:
            passed(said, [raw[:cut]])
        elif b"data" in raw[:cut].rpartition(b"\n\n")[2]:
            with pytest.raises(UpstreamError):
                passed(said, [raw[:cut]])


@pytest.mark.parametrize(
    ("path", "media_type", "last"),
    [
        (MESSAGES, SSE, b'event: error\ndata: {"type":"error","error":{"message":"overloaded"}}\n\n'),
        (RESPONSES, SSE, b'event: error\ndata: {"type":"error","code":"server_error","message":"overloaded"}\n\n'),
        (CHAT, SSE, b'data: {"error":{"message":"overloaded"}}\n\n'),
        ("/api/chat", NDJSON, b'{"error":"overloaded"}\n'),
    ],
)
def test_a_failure_that_the_upstream_tells_reaches_the_client(path: str, media_type: str, last: bytes) -> None:
    said = transcript(path, media_type, same)
    got: list[bytes] = []
    with pytest.raises(UpstreamError, match="overloaded"):
        got.extend(said.feed(last))
    pieces = said.feed(last)
    assert next(pieces) == last


@pytest.mark.parametrize("raw", [b"data: hello\n\n", b"data: 7\n\n", b'data: {"choices": [7]}\n\n'])
def test_what_is_no_chunk_is_garbage_where_chunks_are_due(raw: bytes) -> None:
    with pytest.raises(UpstreamError):
        list(transcript(CHAT, SSE, same).feed(raw))
