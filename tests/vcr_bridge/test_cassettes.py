"""Cassettes as files: a law there and back, and what vcrpy and others wrote in their time."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import openai
import pytest
import vcr
import yaml
from hypothesis import given, settings

from harness.errors import RecordingError
from harness.recording.author import author
from harness.recording.format import to_document, to_exchange
from harness.recording.http_exchange import HttpExchange, exchange_of, http_of
from harness.recording.model import Exchange, Request, Response
from harness.vcr_bridge import cassette_bytes, interactions, read_cassette
from tests.recording.test_http_exchange import ASKED, SAID, URL, exchanges

LAW = settings(max_examples=60, deadline=None)


@LAW
@given(exchanges())
def test_a_recording_is_the_same_after_a_cassette(exchange: Exchange) -> None:
    written = yaml.safe_load(cassette_bytes([http_of(exchange)], as_json=False))
    (http,) = interactions(written)
    assert exchange_of(http, exchange.request.scope) == exchange


@LAW
@given(exchanges())
def test_so_it_is_in_json_which_holds_no_bytes(exchange: Exchange) -> None:
    is_binary = isinstance(exchange.response.body, dict) and "__binary__" in exchange.response.body
    try:
        written = json.loads(cassette_bytes([http_of(exchange)], as_json=True))
    except RecordingError:
        assert is_binary
        return
    assert exchange_of(interactions(written)[0], exchange.request.scope) == exchange


def test_what_httpx_asks_without_a_body_is_found_with_match_on_body(tmp_path: Path) -> None:
    listed = Exchange(Request("GET", "/v1/models", {}), Response({"object": "list", "data": [{"id": "m"}]}))
    (tmp_path / "a.yaml").write_bytes(cassette_bytes([http_of(listed)], as_json=False))
    with (
        vcr.use_cassette(str(tmp_path / "a.yaml"), record_mode="none", match_on=["method", "uri", "body"]),
        openai.OpenAI(api_key="none", max_retries=0) as client,
    ):
        assert [model.id for model in client.models.list()] == ["m"]


@pytest.mark.parametrize(
    "url", ["https://llm.example.com/v1beta/openai/chat/completions?key=a", "https://api.deepseek.com/chat/completions"]
)
def test_a_providers_own_path_comes_back(url: str) -> None:
    exchange = exchange_of(
        HttpExchange("POST", url, {}, json.dumps(ASKED).encode(), 200, {}, json.dumps(SAID).encode())
    )
    assert exchange.request.path == "/v1/chat/completions"
    assert http_of(to_exchange(to_document(exchange))).url.partition("?")[0] == url.partition("?")[0]


REQUEST = {"method": "POST", "uri": URL, "headers": {"Content-Type": ["application/json"]}, "body": json.dumps(ASKED)}
TEXT = json.dumps(SAID)
ANSWER: dict[str, Any] = {"status": {"code": 200, "message": "OK"}, "headers": {"Content-Type": ["application/json"]},
          "body": {"string": TEXT}}  # fmt: skip


def one(request: Any = None, response: Any = None) -> Any:
    return {"version": 1, "interactions": [{"request": request or REQUEST, "response": response or ANSWER}]}


@pytest.mark.parametrize(
    "data",
    [
        one(),
        one({**REQUEST, "body": json.dumps(ASKED).encode()}),
        one({name: value for name, value in REQUEST.items() if name != "body"} | {"parsed_body": ASKED}),
        one(response={**ANSWER, "body": {"string": TEXT.encode()}}),
        one(response={**ANSWER, "body": TEXT}),
        one(response={**ANSWER, "body": {"base64_string": base64.b64encode(TEXT.encode()).decode()}}),
        one(response={**ANSWER, "body": {"encoding": "base64", "string": base64.b64encode(TEXT.encode()).decode()}}),
        one(response={"status": {"code": 200}, "headers": ANSWER["headers"], "parsed_body": SAID}),
        one(response={**ANSWER, "headers": [["content-type", "application/json"]], "status": 200}),
        # vcrpy's stub for httpx before 6.0, LangChain's serializer.
        one(response={"status_code": 200, "http_version": "HTTP/1.1", "headers": {}, "content": TEXT}),
        {"requests": [REQUEST], "responses": [ANSWER]},
        one(
            response={
                **ANSWER,
                "headers": {"content-encoding": ["gzip"], **ANSWER["headers"]},
                "body": {"string": gzip.compress(TEXT.encode())},
            }
        ),
    ],
)
def test_bodies_of_every_form_are_read(data: Any, tmp_path: Path) -> None:
    path = tmp_path / "test_a.yaml"
    path.write_text(yaml.dump(data))
    (http,) = read_cassette(path)
    found = exchange_of(http)

    assert found.request == Request("POST", "/v1/chat/completions", ASKED)
    assert found.response.body == SAID


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.yaml.gz", "a.yml"])
def test_serializers_are_told_by_their_suffixes(name: str, tmp_path: Path) -> None:
    data = (json.dumps(one()) if "json" in name else yaml.safe_dump(one())).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert len(read_cassette(path)) == 1


BEFORE_1 = """
- request: !!python/object:vcr.request.Request
    body: '{"model": "m", "messages": []}'
    headers: !!python/object/apply:__builtin__.frozenset
    - - !!python/tuple [Content-Type, application/json]
    host: api.openai.com
    method: POST
    path: /v1/chat/completions
    port: 443
    protocol: https
  response:
    body: {string: '{"choices": []}'}
    headers: ["Content-Type: application/json\\r\\n"]
    status: {code: 200, message: OK}
"""


def test_cassettes_of_before_version_1_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(BEFORE_1)
    (http,) = read_cassette(path)
    assert http.url == URL
    assert exchange_of(http).response.body == {"choices": []}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.yaml", b"a: [1"),
        ("a.json", b"{"),
        ("a.json", b'{"request": {}, "response": {}}'),
        ("a.yaml", b"interactions: [{request: 1}]"),
        ("a.yaml", b"x: !!python/object:os.system {}"),
        ("a.yaml", b"\xff\xfe"),
        ("a.yaml.gz", b"no gzip"),
    ],
)
def test_what_is_no_cassette_says_so(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RecordingError, match=r"not |cannot be read"):
        read_cassette(tmp_path / name)


def test_an_empty_file_is_an_empty_cassette(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\n")
    assert read_cassette(tmp_path / "a.yaml") == []


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_vcrpy_replays_what_we_write(form: str, tmp_path: Path) -> None:
    asks: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    stream = author(Request("POST", "/v1/chat/completions", asks), "Hello there")
    whole = exchange_of(HttpExchange("POST", URL, {}, json.dumps(ASKED).encode(), response_body=TEXT.encode()))
    path = tmp_path / f"a.{form}"
    path.write_bytes(cassette_bytes(map(http_of, (stream, whole)), as_json=form == "json"))

    matching = ["method", "scheme", "host", "path", "body"]
    with (
        vcr.VCR(serializer=form, record_mode="none", match_on=matching).use_cassette(str(path)),
        openai.OpenAI(base_url="https://api.openai.com/v1", api_key="none", max_retries=0) as client,
    ):
        answer = client.chat.completions.create(**ASKED)
        assert answer.choices[0].message.content == "Hellö!"
        chunks = list(client.chat.completions.create(**asks))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello there"
