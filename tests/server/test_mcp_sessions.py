"""One session with an MCP server for a turn: opened on first need, kept while it lasts, closed whatever happens."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.backends import mcp_session
from harness.settings import Mode
from tests.mcp_server import Reply, Served, mcp_server
from tests.scripted_upstream import scripted
from tests.server.test_mcp import ADD, calls, client_of, output, says, shapes, streamed, tool

COUNT = {"name": "count", "arguments": "{}"}


def results(events: list[dict[str, Any]]) -> list[Any]:
    """What came of each call: its output, or the type of its error."""
    made = [item for item in output(events) if item["type"] == "mcp_call"]
    return [item["output"] or item["error"]["type"] for item in made]


def asks(body: bytes, method: str) -> dict[str, Any] | None:
    """A request of JSON-RPC, if it is one of this method."""
    request: dict[str, Any] = json.loads(body)
    return request if request.get("method") == method else None


def error(request: dict[str, Any], code: int, *, status: int = 200, **data: Any) -> Reply:
    fault = {"code": code, "message": "No.", "data": data}
    return Reply(status, json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": fault}).encode())


def to_the_second_call(reply: Callable[[dict[str, Any]], Reply]) -> Callable[[Served, bytes], Reply | None]:
    """What answers the second call of a tool in the server's place."""
    seen: list[dict[str, Any]] = []

    def refuses(_: Served, body: bytes) -> Reply | None:
        request = asks(body, "tools/call")
        seen.extend([request] if request else [])
        return reply(request) if request and len(seen) == 2 else None

    return refuses


def test_what_a_server_keeps_lasts_for_a_turn_and_no_longer(tmp_path: Path) -> None:
    def run(client: OpenAI, served: Served) -> list[list[dict[str, Any]]]:
        return [streamed(client, tools=[tool(served)], input=text) for text in ("One?", "Two?")]

    script = (calls(COUNT), calls(COUNT, COUNT), says("Three."))
    with mcp_server(counting=True) as served, scripted(*script, *script) as upstream:
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            recorded = run(client, served)
    assert [results(events) for events in recorded] == [["1", "2", "3"], ["1", "2", "3"]]
    assert len(served.counts) == served.methods.count("DELETE") == 2
    with client_of(Mode.REPLAY, tmp_path) as client:
        assert run(client, served) == recorded


def test_a_server_that_forgot_the_session_is_asked_in_a_new_one(tmp_path: Path) -> None:
    forgets = to_the_second_call(lambda _: Reply(404))
    with mcp_server(counting=True, refuses=forgets) as served, scripted(calls(COUNT, COUNT), says("So.")) as upstream:
        with client_of(Mode.LIVE, tmp_path, upstream) as client:
            assert results(streamed(client, tools=[tool(served)])) == ["1", "1"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda _: Reply(503), ["1", "http_error", "1"]),
        (lambda _: Reply(200, b"{", breaks_off=True), ["1", "http_error", "1"]),
        (lambda _: Reply(200, after=1), ["1", "http_error", "1"]),
        # What the server itself says against a call is no reason to begin anew.
        (lambda request: error(request, -32602), ["1", "mcp_protocol_error", "2"]),
    ],
    ids=["status", "broken off", "too slow", "refused"],
)
def test_a_call_that_fails_is_told_and_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Callable[[dict[str, Any]], Reply], said: list[str]
) -> None:
    monkeypatch.setattr(mcp_session, "CALL_SECONDS", 0.3)
    script = (calls(COUNT), calls(COUNT, COUNT), says("So be it."))
    with mcp_server(counting=True, refuses=to_the_second_call(reply)) as served, scripted(*script) as upstream:
        with client_of(Mode.LIVE, tmp_path, upstream) as client:
            assert results(streamed(client, tools=[tool(served)])) == said


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "OPENING_SECONDS", 0.2)
    with mcp_server(refuses=lambda *_: Reply(200, after=1)) as served, scripted(says("No.")) as upstream:
        with client_of(Mode.LIVE, tmp_path, upstream) as client, pytest.raises(openai.APIStatusError) as caught:
            client.responses.create(model="m", input="Hi", tools=[tool(served)])  # type: ignore[list-item]  # a dict
    assert caught.value.status_code == 424


@pytest.mark.parametrize(("status", "code"), [(400, -32022), (404, -32601)])
def test_a_server_that_knows_no_sessions_is_asked_without(tmp_path: Path, status: int, code: int) -> None:
    def refuses(_: Served, body: bytes) -> Reply | None:
        request = asks(body, "initialize")
        return error(request, code, status=status, supported=["2026-07-28"], requested="x") if request else None

    with mcp_server(counting=True, refuses=refuses) as served, scripted(calls(COUNT, ADD), says("So.")) as upstream:
        with client_of(Mode.LIVE, tmp_path, upstream) as client:
            assert results(streamed(client, tools=[tool(served)])) == ["1", "3"]
    assert list(served.counts) == ["none"]


def test_a_tool_that_is_no_longer_there_is_told_to_the_model(tmp_path: Path) -> None:
    with mcp_server(counting=True) as before, mcp_server() as after, scripted(says("1"), calls(COUNT), says("2")) as up:
        with client_of(Mode.LIVE, tmp_path, up) as client:
            first = streamed(client, tools=[tool(before)])
            chained = {"previous_response_id": first[-1]["response"]["id"]}
            second = streamed(client, tools=[tool(after)], **chained)
    assert shapes(second) == ["mcp_call", "message"]
    assert output(second)[0]["status"] == "failed"
    assert "Unknown tool: count" in json.dumps(output(second)[0]["error"])


def test_a_response_that_is_cancelled_leaves_the_server(tmp_path: Path) -> None:
    slow = to_the_second_call(lambda _: Reply(200, after=1))
    with mcp_server(counting=True, refuses=slow) as served, scripted(calls(COUNT, COUNT), says("No.")) as upstream:
        with client_of(Mode.LIVE, tmp_path, upstream) as client:
            wanted: Any = {"tools": [tool(served)], "background": True}
            running = client.responses.create(model="m", input="Hi", **wanted)
            until(lambda: bool(served.counts))
            assert client.responses.cancel(running.id).status == "cancelled"
            until(lambda: "DELETE" in served.methods)
    assert len(upstream.requests) == 1


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)
