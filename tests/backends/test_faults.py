"""Faults while recording, for every kind of answer: nothing that is broken is recorded, unless it is asked for."""

import contextlib
import http.client
import threading
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from harness.api.sse import encode_json
from harness.backends.journal import Outcome
from harness.recording.bodies import LINE_TYPES
from harness.recording.format import loads, to_exchange
from harness.recording.model import STREAM_TYPE
from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.backends.test_record import wait_for
from tests.scripted_upstream import chunk, scripted, sse
from tests.scripted_upstream import http as said

NOWHERE = "http://127.0.0.1:1/v1"


def framed(body: bytes, media: str, framing: str) -> bytes:
    """An answer whose end can be seen: its length is known, or it comes in chunks of HTTP."""
    if framing == "length":
        return said(body, media=media)
    pieces = [body[start : start + 40] for start in range(0, len(body), 40)]
    chunked = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunked + b"0\r\n\r\n"


def events(*kinds: str) -> bytes:
    return b"".join(encode_json({"type": kind}, kind) for kind in kinds)


LINES = b'{"message":{"content":"Hi"},"done":false}\n{"done":true}\n'
KINDS = {
    "binary": (bytes(range(256)), "audio/mpeg"),
    "text": (b"Hello,\nworld.\n", "text/plain; charset=utf-8"),
    "json": (b'{"object":"list","data":[]}', "application/json"),
    "lines": (LINES, "application/x-ndjson"),
    "unknown events": (events("one", "two", "three"), "text/event-stream"),
    "responses": (events("response.created", "response.completed"), "text/event-stream"),
    "messages": (events("message_start", "ping", "message_stop"), "text/event-stream"),
}


class Asked(NamedTuple):
    """What a client saw: the status, and the body as far as it came."""

    status: int
    body: bytes
    is_cut: bool


def ask(server: ServerThread, path: str = "/v1/x", body: bytes = b'{"stream": true}') -> Asked:
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        try:
            return Asked(answer.status, answer.read(), is_cut=False)
        except http.client.IncompleteRead as error:
            return Asked(answer.status, error.partial, is_cut=True)


def settings(directory: Path, upstream: str, mode: Mode = Mode.RECORD, *, errors: bool = False) -> Settings:
    return Settings(mode=mode, recordings=directory, upstream=upstream, record_errors=errors)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_an_answer_that_breaks_off_at_any_byte_is_not_recorded(
    tmp_path: Path, step: int, kind: str, framing: str
) -> None:
    body, media = KINDS[kind]
    answer = framed(body, media, framing)
    with scripted(answer) as upstream, ServerThread(settings(tmp_path, upstream.url)) as server:
        # What says its own end is complete with it, whatever HTTP says afterwards.
        says_its_end = kind in ("responses", "messages")
        for cut in range(0, answer.rindex(body[-1:]) if says_its_end else len(answer), step):
            upstream.cut = cut
            got = ask(server)
            assert got.status == 502 or b"error" in got.body
            assert list(tmp_path.iterdir()) == []
        upstream.cut = None
        assert ask(server) == (200, body, False)
    assert len(list(tmp_path.iterdir())) == 1
    with ServerThread(settings(tmp_path, NOWHERE, Mode.REPLAY)) as server:
        assert ask(server).status == 200


@pytest.mark.parametrize("kind", ["lines", "unknown events", "responses"])
def test_a_client_that_is_gone_at_any_chunk_changes_nothing(tmp_path: Path, kind: str) -> None:
    body, media = KINDS[kind]
    for pieces in range(body.count(b"\n") + 1):
        directory, seen = tmp_path / str(pieces), b"".join(body.splitlines(keepends=True)[:pieces])
        pause = threading.Event()
        answer = said(body, media=media)
        with scripted(answer, pause=pause, pause_after=answer.partition(body)[0] + seen) as upstream:
            with ServerThread(settings(directory, upstream.url)) as server:
                connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc)
                with contextlib.closing(connection):
                    connection.request("POST", "/v1/x", b'{"stream": true}', {"Content-Type": "application/json"})
                    if pieces:
                        connection.getresponse()
                pause.set()
                wait_for(lambda server=server: server.parts.journal.count()[Outcome.RECORDED])
            [file] = directory.iterdir()
        with ServerThread(settings(directory, NOWHERE, Mode.REPLAY)) as server:
            assert ask(server).body == body, file


CHAT = "/v1/chat/completions"
STREAMS = {
    **{kind: (*said, "/v1/x") for kind, said in KINDS.items() if said[1] in (STREAM_TYPE, *LINE_TYPES)},
    "chat": (sse(chunk("Hello"), chunk(" world"), chunk(finish="stop"), done=False), STREAM_TYPE, CHAT),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_that_broke_off_and_was_recorded_breaks_off_again(tmp_path: Path, kind: str) -> None:
    body, media, path = STREAMS[kind]
    with scripted(said(body, media=media)[:-5]) as upstream:
        with ServerThread(settings(tmp_path, upstream.url, errors=True)) as server:
            recorded = ask(server, path)
    with ServerThread(settings(tmp_path, NOWHERE, Mode.REPLAY)) as server:
        assert [ask(server, path), ask(server, path)] == [recorded, recorded]
        whole = ask(server, path, b"{}")
    assert recorded.is_cut
    assert recorded.body.count(b"\n") >= 1
    # A whole is made of chunks: of a part of them there is none. Elsewhere it is another request.
    assert whole == Asked(200, b"", is_cut=True) if kind == "chat" else whole.status == 404
    [file] = tmp_path.iterdir()
    assert to_exchange(loads(file.read_text())).response.is_broken


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
def test_failures_are_recorded_where_they_are_asked_for(tmp_path: Path, status: int) -> None:
    answer = said(b'{"error": {"message": "no"}}', status=status, headers="Retry-After: 1\r\n")
    with scripted(answer) as upstream, ServerThread(settings(tmp_path, upstream.url, errors=True)) as server:
        recorded = ask(server)
    with ServerThread(settings(tmp_path, NOWHERE, Mode.REPLAY)) as server:
        assert ask(server) == recorded == (status, b'{"error":{"message":"no"}}', False)


def test_a_failure_that_was_told_in_mid_stream_is_told_again(tmp_path: Path) -> None:
    body = sse(chunk("Hel"), {"error": {"message": "overloaded"}}, done=False)
    with scripted(said(body, media="text/event-stream")) as upstream:
        with ServerThread(settings(tmp_path, upstream.url, errors=True)) as server:
            recorded = ask(server, "/v1/messages")
    with ServerThread(settings(tmp_path, NOWHERE, Mode.REPLAY)) as server:
        replayed = ask(server, "/v1/messages")
    assert replayed == recorded
    assert b"overloaded" in replayed.body


def test_a_proxy_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    settings = Settings(mode=Mode.LIVE, recordings=tmp_path, upstream="http://gateway.example/v1")
    with ServerThread(settings) as server:
        told = ask(server)
    assert told.status == 502
    assert b"A proxy stands between: HTTPS_PROXY, HTTP_PROXY." in told.body
