"""Recording: what the client sees meanwhile, what is written, and what is not."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.backends.journal import Outcome
from harness.errors import UpstreamError
from harness.recording import format as file_format
from harness.recording.key import key
from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import ScriptedUpstream, chunk, http, scripted, sse, stream

CALL = {"id": "call_random", "type": "function", "index": 0, "function": {"name": "w", "arguments": "{}"}}
WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Grüße"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "timings": {"prompt_ms": 1.5},
}
TEXT = "Grüße, 世界 🌍"
STREAM = (chunk("Grüße"), chunk(", 世界 "), chunk("🌍"), chunk(finish="stop"))
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def client_of(server: ServerThread, scope: str | None = None) -> OpenAI:
    url = server.scoped(scope) if scope else server.base_url
    return OpenAI(base_url=url, api_key="harness", max_retries=0)


def settings(directory: Path, upstream: ScriptedUpstream | None = None, mode: Mode = Mode.RECORD) -> Settings:
    return Settings(mode=mode, recordings=directory, upstream=upstream.url if upstream else "http://127.0.0.1:1/v1")


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*"))


def said(client: OpenAI, **more: Any) -> str:
    """The text of a streamed answer."""
    pieces = client.chat.completions.create(**ASK, stream=True, **more)
    return "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for five seconds"
        time.sleep(0.005)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_what_was_recorded_is_what_the_client_saw(tmp_path: Path, streamed: bool) -> None:
    answer = http(sse(*STREAM), media="text/event-stream") if streamed else http(json.dumps(WHOLE).encode())

    def seen(server: ServerThread) -> Any:
        completions = client_of(server, "tests/a.py::test").chat.completions
        if streamed:
            return [piece.model_dump() for piece in completions.create(**ASK, stream=True)]
        return completions.create(**ASK).model_dump()

    with scripted(answer) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        recorded = seen(server)
    with ServerThread(settings(tmp_path, mode=Mode.REPLAY)) as server:
        assert seen(server) == recorded
    [file] = files(tmp_path)
    exchange = file_format.to_exchange(file_format.loads(file.read_text()))
    assert file.stem == key(exchange.request)
    assert exchange.request.scope == "tests/a.py::test"
    first = recorded[0] if streamed else recorded
    assert (first["id"], first["created"]) == (f"rec-{file.stem[:12]}", 0)


def test_the_same_answer_gives_the_same_file_from_any_port(tmp_path: Path) -> None:
    for folder, call_id in (("one", "call_x"), ("two", "call_y")):
        call = {"tool_calls": [{**CALL, "id": call_id}]}
        said_so = chunk(id=f"chatcmpl-{folder}", created=len(folder), obfuscation=folder)
        said_so["choices"][0]["delta"] = call
        answer = http(sse(said_so, chunk(finish="tool_calls")), media="text/event-stream")
        with scripted(answer) as upstream, ServerThread(settings(tmp_path / folder, upstream)) as server:
            said(client_of(server))
    [one], [two] = files(tmp_path / "one"), files(tmp_path / "two")
    assert (one.name, one.read_bytes()) == (two.name, two.read_bytes())
    assert b"127.0.0.1" not in one.read_bytes()


def test_a_tool_call_that_is_quoted_back_is_found_again(tmp_path: Path) -> None:
    """The second request holds the id of the first one's answer: recording and replay must agree on it."""
    whole = {**WHOLE, "choices": [{"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
                                   "finish_reason": "tool_calls"}]}  # fmt: skip

    def run(server: ServerThread) -> str | None:
        completions = client_of(server).chat.completions
        message = completions.create(**ASK).choices[0].message
        assert message.tool_calls
        told = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
        history: Any = [*ASK["messages"], message.model_dump(exclude_none=True), told]
        return completions.create(model="m", messages=history).choices[0].message.content

    answers = http(json.dumps(whole).encode()), http(json.dumps(WHOLE).encode())
    with scripted(*answers) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        assert run(server) == "Grüße"
    with ServerThread(Settings(recordings=tmp_path, strict=True)) as server:
        assert run(server) == "Grüße"


def test_the_client_reads_while_the_upstream_is_still_speaking(tmp_path: Path) -> None:
    pause = threading.Event()
    first, rest = sse(STREAM[0], done=False), sse(*STREAM[1:])
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\nX: \r\n\r\n"
    # The scripted upstream pauses after the first blank line: the head and the first chunk must come before it.
    answer = head.replace(b"\r\n\r\n", b"\r\n") + b"\r\n" + first + rest
    with scripted(answer, pause=pause) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        pieces = iter(client_of(server).chat.completions.create(**ASK, stream=True))
        threading.Timer(0.05, pause.set).start()
        assert next(pieces).choices[0].delta.content == "Grüße"
        assert list(pieces)
    assert len(files(tmp_path)) == 1


def test_a_client_that_leaves_early_changes_nothing(tmp_path: Path) -> None:
    pause = threading.Event()
    with scripted(stream(*STREAM), pause=pause) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        client = client_of(server)
        client.chat.completions.create(**ASK, stream=True).close()
        client.close()
        pause.set()
        wait_for(lambda: files(tmp_path))
    with ServerThread(settings(tmp_path, mode=Mode.REPLAY)) as server:
        assert said(client_of(server)) == TEXT


def test_the_server_ends_while_the_upstream_is_still_speaking(tmp_path: Path) -> None:
    pause = threading.Event()
    with scripted(stream(*STREAM), pause=pause) as upstream:
        with ServerThread(settings(tmp_path, upstream)) as server:
            client_of(server).chat.completions.create(**ASK, stream=True).close()
            threading.Timer(0.1, pause.set).start()
        assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("status", [401, 403, 408, 409, 429, 500, 503])
def test_an_upstreams_failure_is_passed_on_and_leaves_the_old_file(tmp_path: Path, status: int) -> None:
    refused = json.dumps({"error": {"message": "no", "type": "t", "param": None, "code": "c"}}).encode()
    answers = http(json.dumps(WHOLE).encode()), http(refused, status=status, headers="Retry-After: 7\r\n")
    with scripted(*answers) as upstream:
        with ServerThread(settings(tmp_path, upstream)) as server:
            client_of(server).chat.completions.create(**ASK)
        before = {file: file.read_bytes() for file in files(tmp_path)}
        with ServerThread(settings(tmp_path, upstream)) as server:
            with pytest.raises(openai.APIStatusError, match="no") as raised:
                client_of(server).chat.completions.create(**ASK)
            failed = server.parts.journal.of(Outcome.FAILED)
    assert raised.value.status_code == status
    assert raised.value.response.headers["retry-after"] == "7"
    assert {file: file.read_bytes() for file in files(tmp_path)} == before
    (told,) = failed
    assert told.error is not None
    assert ("Set OPENAI_API_KEY" in told.error.hint) == (status == 401)


def test_a_refusal_of_the_request_itself_is_recorded(tmp_path: Path) -> None:
    refused = json.dumps({"error": {"message": "bad tool", "type": "t", "param": "tools", "code": "c"}}).encode()
    errors = []
    with scripted(http(refused, status=400)) as upstream:
        for mode in (Mode.RECORD, Mode.REPLAY):
            with ServerThread(settings(tmp_path, upstream, mode)) as server:
                with pytest.raises(openai.BadRequestError) as raised:
                    said(client_of(server))
                errors.append(raised.value.body)
        assert len(upstream.requests) == 1
    assert errors[0] == errors[1] == {"message": "bad tool", "type": "t", "param": "tools", "code": "c"}


@pytest.mark.parametrize("framing", ["length", "close"])
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_stream_that_breaks_off_anywhere_is_told_and_not_recorded(tmp_path: Path, step: int, framing: str) -> None:
    body = sse(*STREAM)
    answer = http(body, media="text/event-stream") if framing == "length" else stream(*STREAM)
    head = len(answer) - len(body)
    # Once every choice has its finish reason the answer is complete, [DONE] or not.
    complete = head + body.index(b"data: [DONE]")
    with scripted(answer, piece=7) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        client = client_of(server)
        for cut in range(0, complete if framing == "close" else len(answer), step):
            upstream.cut = cut
            with pytest.raises(openai.APIError):
                said(client)
            assert files(tmp_path) == []
        upstream.cut = None
        assert said(client) == TEXT
    assert [file.stem for file in files(tmp_path)] == [key_of(ASK | {"stream": True})]


def key_of(body: dict[str, Any]) -> str:
    from harness.recording.model import Request

    return key(Request("POST", "/v1/chat/completions", body))


@pytest.mark.parametrize(
    "said_instead",
    [
        {"error": {"message": "overloaded", "type": "server_error"}},
        {"choices": 7},
        {"choices": [7]},
    ],
)
def test_an_upstream_that_fails_in_mid_stream_is_heard(tmp_path: Path, said_instead: dict[str, Any]) -> None:
    answer = stream(STREAM[0], said_instead, done="error" not in said_instead)
    with scripted(answer) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        with pytest.raises((openai.APIError, AttributeError, TypeError)):
            said(client_of(server))
        wait_for(lambda: server.parts.journal.lines)
        assert server.parts.journal.count() == {Outcome.FAILED: 1}
    assert files(tmp_path) == []


def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    with ServerThread(settings(tmp_path)) as server:
        with pytest.raises(openai.APIStatusError, match="--upstream") as raised:
            client_of(server).chat.completions.create(**ASK)
    assert raised.value.status_code == 502
    assert raised.value.response.headers["x-should-retry"] == "false"


def test_the_nth_equal_request_gets_the_nth_recording_and_past_the_last_the_last(tmp_path: Path) -> None:
    answers = [stream(chunk(word), chunk(finish="stop")) for word in ("one", "two", "three")]
    with scripted(*answers) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        client = client_of(server, "t")
        assert [said(client) for _ in range(3)] == ["one", "two", "three"]
    with ServerThread(settings(tmp_path, mode=Mode.REPLAY)) as server:
        client = client_of(server, "t")
        assert [said(client) for _ in range(4)] == ["one", "two", "three", "three"]
        # Another shape of the same request, whole: the same recordings, counted on their own.
        texts = [client.chat.completions.create(**ASK).choices[0].message.content for _ in range(2)]
        assert texts == ["one", "two"]
        # The test is run again: from the first.
        assert said(client_of(server, "t")) == "one"


def test_record_if_missing_asks_once(tmp_path: Path) -> None:
    pause = threading.Event()
    with scripted(stream(*STREAM), pause=pause) as upstream:
        with ServerThread(settings(tmp_path, upstream, Mode.RECORD_IF_MISSING)) as server:
            heard: list[str] = []
            threads = [threading.Thread(target=lambda: heard.append(said(client_of(server)))) for _ in range(4)]
            for thread in threads:
                thread.start()
            pause.set()
            for thread in threads:
                thread.join()
            assert heard == [TEXT] * 4
            assert said(client_of(server), user="someone") == TEXT
    assert len(upstream.requests) == 1
    assert len(files(tmp_path)) == 1


def test_record_if_missing_asks_again_after_a_failure(tmp_path: Path) -> None:
    with scripted(http(b"{}", status=500), stream(*STREAM)) as upstream:
        with ServerThread(settings(tmp_path, upstream, Mode.RECORD_IF_MISSING)) as server:
            with pytest.raises(openai.InternalServerError):
                said(client_of(server))
            assert said(client_of(server)) == TEXT
    assert [file.stem for file in files(tmp_path)] == [key_of(ASK | {"stream": True})]


def test_the_key_goes_upstream_and_nowhere_else(tmp_path: Path) -> None:
    secret = "a-key-that-looks-like-nothing-known"
    leaked = chunk(f"your key is {secret}, and sk-{'x1' * 15}")
    chosen = Settings(mode=Mode.RECORD, recordings=tmp_path, api_key=secret)
    with scripted(stream(leaked, chunk(finish="stop"))) as upstream:
        with ServerThread(Settings(**{**fields(chosen), "upstream": upstream.url})) as server:
            said(client_of(server))
            OpenAI(base_url=server.base_url, api_key="sk-of-the-request").models.with_raw_response.list()
    heads = [head.lower() for head, _ in upstream.requests]
    assert [head.partition(" http/")[0] for head in heads] == [
        "get /v1/models",
        "post /v1/chat/completions",
        "get /v1/models",
    ]
    assert all(f"authorization: bearer {secret}" in head for head in heads[:2])
    assert "authorization: bearer sk-of-the-request" in heads[2]
    assert secret not in "".join(file.read_text() for file in files(tmp_path))
    assert "x1" * 15 not in "".join(file.read_text() for file in files(tmp_path))


def test_a_key_that_an_upstream_repeats_is_not_noted(tmp_path: Path) -> None:
    secret = "a-key-that-looks-like-nothing-known"
    refused = json.dumps({"error": {"message": f"Incorrect API key: {secret}"}}).encode()
    with scripted(http(refused, status=401)) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        client = OpenAI(base_url=server.base_url, api_key=secret, max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(**ASK)
        [line] = server.parts.journal.lines
    assert "[redacted]" in str(line.error)
    assert secret not in str(line.error)


@pytest.mark.parametrize("mode", [Mode.RECORD, Mode.RECORD_IF_MISSING])
def test_with_a_bad_key_nothing_is_touched(tmp_path: Path, mode: Mode) -> None:
    refused = json.dumps({"error": {"message": "Incorrect API key: not-a-good-one"}}).encode()
    with scripted(http(refused, status=401), stream(*STREAM)) as upstream:
        chosen = Settings(mode=mode, recordings=tmp_path, upstream=upstream.url, api_key="not-a-good-one")
        with pytest.raises((UpstreamError, openai.AuthenticationError), match="refuses the key: 401") as raised:
            with ServerThread(chosen) as server:
                said(client_of(server))
    assert "not-a-good-one" not in str(raised.value)
    assert [head.split()[:2] for head, _ in upstream.requests] == [["GET", "/v1/models"]]
    assert files(tmp_path) == []


RESTRICTED = b'{"error": {"message": "You have insufficient permissions for this operation. Missing scopes: models."}}'


@pytest.mark.parametrize(("status", "said_of_it"), [(404, b"{}"), (401, RESTRICTED), (403, RESTRICTED)])
def test_a_key_that_cannot_list_models_is_no_bad_key(tmp_path: Path, status: int, said_of_it: bytes) -> None:
    with scripted(http(said_of_it, status=status), stream(*STREAM)) as upstream:
        chosen = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url, api_key="a-good-key")
        with ServerThread(chosen) as server:
            assert [said(client_of(server)), said(client_of(server))] == [TEXT, TEXT]
    assert len(upstream.requests) == 3


def test_requests_share_one_question_about_their_key_and_wait_for_it_no_longer_than_they_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.backends.record._HELD_SECONDS", 0.05)
    with scripted(stream(*STREAM), silent_at="/v1/models") as upstream:
        chosen = Settings(mode=Mode.RECORD_IF_MISSING, recordings=tmp_path, upstream=upstream.url, api_key="a-good-key")
        with ServerThread(chosen) as server, ThreadPoolExecutor(3) as pool:
            began = time.monotonic()
            asked = [pool.submit(said, client_of(server), seed=number) for number in range(6)]
            assert [one.result() for one in asked] == [TEXT] * 6
            took = time.monotonic() - began
    assert took < 2
    paths = [head.split()[1] for head, _ in upstream.requests]
    assert paths.count("/v1/models") == 1
    assert paths.count("/v1/chat/completions") == 6


def fields(chosen: Settings) -> dict[str, Any]:
    return {name: getattr(chosen, name) for name in Settings.__dataclass_fields__}


def test_a_models_prefix_stays_here(tmp_path: Path) -> None:
    with scripted(stream(*STREAM)) as upstream, ServerThread(settings(tmp_path, upstream)) as server:
        said_to = client_of(server).chat.completions.create(
            model="openai/m", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        list(said_to)
    assert upstream.requests[0][1]["model"] == "m"
    with ServerThread(settings(tmp_path, mode=Mode.REPLAY)) as server:
        assert said(client_of(server)) == TEXT


def test_live_passes_on_and_writes_nothing(tmp_path: Path) -> None:
    with scripted(stream(*STREAM)) as upstream, ServerThread(settings(tmp_path, upstream, Mode.LIVE)) as server:
        pieces = list(client_of(server).chat.completions.create(**ASK, stream=True))
        assert pieces[0].id == "chatcmpl-upstream"
        assert server.parts.journal.count() == {Outcome.LIVE: 1}
        upstream.answers = [http(sse(*STREAM), media="text/event-stream")[:-20]]
        with pytest.raises(openai.APIError):
            said(client_of(server))
    assert files(tmp_path) == []


def test_a_directory_that_can_no_longer_be_written_is_told(tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    with scripted(http(json.dumps(WHOLE).encode())) as upstream, ServerThread(settings(directory, upstream)) as server:
        directory.write_text("a file where the directory should be")
        with pytest.raises(openai.InternalServerError, match="could not be written"):
            client_of(server).chat.completions.create(**ASK)
