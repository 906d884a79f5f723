"""Chat completions from recordings, over the wire, to the real client."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from harness.recording import format as file_format
from harness.recording.author import author
from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.chunks import aggregate, is_usage_chunk
from harness.recording.key import key
from harness.recording.model import Exchange, Request, Response
from harness.running import ServerThread
from harness.settings import Match, Settings
from harness.stores.directory import DirectoryStore

SHARED = Path(__file__).parents[3] / "shared"
SCOPE = "tests/a b.py::test_ü[x/y::z]"


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def write(directory: Path, asked: dict[str, Any], answer: str, scope: str | None = None) -> str:
    request = Request("POST", "/v1/chat/completions", asked, scope)
    DirectoryStore(directory, Canonicalizer()).save(author(request, answer), key(request))
    return key(request)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(Settings(recordings=tmp_path)) as running:
        yield running


def client_at(url: str, **headers: str) -> OpenAI:
    return OpenAI(base_url=url, api_key="none", default_headers=headers)


def answer_of(client: OpenAI, asked: dict[str, Any]) -> str | None:
    completion: ChatCompletion = client.chat.completions.create(**asked)
    return completion.choices[0].message.content


def post(server: ServerThread, path: str, data: bytes, **headers: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body, as they came."""
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc)
    connection.request("POST", path, data, headers)
    response = connection.getresponse()
    result = response.status, response.getheaders(), response.read()
    connection.close()
    return result


def test_a_stream_answers_a_whole_request_and_the_reverse(tmp_path: Path, server: ServerThread) -> None:
    write(tmp_path, body("whole"), "a whole answer")
    write(tmp_path, body("stream", stream=True), "a streamed answer")
    client = client_at(server.base_url)
    for asked, text in (("whole", "a whole answer"), ("stream", "a streamed answer")):
        assert answer_of(client, body(asked)) == text
        chunks: list[ChatCompletionChunk] = list(client.chat.completions.create(**body(asked), stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
        assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_scope_comes_from_the_header_or_the_base_url(tmp_path: Path, server: ServerThread) -> None:
    for scope in (SCOPE, "other", None):
        write(tmp_path, body("q"), f"for {scope}", scope)
    root = server.base_url.removesuffix("/v1")
    clients = {
        SCOPE: [
            client_at(f"{root}/scope/{quote(SCOPE, safe='')}/v1"),
            client_at(server.scoped(SCOPE)),
        ],
        "other": [client_at(f"{root}/scope/other/v1"), client_at(server.base_url, **{"X-Harness-Test-Id": "other"})],
        None: [client_at(server.base_url), client_at(f"{root}/scope/nobody/v1")],
    }
    assert answer_of(clients[SCOPE][0], body("q")) == f"for {SCOPE}"
    assert answer_of(clients[SCOPE][1], body("q")) == f"for {SCOPE}"
    assert [answer_of(client, body("q")) for client in clients["other"]] == ["for other"] * 2
    assert [answer_of(client, body("q")) for client in clients[None]] == ["for None"] * 2


def test_a_moved_test_still_finds_its_recording_unless_strict(tmp_path: Path, server: ServerThread) -> None:
    write(tmp_path, body("q"), "from another scope", "tests/old.py::test")
    assert answer_of(client_at(server.scoped("tests/new.py::test")), body("q")) == "from another scope"
    with ServerThread(Settings(recordings=tmp_path, strict=True)) as strict:
        assert answer_of(client_at(strict.scoped("tests/old.py::test")), body("q")) == "from another scope"
        with pytest.raises(openai.NotFoundError):
            answer_of(client_at(strict.scoped("tests/new.py::test")), body("q"))


def test_a_miss_says_what_is_nearest_and_how_to_record_it_and_is_not_retried(
    tmp_path: Path, server: ServerThread
) -> None:
    nearest = write(tmp_path, body("Weather in Paris?", temperature=0.2), "x", "tests/test_weather.py::test_paris")
    client = client_at(server.scoped("tests/test_weather.py::test_rome"))
    with pytest.raises(openai.NotFoundError) as raised:
        answer_of(client, body("Weather in Rome?", temperature=0.7))
    error: Any = raised.value.body
    assert error["code"] == "recording_not_found"
    for expected in (
        f"Nearest: {nearest[:12]} (tests/test_weather.py::test_paris)",
        'messages[0].content  "Weather in Paris?"  ->  "Weather in Rome?"',
        "temperature          0.2                  ->  0.7",
        'HARNESS_MODE=record-if-missing OPENAI_API_KEY=… pytest "tests/test_weather.py::test_rome"',
    ):
        assert expected in error["message"]
    assert len(server.parts.journal.lines) == 1, "the client asked again"


def test_a_new_recording_is_seen_by_a_running_server(tmp_path: Path, server: ServerThread) -> None:
    client = client_at(server.base_url)
    with pytest.raises(openai.NotFoundError):
        answer_of(client, body("q"))
    write(tmp_path, body("q", user="someone"), "by fingerprint")
    assert [answer_of(client, body("q")) for _ in range(2)] == ["by fingerprint"] * 2
    name = write(tmp_path, body("q"), "by key")
    assert answer_of(client, body("q")) == "by key"
    write(tmp_path, body("q"), "changed")
    assert answer_of(client, body("q")) == "changed"
    (tmp_path / f"{name}.json").unlink()
    assert answer_of(client, body("q")) == "by fingerprint"


def test_the_users_own_rules(tmp_path: Path) -> None:
    write(tmp_path, body("Today is 2026-01-01", seed=1), "fine")
    match = Match(ignore=("seed",), replace=((r"\d{4}-\d{2}-\d{2}", "<date>"),))
    with ServerThread(Settings(recordings=tmp_path, match=match)) as server:
        assert answer_of(client_at(server.base_url), body("Today is 2026-11-22", seed=2)) == "fine"


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    write(tmp_path, body("q", stream=True), "the same")
    seen = []
    for _ in range(2):
        with ServerThread(Settings(recordings=tmp_path)) as server:
            asked = body("q"), body("q", stream=True), body("missing")
            seen += [post(server, "/v1/chat/completions", json.dumps(request).encode()) for request in asked]
    assert seen[:3] == seen[3:]
    assert [status for status, _, _ in seen[:3]] == [200, 200, 404]
    assert seen[1][2].endswith(b"data: [DONE]\n\n")


def test_what_is_not_served_and_what_is_no_request(server: ServerThread) -> None:
    status, headers, data = post(server, "/v2/assistants", b"{}")
    error = json.loads(data)["error"]
    assert (status, error["code"]) == (404, "unknown_url")
    assert "POST|GET /v1/chat/completions, POST /v1/completions" in error["message"]
    assert ("x-should-retry", "false") in headers
    for bad in (b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000):
        status, _, data = post(server, "/v1/chat/completions", bad)
        assert (status, json.loads(data)["error"]["type"]) == (400, "invalid_request_error")


def test_models(tmp_path: Path, server: ServerThread) -> None:
    write(tmp_path, body("q"), "x")
    client = client_at(server.base_url)
    assert [model.id for model in client.models.list()] == ["m"]
    assert client.models.retrieve("m").owned_by == "harness"
    assert client.models.retrieve("openai/m").id == "openai/m"
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("openai/n")
    assert raised.value.code == "model_not_found"


def test_a_recorded_listing_is_the_listing(tmp_path: Path, server: ServerThread) -> None:
    listing = {"object": "list", "data": [{"id": "n", "object": "model", "created": 1, "owned_by": "x"}]}
    asked = Request("GET", "/v1/models", {})
    DirectoryStore(tmp_path, Canonicalizer()).save(Exchange(asked, Response(listing)), key(asked))
    write(tmp_path, body("q"), "x")
    assert [model.to_dict() for model in client_at(server.base_url).models.list()] == listing["data"]


def test_a_recording_that_was_spoiled_by_hand_is_named(tmp_path: Path, server: ServerThread) -> None:
    name = write(tmp_path, body("q"), "x")
    (tmp_path / f"{name}.json").write_text("{")
    status, _, data = post(server, "/v1/chat/completions", json.dumps(body("q")).encode())
    assert status == 500
    assert f"{name}.json: not JSON" in json.loads(data)["error"]["message"]


def exchanges() -> list[tuple[Path, Exchange]]:
    files = sorted((SHARED / "recordings-sample").rglob("*.json"))
    found = [(file, file_format.to_exchange(file_format.loads(file.read_text()))) for file in files]
    return [(file, exchange) for file, exchange in found if exchange.request.method == "POST"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/recordings-sample beside this checkout")
def test_every_sample_is_served_as_it_was_recorded() -> None:
    samples = exchanges()
    for folder in sorted({file.parent for file, _ in samples}):
        with ServerThread(Settings(recordings=folder)) as server:
            for file, exchange in samples:
                if file.parent == folder and endpoint_of(exchange.request.path) != "/v1/models":
                    check_served(server, file, exchange)


def check_served(server: ServerThread, file: Path, exchange: Exchange) -> None:
    asked, recorded = exchange.request, exchange.response
    headers = {"X-Harness-Test-Id": asked.scope} if asked.scope else {}
    status, _, data = post(server, endpoint_of(asked.path), json.dumps(asked.body).encode(), **headers)
    assert status == recorded.status, file
    if not recorded.is_streaming:
        assert json.loads(data) == recorded.body, file
        return
    lines = data.decode().split("\n")
    if isinstance(recorded.body[0], str):
        assert lines[:-1] == recorded.body, file
        return
    assert lines[-3:] == ["data: [DONE]", "", ""], file
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    wanted = [chunk for chunk in recorded.body if asked.wants_usage or not is_usage_chunk(chunk)]
    assert chunks == wanted, file
    if endpoint_of(asked.path) == "/v1/chat/completions":
        whole = json.dumps({**asked.body, "stream": False}).encode()
        _, _, data = post(server, endpoint_of(asked.path), whole, **headers)
        assert json.loads(data)["choices"] == aggregate(recorded.body)["choices"], file


def test_what_answers_get_answers_head(server: ServerThread) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc)
    for path in ("/health", "/v1/models"):
        connection.request("HEAD", path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
    connection.close()
