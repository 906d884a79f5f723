"""What is answered in the thread of whoever asks: as the server's own thread would answer it, or not at all."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness import ambient
from harness.backends.journal import Outcome
from harness.opening import canonicalizer_of
from harness.recording.author import author
from harness.recording.canonical import endpoint_of
from harness.recording.format import loads, to_exchange
from harness.recording.key import key, recording_name
from harness.recording.model import Exchange, Request, Response
from harness.running import ServerThread
from harness.server.at_hand import call_of
from harness.server.inference import INFERRED
from harness.settings import Settings
from harness.stores.directory import DirectoryStore
from harness.transports.wire import request as as_bytes
from harness.transports.wire import target

SAMPLES = Path(__file__).parents[3] / "shared" / "recordings-sample"
PATH = "/v1/chat/completions"


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]} | more


def keep(place: Path, exchange: Exchange, number: int = 1) -> Exchange:
    name = recording_name(key(exchange.request), number)
    DirectoryStore(place, canonicalizer_of(Settings())).save(exchange, name)
    return exchange


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
    with ServerThread(Settings(recordings=tmp_path)) as server:
        monkeypatch.setattr(ambient, "find", lambda scope, _: ambient.Surroundings(server, scope))
        yield server


def ask(path: str, asked: Any, scope: str | None = None, **headers: str) -> tuple[int, list[tuple[str, str]], bytes]:
    with httpx.Client(transport=harness.transport(scope=scope)) as client:
        answer = client.post(f"http://any{path}", json=asked, headers=headers)
    return answer.status_code, sorted(answer.headers.multi_items()), answer.content


def never(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From here on one of the two ways does not exist."""
    if name == "call":
        monkeypatch.setattr(ServerThread, "call", lambda *_: pytest.fail("the server's thread was asked"))
    else:
        monkeypatch.setattr(ServerThread, "at_hand", lambda *_: None)


def samples() -> list[Exchange]:
    found = []
    for file in sorted(SAMPLES.rglob("*.json")):
        document = json.loads(file.read_text("utf-8"))
        if isinstance(document, dict) and "request" in document and "response" in document:
            exchange = to_exchange(loads(json.dumps(document)))
            path = endpoint_of(exchange.request.path)
            if path in INFERRED and isinstance(exchange.request.body, dict) and not exchange.request.query:
                found.append(replace(exchange, request=replace(exchange.request, path=path, method="POST")))
    return found


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no ../shared/recordings-sample beside this checkout")
def test_both_ways_give_the_same_answers_headers_included(tmp_path: Path, served: ServerThread) -> None:
    kept = {key(exchange.request): keep(tmp_path, exchange) for exchange in samples()}
    asked = [(one.request.path, one.request.body, one.request.scope) for one in kept.values()]
    assert len(asked) > 20
    ways = []
    for name in ("call", "at_hand"):
        with pytest.MonkeyPatch.context() as patch:
            never(patch, name)
            for scope in {scope for _, _, scope in asked if scope}:
                served.begin(scope)
            ways.append([ask(*one) for one in asked])
    assert ways[0] == ways[1]
    lines = served.parts.journal.lines
    assert lines[: len(asked)] == lines[len(asked) :]
    assert [line.recording for line in lines[: len(asked)]] == list(kept)


def test_threads_that_ask_for_the_first_time_at_once_each_have_their_own(tmp_path: Path, served: ServerThread) -> None:
    for question in range(8):
        request = Request("POST", PATH, body(f"question {question}"), "a test")
        for number in range(1, 6):
            keep(tmp_path, author(request, f"answer {question}.{number}"), number)

    def said(question: int) -> str:
        _, _, content = ask(PATH, body(f"question {question}"), "a test")
        return str(json.loads(content)["choices"][0]["message"]["content"])

    questions = [question for _ in range(5) for question in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            served.begin("a test")
            assert sorted(pool.map(said, questions)) == sorted(f"answer {q}.{n}" for q in range(8) for n in range(1, 6))
    assert served.parts.journal.count() == {Outcome.REPLAYED: 120}


def test_a_sequence_that_begins_anew_needs_no_other_thread(
    tmp_path: Path, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request("POST", PATH, body("q"), "a test")
    for number in (1, 2):
        keep(tmp_path, author(request, str(number)), number)
    never(monkeypatch, "call")
    for _ in range(2):
        served.begin("a test")
        names = [dict(ask(PATH, body("q"), "a test")[1])["x-harness-recording"] for _ in range(3)]
        assert names == [key(request), f"{key(request)}-2", f"{key(request)}-2"]


@pytest.mark.parametrize(
    ("response", "asked"),
    [
        (Response({"__text__": ""}, status=204, media_type="text/plain"), body("q")),
        (Response([{"id": "x", "choices": []}], is_streaming=True, is_broken=True), body("q", stream=True)),
        (Response({"id": "x", "choices": []}), body("q", store=True, metadata="none")),
    ],
    ids=["no body", "broken off", "to be kept, and cannot be"],
)
def test_what_is_more_than_its_bytes_is_the_servers(
    response: Response, asked: dict[str, Any], tmp_path: Path, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, Exchange(Request("POST", PATH, asked), response))
    never(monkeypatch, "call")
    with pytest.raises(pytest.fail.Exception, match="server's thread"):
        ask(PATH, asked)
    assert served.parts.journal.lines == []


@pytest.mark.usefixtures("served")
def test_a_file_that_is_damaged_is_told_of_as_ever(tmp_path: Path) -> None:
    exchange = keep(tmp_path, author(Request("POST", PATH, body("q")), "a"))
    (tmp_path / f"{key(exchange.request)}.json").write_text("{")
    status, _, content = ask(PATH, body("q"))
    assert (status, b"not JSON" in content) == (500, True)


@given(
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc", "Cs"])),
    st.binary(),
)
def test_a_request_is_read_as_it_was_made(scope: str | None, value: str, data: bytes) -> None:
    headers = [(b"Authorization", value.encode("latin-1")), (b"X-Other", b"")]
    call = call_of(as_bytes("POST", target(PATH, scope), headers, data))
    assert call is not None
    assert (call.method, call.path, call.scope, call.raw) == ("POST", PATH, scope, data)
    assert call.headers["authorization"].encode("utf-8", "surrogateescape") == value.strip(" \t").encode("latin-1")


@pytest.mark.parametrize(
    "data",
    [
        as_bytes("GET", "/v1/models", [], b""),
        as_bytes("POST", f"{PATH}?a=b", [], b"{}"),
        as_bytes("POST", "/v1/responses", [], b"{}"),
        as_bytes("POST", PATH, [(b"Content-Encoding", b"gzip")], b"{}"),
        as_bytes("POST", PATH, [(b"X\x00", b"")], b"{}"),
        as_bytes("POST", PATH, [(b"X", b"y" * 9000)], b"{}"),
        as_bytes("POST", f"/scope/%FF{PATH}", [], b"{}"),
        as_bytes("POST", f"/scope/a+b{PATH}", [], b"{}"),
        b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 2",
        b"POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_what_is_not_plain_is_not_read(data: bytes) -> None:
    assert call_of(data) is None
