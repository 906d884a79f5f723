"""An exchange as it crosses the wire: written down and spoken again it is the same; what recorders do is undone."""

import base64
import gzip
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import RecordingError
from harness.recording.format import loads, to_document, to_exchange
from harness.recording.http_exchange import HttpExchange, asked, exchange_of, http_of
from harness.recording.key import key
from harness.recording.model import MULTIPART, Exchange, Json, Request, Response
from harness.recording.normalize import without_padding
from tests.secrets_for_tests import SECRETS

LAW = settings(max_examples=100, deadline=None)
URL = "https://api.openai.com/v1/chat/completions"
ASKED: dict[str, Json] = {"model": "m", "messages": [{"role": "user", "content": "Say hello"}]}
SAID: dict[str, Json] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 17, "choices": [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hellö!"}}]}  # fmt: skip
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [
    {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}  # fmt: skip

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
extras = st.dictionaries(st.sampled_from(["seed", "user", "x"]), words | st.integers() | st.none(), max_size=2)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """What is recorded of chat, embeddings, named events, texts, bytes and forms; errors too."""
    body: dict[str, Json] = {"model": draw(words), "messages": [{"role": "user", "content": draw(words)}]}
    body |= draw(extras)
    said = draw(words)
    kind = draw(st.sampled_from(["chat", "stream", "messages", "embeddings", "text", "bytes", "form", "error"]))
    path, media_type, status = "/v1/chat/completions", "application/json", 200
    answer = Response({**SAID, "x": said})
    if kind == "stream":
        body["stream"] = True
        chunks = [{**CHUNK, "choices": [{"index": 0, "delta": {"content": part}}]} for part in said]
        answer = Response([*chunks, CHUNK, {"choices": [], "usage": {"total_tokens": 3}}], is_streaming=True)
    elif kind == "messages":
        path, body["stream"] = "/v1/messages", True
        lines = ["event: message_start", 'data: {"type":"message_start"}', ""]
        lines += [
            "event: content",
            f"data: {json.dumps({'type': 'content', 'text': said}, ensure_ascii=False, separators=(',', ':'))}",
            "",
        ]
        answer = Response([*lines, "event: message_stop", 'data: {"type":"message_stop"}', ""], is_streaming=True)
    elif kind == "embeddings":
        path, answer = "/v1/embeddings", Response({"object": "list", "data": [{"embedding": [0.5, -1e-9]}]})
    elif kind == "text":
        path = "/v1/audio/transcriptions"
        answer = Response({"__text__": said}, media_type="text/plain; charset=utf-8")
    elif kind == "bytes":
        path = "/v1/audio/speech"
        data = base64.b64encode(b"\xff\xfb" + said.encode()).decode()
        answer = Response({"__binary__": {"media_type": "audio/mpeg", "base64": data}}, media_type="audio/mpeg")
    elif kind == "form":
        path, media_type = "/v1/images/edits", "multipart/form-data"
        body = {MULTIPART: [{"name": "prompt", "value": said.replace("\r", "").replace("\n", "")}]}
    elif kind == "error":
        status = draw(st.sampled_from([400, 404, 422]))
        answer = Response({"error": {"message": said}}, status=status, headers={"x-should-retry": "false"})
    scope = draw(st.none() | st.just("tests/test_a.py::test_b"))
    asks = Request("POST", path, body, scope, draw(st.sampled_from(["", "a=1&b=2"])), media_type)
    recorded = Exchange(asks, answer, draw(st.sampled_from(["https://api.openai.com", "https://api.groq.com"])))
    return to_exchange(to_document(recorded))


@LAW
@given(exchanges())
def test_what_is_spoken_is_written_down_the_same(exchange: Exchange) -> None:
    assert exchange_of(http_of(exchange), exchange.request.scope) == exchange


def test_samples_come_back_with_their_keys_and_answers(samples: list[Path]) -> None:
    for file in samples:
        old = to_exchange(loads(file.read_bytes().decode()))
        new = exchange_of(http_of(old), old.request.scope)
        body = old.response.body
        body = [without_padding(chunk) for chunk in body] if old.response.is_streaming else body

        assert key(new.request) == key(old.request), file
        assert new.request == old.request, file
        assert new.response == replace(old.response, body=body), file


def http(body: bytes = b"", *, url: str = URL, asks: Json = ASKED, **headers: str) -> HttpExchange:
    """A JSON request and an answer with these headers."""
    answered = {name.replace("_", "-"): value for name, value in headers.items()}
    asked_bytes = json.dumps(asks).encode()
    return HttpExchange("POST", url, {"content-type": "application/json"}, asked_bytes, 200, answered, body)


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-zlib.MAX_WBITS)),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
        ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
        # Many recorders decode a body, and keep the header.
        ("gzip", bytes),
        ("br", bytes),
    ],
)
def test_bodies_are_decoded(coding: str, encode: Any) -> None:
    body = encode(json.dumps(SAID).encode())
    recorded = exchange_of(http(body, content_type="application/json", content_encoding=coding))
    assert recorded.response.body == SAID


def test_a_body_that_is_not_what_its_coding_says_is_told() -> None:
    with pytest.raises(RecordingError, match="not gzip"):
        exchange_of(http(b"\xff\x00\xfe", content_type="application/json", content_encoding="gzip"))


@pytest.mark.parametrize("end", ["\n\n", "\n", ""])
def test_a_stream_is_its_chunks_also_where_an_editor_took_its_last_empty_line(end: str) -> None:
    body = f"data: {json.dumps(CHUNK | {'obfuscation': 'xyz'})}\n\ndata: [DONE]{end}".encode()
    recorded = exchange_of(http(body, content_type="text/event-stream; charset=utf-8"))
    assert recorded.response == Response([CHUNK], is_streaming=True)


@pytest.mark.parametrize("said", ["", "**REDACTED**"])
def test_what_was_hidden_follows_from_what_is_there(said: str) -> None:
    stream = f"data: {json.dumps(CHUNK)}\n\ndata: [DONE]\n\n".encode()
    vectors = json.dumps({"object": "list", "data": [{"object": "embedding", "embedding": [1]}]}).encode()
    hidden: dict[str, Any] = {"url": "**REDACTED**", "content_type": said}

    assert exchange_of(http(stream, **hidden)).response.body == [CHUNK]
    assert asked(http(vectors, asks={"model": "m", "input": "a"}, **hidden)).path == "/v1/embeddings"
    assert asked(http(asks={"model": "m", "input": "a"}, **hidden)).path == "/v1/responses"
    with pytest.raises(RecordingError, match="URL is hidden"):
        asked(http(asks={"a": 1}, **hidden))


def test_what_says_that_it_is_json_and_is_not_is_kept_as_text() -> None:
    page = exchange_of(replace(http(b"<p>Bad gateway", content_type="application/json"), status=404))
    assert page.response.body == {"__text__": "<p>Bad gateway"}
    assert http_of(to_exchange(to_document(page))).response_body == b"<p>Bad gateway"


def test_secrets_are_taken_out_and_placeholders_are_none() -> None:
    secret = next(iter(SECRETS.values()))
    asks = {"model": "m", "messages": [{"role": "user", "content": f"{secret} my-own-k3y-of-mine PLACEHOLDER"}]}
    one = http(json.dumps(SAID).encode(), asks=asks)
    real = replace(one, request_headers={**one.request_headers, "authorization": "Bearer my-own-k3y-of-mine"})
    held = replace(one, request_headers={**one.request_headers, "authorization": "Bearer PLACEHOLDER"})

    text = json.dumps(to_document(exchange_of(real)))
    assert str(secret) not in text
    assert "k3y-of-mine" not in text
    assert "authorization" not in text
    assert "PLACEHOLDER" in json.dumps(to_document(exchange_of(held)))


@pytest.mark.parametrize(
    ("path", "recorded"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/openai/v1/chat/completions"),
        ("/openai/deployments/gpt-4o/chat/completions", "/openai/deployments/gpt-4o/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1beta/openai/embeddings", "/v1/embeddings"),
        ("/responses/resp_1/input_items", "/v1/responses/resp_1/input_items"),
        ("/api/chat", "/api/chat"),
    ],
)
def test_a_path_without_v1_gets_the_one_that_the_harness_is_asked_by(path: str, recorded: str) -> None:
    assert asked(http(url=f"https://llm.example.com{path}")).path == recorded


def test_what_no_recording_keeps_cannot_be_spoken() -> None:
    file = {"name": "file", "filename": "a.png", "media_type": "image/png", "sha256": "0" * 64, "size": 3}
    form = Request("POST", "/v1/images/edits", {MULTIPART: [file]}, media_type="multipart/form-data")
    with pytest.raises(RecordingError, match=r"form with a\.png, of which a recording keeps a digest alone"):
        http_of(Exchange(form, Response(SAID)))
    with pytest.raises(RecordingError, match="broke off"):
        http_of(
            Exchange(Request("POST", "/v1/chat/completions", ASKED), Response([], is_streaming=True, is_broken=True))
        )
