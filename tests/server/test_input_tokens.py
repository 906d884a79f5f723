"""Tokens counted before asking: with what is on this machine, or not at all."""

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from openai import OpenAI
from openai.types.responses import InputTokenCountResponse

from harness.backends import tokens
from harness.backends.tokens import TokenCounter
from harness.errors import HarnessError
from harness.running import ServerThread
from harness.server.app import make_app
from harness.server.context import Services
from harness.server.identity import CountedIdentity
from harness.settings import Settings
from harness.stores.state import open_state, state_url
from tests.server.test_responses_backend import TOOL, Api, Played, Server

PATH = "/v1/responses/input_tokens"


def words(_: str) -> Callable[[str], int]:
    """A tokenizer in which every word is a token."""
    return lambda text: len(text.split())


def counted(*bodies: dict[str, Any], before: list[dict[str, Any]] | None = None) -> list[tuple[int, Any]]:
    """What is answered for each body; ``{conv}`` in it is a conversation with the items ``before``."""

    async def main() -> list[tuple[int, Any]]:
        state = await open_state(state_url(None))
        services = Services(Played(), state, CountedIdentity(state), counter=words)
        async with TestClient(Server(make_app(services))) as client:
            api = Api(client)
            _, made = await api("POST", "/v1/conversations", {"items": before or []})
            _, response = await api("POST", "/v1/responses", {"model": "m", "input": "three words here"})
            ids = {"{conv}": made["id"], "{resp}": response["id"]}
            named = [
                {key: ids.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
                for body in bodies
            ]
            return [await api("POST", PATH, body) for body in named]

    return asyncio.run(main())


def numbers(*bodies: dict[str, Any], **more: Any) -> list[int]:
    answers = counted(*bodies, **more)
    assert [status for status, _ in answers] == [200] * len(bodies), answers
    for _, answer in answers:
        InputTokenCountResponse.model_validate_json(json.dumps(answer), strict=True)
        assert answer.keys() == {"object", "input_tokens"}
    return [answer["input_tokens"] for _, answer in answers]


def test_what_would_be_sent_is_counted() -> None:
    hi, more = {"model": "m", "input": "one two"}, {"instructions": "be brief"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "a b"}
    output = {"type": "function_call_output", "call_id": "c", "output": "d e f"}
    bare, instructed, without_model, null, personal = numbers(
        hi, hi | more, {"input": "one two"}, hi | {"tools": None, "model": None}, hi | {"personality": "kind"}
    )
    assert bare == without_model == null == personal == 3 + (3 + 1 + 2)
    assert instructed == bare + 3 + 1 + 2
    assert numbers({"input": [call, output]}) == [3 + (3 + 1 + 1 + 2) + (3 + 1 + 3)]
    (tools,) = numbers(hi | {"tools": [TOOL]})
    assert tools > bare


def test_history_is_counted_as_it_would_be_sent() -> None:
    before = [{"type": "message", "role": "user", "content": "one two"}]
    chained, conversed, empty = numbers(
        {"input": "four", "previous_response_id": "{resp}"},
        {"input": "four", "conversation": "{conv}"},
        {"conversation": "{conv}"},
        before=before,
    )
    assert chained == 3 + (3 + 1 + 3) + (3 + 1 + 1) + (3 + 1 + 1)
    assert conversed == 3 + (3 + 1 + 2) + (3 + 1 + 1)
    assert empty == 3 + (3 + 1 + 2)


WRONG: list[tuple[dict[str, Any], int, str | None, str | None]] = [
    ({}, 400, "missing_required_parameter", "input"),
    ({"input": "x", "surprise": 1}, 400, "unknown_parameter", "surprise"),
    ({"input": "x", "conversation": "conv_0"}, 404, None, None),
    ({"input": "x", "previous_response_id": "resp_0"}, 400, "previous_response_not_found", "previous_response_id"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "u"}]}]},
        501,
        "tokens_unavailable",
        "input",
    ),
]


@pytest.mark.parametrize(("body", "status", "code", "param"), WRONG)
def test_what_cannot_be_counted_says_why(
    body: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    ((given, answer),) = counted(body)
    assert (given, answer["error"]["code"], answer["error"]["param"]) == (status, code, param)


def unavailable(model: str = "gpt-4o") -> str:
    with pytest.raises(HarnessError) as caught:
        TokenCounter(["openai"]).counter(model)
    assert (caught.value.http_status, caught.value.code) == (501, "tokens_unavailable")
    return str(caught.value)


def test_without_tiktoken_the_answer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert "pip install 'harness[tokens]'" in unavailable()


def table(directory: Path, name: str, content: bytes) -> None:
    address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    (directory / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()).write_bytes(content)


def test_without_its_table_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    monkeypatch.setattr(tiktoken, "get_encoding", None)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert "tiktoken.get_encoding('o200k_base')" in unavailable("openai/gpt-4o")
    assert "tiktoken.get_encoding('cl100k_base')" in unavailable("gpt-4")
    table(tmp_path, "o200k_base", b"not whole")
    assert "o200k_base" in unavailable("some-model")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert "o200k_base" in unavailable()
    assert "gpt2" in unavailable("gpt2")


def test_a_table_that_is_here_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path))
    table(tmp_path, "cl100k_base", b"a table")
    monkeypatch.setitem(tokens._TABLES, "cl100k_base", hashlib.sha256(b"a table").hexdigest())  # noqa: SLF001 - theirs is large
    used: list[str] = []

    class Encoding:
        def encode_ordinary(self, text: str) -> list[int]:
            return [1] * len(text)

    def get_encoding(name: str) -> Encoding:
        used.append(name)
        return Encoding()

    monkeypatch.setattr(tiktoken, "get_encoding", get_encoding)
    assert TokenCounter().counter("gpt-4")("abc") == 3
    assert TokenCounter().counter("some-model")("abc") == 3
    assert used == ["cl100k_base", "cl100k_base"]


def test_through_the_real_client_and_the_real_table_where_it_is(tmp_path: Path) -> None:
    try:
        TokenCounter().counter("gpt-4o")
    except HarnessError as error:
        pytest.skip(error.message)
    with ServerThread(Settings(recordings=tmp_path)) as server:
        with OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
            assert client.responses.input_tokens.count(model="gpt-4o", input="Tell me a joke.").input_tokens == 12
            long = client.responses.input_tokens.count(model="gpt-4o", input="a" * 1_000_000)
            assert long.input_tokens > 100_000
