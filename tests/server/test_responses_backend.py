"""The Responses API over a backend that a test plays: it answers anything, slowly, or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.api import sse
from harness.backends.protocol import Answer, Call
from harness.errors import UpstreamError
from harness.recording.model import JSON_TYPE, STREAM_TYPE
from harness.server.app import make_app
from harness.server.context import Services
from harness.server.identity import CountedIdentity
from harness.stores.state import open_state, state_url
from tests.server.conformance import check_event, check_response, check_stream, needs_descriptions

PATH = "/v1/responses"
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
HELLO = {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

MCP: dict[str, Any] = {
    "type": "mcp",
    "server_label": "s",
    "server_url": "https://h/mcp",
    "headers": {"a": "b"},
    "allowed_tools": {"tool_names": ["t"], "read_only": False},
    "require_approval": {"always": {"tool_names": ["t"]}, "never": {"read_only": True}},
}

OPTIONS: dict[str, Any] = {
    "instructions": "Be brief.",
    "max_output_tokens": 50,
    "max_tool_calls": 2,
    "metadata": {"a": "b"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "service_tier": "flex",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    "temperature": 0,
    "top_logprobs": 1,
    "user": "u",
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    "tools": [TOOL, {"type": "function", "name": "bare"}, {"type": "custom", "name": "calc"}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
}


class Played:
    """A backend that sends these chunks; an exception among them is raised, an event is waited for."""

    def __init__(self, *chunks: Any) -> None:
        self.chunks = chunks or (HELLO, STOP)
        self.asked = asyncio.Event()
        self.closed = False

    async def send(self, _: Call) -> Answer:
        self.asked.set()
        if isinstance(self.chunks[0], Answer):
            return self.chunks[0]
        return Answer(200, STREAM_TYPE, stream=self._stream())

    async def _stream(self) -> AsyncIterator[bytes]:
        try:
            for chunk in self.chunks:
                if isinstance(chunk, asyncio.Event):
                    await chunk.wait()
                elif isinstance(chunk, Exception):
                    raise chunk
                else:
                    yield sse.encode_json(chunk)
            yield sse.DONE
        finally:
            self.closed = True

    async def models(self, call: Call) -> Answer:
        raise AssertionError(f"asked for {call}")

    def forget(self, scope: str | None) -> None:
        """Nothing is counted."""

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """Nothing is replaced."""

    async def close(self, grace: float | None = None) -> None: ...


class Api:
    """A client that gives the status and the JSON of an answer, or the events of a stream."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self.client = client

    async def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> tuple[int, Any]:
        async with self.client.request(method, path, json=json, **options) as response:
            return response.status, await response.json()

    async def stream(self, **wanted: Any) -> list[dict[str, Any]]:
        body = {"model": "m", "input": "Hi", "stream": True} | wanted
        async with self.client.post(PATH, json=body) as response:
            assert response.status == 200, await response.text()
            *events, done = list(sse.Decoder().feed(await response.read()))
        assert done.data == "[DONE]"
        said: list[dict[str, Any]] = [json.loads(event.data) for event in events]
        assert [event["type"] for event in said] == [event.name for event in events]
        return said

    async def conversation(self) -> str:
        _, made = await self("POST", "/v1/conversations")
        return str(made["id"])

    async def items(self, conversation_id: str) -> list[dict[str, Any]]:
        _, listed = await self("GET", f"/v1/conversations/{conversation_id}/items", params={"order": "asc"})
        return list(listed["data"])


class Server(TestServer):
    """A server that runs as ours does: the test server of aiohttp would stop handlers whose client has left."""

    async def _make_runner(self, **_: Any) -> web.AppRunner:
        return web.AppRunner(self.app, access_log=None)


async def _client(backend: Played) -> TestClient[web.Request, web.Application]:
    state = await open_state(state_url(None))
    return TestClient(Server(make_app(Services(backend, state, CountedIdentity(state)))))


def run(backend: Played, scenario: Callable[[Api], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with await _client(backend) as client:
            return await asyncio.wait_for(scenario(Api(client)), 10)

    return asyncio.run(main())


@needs_descriptions
def test_a_response_with_every_option_conforms_and_shows_it() -> None:
    async def scenario(api: Api) -> None:
        status, response = await api("POST", PATH, {"model": "m", "input": "Hi"} | OPTIONS)
        assert status == 200, response
        check_response(response)
        same = OPTIONS.keys() - {"text", "tools", "tool_choice"}
        assert {name: response[name] for name in same} == {name: OPTIONS[name] for name in same}
        assert response["tool_choice"] == OPTIONS["tool_choice"]
        assert response["text"]["format"] == OPTIONS["text"]["format"] | {"strict": False}
        for event in await api.stream(**OPTIONS):
            check_event(event)

    run(Played(), scenario)


def test_the_checker_finds_what_does_not_conform() -> None:
    async def scenario(api: Api) -> None:
        events = await api.stream()
        check_stream(events)
        for wrong in (events[:3] + events[4:], events[:-2] + events[-1:], [*events[:-1], {**events[0]}]):
            with pytest.raises(AssertionError):
                check_stream(wrong)

    run(Played(), scenario)


@needs_descriptions
@pytest.mark.parametrize("change", [{"status": "done"}, {"output": [{}]}, {"truncation": 1}, {"created_at": "now"}])
def test_the_checker_knows_a_response_from_something_else(change: dict[str, Any]) -> None:
    async def scenario(api: Api) -> None:
        _, response = await api("POST", PATH, {"model": "m", "input": "Hi"})
        check_response(response)
        with pytest.raises(AssertionError, match="not a Response"):
            check_response(response | change)

    run(Played(), scenario)


def test_events_go_out_as_chunks_come_in() -> None:
    more = asyncio.Event()

    async def scenario(api: Api) -> None:
        async with api.client.post(PATH, json={"model": "m", "input": "Hi", "stream": True}) as response:
            early = b""
            while b"output_text.delta" not in early:
                early += await response.content.readany()
            assert b"output_text.done" not in early
            more.set()
            assert b"response.completed" in await response.read()

    run(Played(HELLO, more, STOP), scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_does_not_stop_the_turn(*, stream: bool) -> None:
    more = asyncio.Event()
    backend = Played(HELLO, more, HELLO, HELLO, STOP)

    async def scenario(api: Api) -> None:
        conversation_id = await api.conversation()
        body = json.dumps({"model": "m", "input": "Hi", "stream": stream, "conversation": conversation_id}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
        writer.write(f"POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        if stream:
            await reader.readuntil(b"output_text.delta")
        await backend.asked.wait()
        writer.transport.abort()
        await asyncio.sleep(0.05)
        more.set()
        while len(items := await api.items(conversation_id)) < 2:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.01)
        assert [item["content"][0]["text"] for item in items] == ["Hi", "HelloHelloHello"]

    run(backend, scenario)


@pytest.mark.parametrize("end", [UpstreamError("The upstream broke off."), {"choices": 7}, {"error": {"message": "x"}}])
def test_an_upstream_that_fails_in_mid_stream(end: Any) -> None:
    backend = Played(HELLO, end, HELLO)

    async def scenario(api: Api) -> None:
        conversation_id = await api.conversation()
        events = await api.stream(conversation=conversation_id)
        check_stream(events)
        failed = events[-1]["response"]
        assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
        assert backend.closed
        assert await api.items(conversation_id) == []
        assert await api("GET", f"{PATH}/{failed['id']}") == (200, failed)

    run(backend, scenario)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "code"), [(400, "context_length_exceeded"), (429, "rate_limit"), (500, None)])
def test_an_upstreams_own_error_comes_through_before_any_event(status: int, code: str | None, *, stream: bool) -> None:
    error = {"message": "No.", "type": "some_error", "param": "messages", "code": code}

    async def scenario(api: Api) -> None:
        given, body = await api("POST", PATH, {"model": "m", "input": "Hi", "stream": stream})
        assert given == status
        expected = error | {"code": code or ("upstream_error" if status >= 500 else None)}
        assert body["error"] == expected

    run(Played(Answer(status, JSON_TYPE, body=json.dumps({"error": error}).encode())), scenario)


def test_a_model_that_is_not_there_is_a_bad_request() -> None:
    error = {"message": "No such model.", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}

    async def scenario(api: Api) -> None:
        assert await api("POST", PATH, {"model": "m", "input": "Hi"}) == (400, {"error": error})

    run(Played(Answer(404, JSON_TYPE, body=json.dumps({"error": error}).encode())), scenario)


def test_a_database_that_says_no_ends_the_stream_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def save_turn(*_: Any, **__: Any) -> bool:
        raise OSError("disk full")

    async def scenario(api: Api) -> None:
        monkeypatch.setattr("harness.stores.state.SqlState.save_turn", save_turn)
        events = await api.stream()
        check_stream(events)
        error = events[-1]["response"]["error"]
        assert error["message"].startswith("The response could not be written down.")

    run(Played(), scenario)


def test_a_whole_completion_is_taken_for_a_stream() -> None:
    message = {"role": "assistant", "content": "Hello there"}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}

    async def scenario(api: Api) -> None:
        final = (await api.stream())[-1]["response"]
        assert final["output"][0]["content"][0]["text"] == "Hello there"
        assert final["usage"]["total_tokens"] == 1

    run(Played(Answer(200, JSON_TYPE, body=json.dumps(whole).encode())), scenario)


def test_a_conversation_deleted_during_a_turn_fails_it() -> None:
    more = asyncio.Event()

    async def scenario(api: Api) -> None:
        conversation_id = await api.conversation()
        turn = asyncio.create_task(api.stream(conversation=conversation_id))
        await backend.asked.wait()
        assert (await api("DELETE", f"/v1/conversations/{conversation_id}"))[0] == 200
        more.set()
        assert "was deleted during the turn" in (await turn)[-1]["response"]["error"]["message"]

    backend = Played(HELLO, more, STOP)
    run(backend, scenario)


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 1e400, float("nan"), 10**30, "", "\0", "\ud800", "auto", [], {}]),
    st.sampled_from([[None], [[]], [{}], {"": None}, {"type": []}, {"type": {}}, {"id": []}, _deep(99), _deep(400)]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "id", "x"]), inner),
        max_leaves=5,
    ),
)

FULL: dict[str, Any] = {
    "model": "m",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": "u"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "1"}]},
        {"type": "custom_tool_call", "call_id": "d", "name": "f", "input": "1"},
        {"type": "custom_tool_call_output", "call_id": "d", "output": "1"},
        {
            "type": "mcp_list_tools",
            "server_label": "s",
            "tools": [{"name": "t", "input_schema": {}, "annotations": {}}],
        },
        {"type": "mcp_call", "server_label": "s", "name": "t", "arguments": "{}", "output": "1", "error": None},
        {"type": "mcp_approval_request", "id": "r", "server_label": "s", "name": "t", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "r", "approve": False, "reason": "No."},
    ],
    "include": ["message.output_text.logprobs"],
    "store": False,
    "stream": False,
    "stop": ["."],
    "logit_bias": {"1": 2},
    "min_p": 0.1,
    **OPTIONS,
    "tools": [*OPTIONS["tools"], MCP],
}


NAMING: dict[str, Any] = {"model": "m", "input": [{"type": "item_reference", "id": "msg_1"}]}
BASES = [
    FULL,
    NAMING | {"conversation": {"id": "conv_1"}},
    NAMING | {"conversation": "conv_1"},
    NAMING | {"previous_response_id": "resp_1"},
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, deeper in inner for place in _places(deeper, (*path, step)))]


def _changed(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(copy[path[0]], path[1:], odd)
    return copy


def test_no_body_whatever_makes_the_server_fail() -> None:
    """One value of a request that has everything is changed for an odd one; what comes is an answer or a refusal."""
    seen: set[int] = set()
    with asyncio.Runner() as runner:
        client = runner.run(_client(Played()))
        runner.run(client.start_server())

        @settings(
            max_examples=max(100, settings().max_examples),
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(st.sampled_from([(base, path) for base in BASES for path in _places(base)[1:]]), ODD)
        def change(place: tuple[Any, tuple[Any, ...]], odd: Any) -> None:
            raw = json.dumps(_changed(*place, odd)).encode()
            status, answer = runner.run(_post(client, raw))
            seen.add(status)
            # 424: a changed list is no list, and the server that is asked for one is none.
            assert status in (200, 400, 404, 424), answer
            if answer.startswith(b"event: "):
                assert answer.endswith(b"data: [DONE]\n\n")
                return
            body = json.loads(answer, parse_constant=_no_number)
            assert body["status"] == "completed" if status == 200 else body["error"]["message"]

        try:
            change()
        finally:
            runner.run(client.close())
    assert seen >= {200, 400}


async def _post(client: TestClient[web.Request, web.Application], raw: bytes) -> tuple[int, bytes]:
    async with client.post(PATH, data=raw, headers={"Content-Type": "application/json"}) as response:
        return response.status, await response.read()


def _no_number(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")
