"""Endpoints that nobody here knows, by real clients: recorded from an upstream, replayed with it gone."""

import contextlib
import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import http as said
from tests.scripted_upstream import scripted

AUDIO = bytes(range(256)) * 3
NOWHERE = "http://127.0.0.1:1/v1"


def as_json(value: Any, **more: Any) -> bytes:
    return said(json.dumps(value).encode(), **more)


def events(*values: dict[str, Any]) -> bytes:
    text = "".join(f"event: {value['type']}\ndata: {json.dumps(value)}\n\n" for value in values)
    return said(text.encode(), media="text/event-stream; charset=utf-8")


def refusal(api: OpenAI) -> object:
    with pytest.raises(openai.NotFoundError) as raised:
        api.files.retrieve("file-0")
    return raised.value.body


IMAGE = {"created": 1, "data": [{"b64_json": "aGk="}]}
FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "batch"}
LIST = {"object": "list", "data": [FILE], "has_more": False}

ENDPOINTS: dict[str, tuple[bytes, Callable[[OpenAI], Any]]] = {
    "speech": (
        said(AUDIO, media="audio/mpeg"),
        lambda api: api.audio.speech.create(model="tts-1", voice="alloy", input="Hi").content,
    ),
    "transcription": (
        as_json({"text": "Hi"}),
        lambda api: api.audio.transcriptions.create(model="whisper-1", file=("a.wav", AUDIO)).text,
    ),
    "transcription as text": (
        said("Grüße\n".encode(), media="text/plain; charset=utf-8"),
        lambda api: api.audio.transcriptions.create(model="whisper-1", file=("a.wav", AUDIO), response_format="text"),
    ),
    "transcription as a stream": (
        events({"type": "transcript.text.delta", "delta": "Hi"}, {"type": "transcript.text.done", "text": "Hi"}),
        lambda api: [
            event.to_dict()
            for event in api.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", AUDIO), stream=True)
        ],
    ),
    "image edit": (
        as_json(IMAGE),
        lambda api: api.images.edit(
            model="gpt-image-1", image=[("a.png", AUDIO), ("b.png", b"b")], prompt="x"
        ).to_dict(),
    ),
    "moderation": (
        as_json({"id": "modr-1", "model": "m", "results": []}),
        lambda api: api.moderations.create(input="x").to_dict(),
    ),
    "file upload": (as_json(FILE), lambda api: api.files.create(file=("a.jsonl", b"{}\n"), purpose="batch").to_dict()),
    "file list": (as_json(LIST), lambda api: api.files.list(limit=2, after="file-0").to_dict()),
    "file content": (
        said(
            b'{"a": 1}', media="application/octet-stream", headers='Content-Disposition: attachment; filename="a"\r\n'
        ),
        lambda api: (
            (got := api.files.with_raw_response.content("file-1")).content,
            got.headers["content-disposition"],
        ),
    ),
    "file deleted": (
        as_json({"id": "file-1", "object": "file", "deleted": True}),
        lambda api: api.files.delete("file-1").to_dict(),
    ),
    "response": (
        events(
            {"type": "response.created", "response": {"id": "resp_1", "output": []}, "sequence_number": 0},
            {"type": "response.completed", "response": {"id": "resp_1", "output": []}, "sequence_number": 1},
        ),
        lambda api: [event.to_dict() for event in api.responses.create(model="m", input="Hi", stream=True)],
    ),
    "conversation": (
        as_json({"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {}}),
        lambda api: api.conversations.create(metadata={}).to_dict(),
    ),
    "not there": (
        as_json({"error": {"message": "No such File object", "type": "t", "param": "id", "code": None}}, status=404),
        refusal,
    ),
    "nothing at all": (said(b"", status=204, media="text/html"), lambda api: raw(api, "DELETE", "/v1/x/y?b=2&a=1")),
    "a page": (said(b"<p>", media="text/html", status=404), lambda api: raw(api, "PATCH", "/v1/x", b"[1, 2]")),
    "a head": (said(b"", media="text/csv"), lambda api: raw(api, "HEAD", "/v1/x")),
    "an error as a stream": (
        said(b'event: error\ndata: {"error": "no"}\n\n', media="text/event-stream", status=400),
        lambda api: raw(api, "POST", "/v1/x", b"{}"),
    ),
}


class Got(NamedTuple):
    status: int
    media_type: str | None
    body: bytes


def raw(api: OpenAI, method: str, path: str, body: bytes | None = None) -> Got:
    """An answer as it is on the wire, to the scope of a client."""
    url = urlsplit(str(api.base_url))
    connection = http.client.HTTPConnection(url.netloc)
    connection.request(method, url.path.removesuffix("/v1/") + path, body, {"Content-Type": "application/json"})
    with contextlib.closing(connection):
        answer = connection.getresponse()
        return Got(answer.status, answer.headers["Content-Type"], answer.read())


@pytest.mark.parametrize("name", ENDPOINTS)
def test_any_endpoint_is_recorded_and_replayed(tmp_path: Path, name: str) -> None:
    answer, ask = ENDPOINTS[name]
    seen: list[Any] = []
    files: list[dict[str, str]] = []
    with scripted(answer) as upstream:
        for mode, url in ((Mode.RECORD, upstream.url), (Mode.REPLAY, NOWHERE), (Mode.RECORD, upstream.url)):
            settings = Settings(mode=mode, recordings=tmp_path, upstream=url, responses="upstream", strict=True)
            with ServerThread(settings) as server:
                with OpenAI(base_url=server.scoped("a test"), api_key="x", max_retries=0) as api:
                    seen.append(ask(api))
            files.append({file.name: file.read_text() for file in tmp_path.iterdir()})
    assert seen[0] == seen[1] == seen[2]
    if isinstance(seen[0], Got):
        assert f"Content-Type: {seen[0].media_type}\r\n" in answer.decode()
    assert files[0] == files[1] == files[2]
    assert len(files[0]) == 1
    assert "127.0.0.1" not in "".join(files[0].values())


def test_what_goes_upstream_is_what_the_client_sent(tmp_path: Path) -> None:
    with scripted(said(b"", status=204, media="text/html")) as upstream:
        settings = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)
        with ServerThread(settings) as server, OpenAI(base_url=server.scoped("a"), api_key="x") as api:
            raw(api, "DELETE", "/v1/x/y%2Fz?b=2&a=%20")
            raw(api, "PATCH", "/v1/x", b"[1]")
    assert upstream.requests[0][0].startswith("DELETE /v1/x/y%2Fz?a=%20&b=2 HTTP/1.1\r\n")
    assert upstream.requests[1][1] == [1]


def test_a_header_that_came_twice_goes_upstream_with_both_values(tmp_path: Path) -> None:
    with scripted(as_json({"type": "message"})) as upstream:
        with ServerThread(Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)) as server:
            connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc)
            connection.putrequest("POST", "/v1/messages")
            for name, value in (("anthropic-beta", "a"), ("Content-Length", "2"), ("Anthropic-Beta", "b,c")):
                connection.putheader(name, value)
            connection.endheaders(b"{}")
            with contextlib.closing(connection):
                assert connection.getresponse().status == 200
    assert "anthropic-beta: a, b,c\r\n" in upstream.requests[0][0].lower()


def test_a_query_of_an_endpoint_that_is_known_goes_along_and_counts(tmp_path: Path) -> None:
    body = b'{"model": "m", "messages": [], "max_tokens": 1}'
    with scripted(as_json({"type": "message"})) as upstream:
        for mode in (Mode.RECORD, Mode.REPLAY):
            settings = Settings(mode=mode, recordings=tmp_path, upstream=upstream.url)
            with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="x") as api:
                assert raw(api, "POST", "/v1/messages?beta=true", body).status == 200
                if mode is Mode.REPLAY:
                    assert raw(api, "POST", "/v1/messages", body).status == 404
    assert upstream.requests[-1][0].startswith("POST /v1/messages?beta=true HTTP/1.1\r\n")


def test_another_file_is_another_request(tmp_path: Path) -> None:
    with scripted(as_json({"text": "one"}), as_json({"text": "two"})) as upstream:
        settings = Settings(mode=Mode.RECORD_IF_MISSING, recordings=tmp_path, upstream=upstream.url)
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="x") as api:
            texts = [api.audio.transcriptions.create(model="m", file=("a", data)).text for data in (b"1", b"2", b"1")]
    assert texts == ["one", "two", "one"]
    assert len(upstream.requests) == 2


def test_a_miss_of_an_unknown_endpoint_says_so(tmp_path: Path) -> None:
    with ServerThread(Settings(recordings=tmp_path)) as server:
        with OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as api:
            with pytest.raises(openai.NotFoundError, match=r"No recording for GET /v1/files/file-1") as raised:
                api.files.retrieve("file-1")
    assert raised.value.code == "recording_not_found"


def test_a_miss_by_the_query_alone_shows_it(tmp_path: Path) -> None:
    with scripted(as_json(LIST)) as upstream:
        for mode in (Mode.RECORD, Mode.REPLAY):
            with ServerThread(Settings(mode=mode, recordings=tmp_path, upstream=upstream.url)) as server:
                with OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as api:
                    if mode is Mode.RECORD:
                        api.files.list(limit=2)
                    else:
                        with pytest.raises(openai.NotFoundError, match=r'query +"limit=2" +-> +"limit=3"'):
                            api.files.list(limit=3)


def test_the_state_answers_unless_the_upstream_is_to(tmp_path: Path) -> None:
    with ServerThread(Settings(recordings=tmp_path)) as server:
        with OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as api:
            assert api.conversations.create().id.startswith("conv_")
            assert raw(api, "PUT", "/v1/responses/resp_1/x").status == 404
    assert list(tmp_path.iterdir()) == []
