"""The tools of a real MCP server, called by the server for a scripted model: recorded, then replayed without either."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.backends.journal import Outcome
from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.mcp_server import Served, listening, mcp_server
from tests.scripted_upstream import ScriptedUpstream, chunk, http, scripted, stream
from tests.server.conformance import check_event, check_response, check_stream, needs_descriptions

ADD = {"name": "add", "arguments": '{"a": 1, "b": 2}'}
SEND = {"name": "send", "arguments": '{"to": "Ann"}'}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
USER_CALL = {"name": "weather", "arguments": "{}"}
SECRET = "s3cret-token"


def calls(*functions: dict[str, str]) -> bytes:
    """A model's answer that calls these functions, in one chunk each."""
    pieces = [
        {"index": place, "id": f"call_up{place}", "type": "function", "function": function}
        for place, function in enumerate(functions)
    ]
    chunks = [chunk(choices=[{"index": 0, "delta": {"tool_calls": [piece]}}]) for piece in pieces]
    end = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])
    return stream(*chunks, end, chunk(choices=[], usage=USAGE))


def says(text: str) -> bytes:
    return stream(chunk(text), chunk(finish="stop"), chunk(choices=[], usage=USAGE))


def tool(served: Served, **more: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": "tools", "server_url": served.url, "require_approval": "never"} | more


@contextmanager
def client_of(mode: Mode, directory: Path, upstream: ScriptedUpstream | None = None) -> Iterator[OpenAI]:
    url = upstream.url if upstream else "http://127.0.0.1:1/v1"
    with ServerThread(Settings(mode=mode, recordings=directory, upstream=url)) as server:
        with OpenAI(base_url=server.scoped("test_mcp"), api_key="harness-key-1", max_retries=0) as client:
            yield client


def streamed(client: OpenAI, **wanted: Any) -> list[dict[str, Any]]:
    asked: Any = {"model": "m", "input": "Hi", "stream": True} | wanted
    events = [event.model_dump(mode="json", exclude_unset=True) for event in client.responses.create(**asked)]
    check_stream(events)
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def output(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = events[-1]["response"]["output"]
    return found


def shapes(events: list[dict[str, Any]]) -> list[str]:
    return [item["type"] for item in output(events)]


def messages(upstream: ScriptedUpstream, number: int) -> list[dict[str, Any]]:
    """What the model was told in the request of this number, without ids."""
    told = [dict(message) for message in upstream.requests[number][1]["messages"]]
    for message in told:
        message.pop("tool_call_id", None)
        if "tool_calls" in message:
            message["tool_calls"] = [call["function"] for call in message["tool_calls"]]
    return told


@needs_descriptions
def test_a_tool_is_listed_called_and_its_result_told(tmp_path: Path) -> None:
    with mcp_server() as served, scripted(calls(ADD), says("Three.")) as upstream:
        wanted = {"tools": [tool(served, headers={"X-Key": SECRET}, server_description="Sums.")]}
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            recorded = streamed(client, **wanted)
        assert served.calls == ["add 1 2"]
        assert {headers["x-key"] for headers in served.headers} == {SECRET}
        assert not any("harness-key" in str(headers) for headers in served.headers)
    with client_of(Mode.REPLAY, tmp_path) as client:
        assert streamed(client, **wanted) == recorded

    assert kinds(recorded) == [
        *("created", "in_progress", "output_item.added", "mcp_list_tools.in_progress", "mcp_list_tools.completed"),
        *("output_item.done", "output_item.added", "mcp_call.in_progress", "mcp_call_arguments.delta"),
        *("mcp_call_arguments.done", "mcp_call.completed", "output_item.done", "output_item.added"),
        *("content_part.added", "output_text.delta", "output_text.done", "content_part.done", "output_item.done"),
        "completed",
    ]
    listed, called, _ = output(recorded)
    assert [offered["name"] for offered in listed["tools"]] == ["add", "send"]
    assert all(value is not None for offered in listed["tools"] for value in offered.values())
    assert listed["id"].startswith("mcpl_")
    assert called["id"].startswith("mcp_")
    assert called == ADD | {
        "id": called["id"],
        "type": "mcp_call",
        "status": "completed",
        "server_label": "tools",
        "output": "3",
        "error": None,
        "approval_request_id": None,
    }
    response = recorded[-1]["response"]
    assert (response["usage"]["input_tokens"], response["usage"]["total_tokens"]) == (20, 30)
    assert response["tools"][0]["server_url"].endswith("/<redacted>")
    [first, second] = upstream.requests
    assert [offered["function"]["name"] for offered in first[1]["tools"]] == ["add", "send"]
    assert first[1]["tools"][0]["function"]["description"] == "Adds two numbers. (tools: Sums.)"
    assert second[1]["tools"] == first[1]["tools"]
    assert messages(upstream, 1)[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [ADD]},
        {"role": "tool", "content": "3"},
    ]
    texts = [file.read_text() for file in tmp_path.iterdir()]
    assert len(texts) == 4
    assert not any(SECRET in text or "127.0.0.1" in text for text in texts)
    for event in recorded:
        check_event(event)


@needs_descriptions
@pytest.mark.parametrize("approve", [True, False])
def test_a_call_waits_for_its_approval(tmp_path: Path, approve: bool) -> None:
    def run(client: OpenAI, served: Served) -> list[list[dict[str, Any]]]:
        wanted: dict[str, Any] = {"tools": [tool(served, require_approval=None, authorization=SECRET)]}
        asked = streamed(client, **wanted)
        request = output(asked)[-1]
        answered = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve}
        if not approve:
            answered["reason"] = "Not now."
        chained = {"previous_response_id": asked[-1]["response"]["id"], "input": [answered]}
        return [asked, streamed(client, **wanted, **chained)]

    with mcp_server(token=SECRET) as served, scripted(calls(SEND), says("So be it.")) as upstream:
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            recorded = run(client, served)
    with client_of(Mode.REPLAY, tmp_path) as client:
        assert run(client, served) == recorded

    first, second = recorded
    assert shapes(first) == ["mcp_list_tools", "mcp_approval_request"]
    request = output(first)[-1]
    assert request["id"].startswith("mcpr_")
    assert request == SEND | {"id": request["id"], "type": "mcp_approval_request", "server_label": "tools"}
    assert served.calls == (["send Ann"] if approve else [])
    assert shapes(second) == (["mcp_call", "message"] if approve else ["message"])
    result = "Sent to Ann." if approve else "Error: The user did not approve this call: Not now."
    assert messages(upstream, 1)[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [SEND]},
        {"role": "tool", "content": result},
    ]
    assert not any(SECRET in file.read_text() for file in tmp_path.iterdir())
    for event in [*first, *second]:
        check_event(event)


def test_what_fails_is_told_to_the_model_and_replayed(tmp_path: Path) -> None:
    nobody = SEND | {"arguments": '{"to": "nobody"}'}
    garbled = SEND | {"arguments": "{"}
    with mcp_server() as served, scripted(calls(nobody, garbled, ADD), says("Oh.")) as upstream:
        wanted = {"tools": [tool(served)]}
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            recorded = streamed(client, **wanted)
    with client_of(Mode.REPLAY, tmp_path) as client:
        assert streamed(client, **wanted) == recorded

    assert kinds(recorded).count("mcp_call.failed") == 2
    _, failed, broken, added, _ = output(recorded)
    assert (failed["status"], failed["output"], failed["error"]["type"]) == (
        *("failed", None, "mcp_tool_execution_error"),
    )
    assert (broken["status"], broken["error"]["type"]) == ("failed", "mcp_protocol_error")
    assert (added["status"], added["output"]) == ("completed", "3")
    assert served.calls == ["send nobody", "add 1 2"]
    for event in recorded:
        check_event(event)


def test_the_list_of_a_conversation_is_asked_for_once(tmp_path: Path) -> None:
    def run(client: OpenAI, served: Served) -> list[list[str]]:
        conversation = client.conversations.create()
        wanted = {"tools": [tool(served, allowed_tools={"read_only": True})], "conversation": conversation.id}
        return [shapes(streamed(client, **wanted, input=text)) for text in ("One?", "Two?")]

    with mcp_server() as served, scripted(says("One."), calls(ADD), says("Two.")) as upstream:
        with client_of(Mode.RECORD_IF_MISSING, tmp_path, upstream) as client:
            assert run(client, served) == [["mcp_list_tools", "message"], ["mcp_call", "message"]]
    with client_of(Mode.REPLAY, tmp_path) as client:
        assert run(client, served) == [["mcp_list_tools", "message"], ["mcp_call", "message"]]

    assert [len(request["tools"]) for _, request in upstream.requests] == [1, 1, 1]


def test_the_users_own_functions_are_handed_over_and_the_rest_is_done(tmp_path: Path) -> None:
    with mcp_server() as served, scripted(calls(USER_CALL, ADD), says("Fine.")) as upstream:
        with client_of(Mode.LIVE, tmp_path, upstream) as client:
            wanted: dict[str, Any] = {"model": "m", "tools": [tool(served), FUNCTION]}
            first: Any = client.responses.create(**wanted, input="Hi")
            assert [item.type for item in first.output] == ["mcp_list_tools", "function_call", "mcp_call"]
            done: Any = {"type": "function_call_output", "call_id": first.output[1].call_id, "output": "sunny"}
            second: Any = client.responses.create(**wanted, input=[done], previous_response_id=first.id)
            assert second.output_text == "Fine."
            check_response(json.loads(second.model_dump_json(exclude_unset=True)))

    assert messages(upstream, 1)[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [USER_CALL, ADD]},
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "sunny"},
    ]


def test_the_most_calls_are_not_exceeded(tmp_path: Path) -> None:
    with mcp_server() as served, scripted(calls(ADD, SEND), says("Enough.")) as upstream:
        with client_of(Mode.LIVE, tmp_path, upstream) as client:
            events = streamed(client, tools=[tool(served)], max_tool_calls=1, tool_choice="required")

    assert shapes(events) == ["mcp_list_tools", "mcp_call", "message"]
    assert served.calls == ["add 1 2"]
    assert [request.get("tool_choice") for _, request in upstream.requests] == ["required", None]
    assert messages(upstream, 1)[-1]["content"].startswith("Tool call skipped")


def test_the_older_transport_is_spoken_where_the_newer_is_not(tmp_path: Path) -> None:
    with mcp_server(sse=True) as served, scripted(calls(ADD), says("Three.")) as upstream:
        with client_of(Mode.LIVE, tmp_path, upstream) as client:
            events = streamed(client, tools=[tool(served, headers={"X-Key": SECRET})])

    assert output(events)[1]["output"] == "3"
    assert {headers["x-key"] for headers in served.headers} == {SECRET}


async def broken(scope: Any, _: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": int(scope["path"][1:]), "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("stream_it", [False, True])
def test_a_list_that_cannot_be_had_says_why(tmp_path: Path, stream_it: bool) -> None:
    with listening(broken) as port, scripted(says("No.")) as upstream:
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            for status, place, reason in (
                (401, f"{port}/401", "401 (Unauthorized)"),
                (424, f"{port}/403", "403 (Forbidden)"),
                (424, f"{port}/503", "503"),
                (424, "1/mcp", "asked"),
            ):
                wanted: Any = {"tools": [tool(Served(f"http://127.0.0.1:{place}"))], "stream": stream_it}
                with pytest.raises(
                    openai.APIStatusError, match=f"from MCP server: 'tools'.*{re.escape(reason)}"
                ) as caught:
                    client.responses.create(model="m", input="Hi", **wanted)
                assert (caught.value.status_code, caught.value.code) == (status, "http_error")
                assert (caught.value.type, caught.value.param) == ("external_connector_error", "tools")
    assert upstream.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_miss_is_a_miss(tmp_path: Path) -> None:
    with client_of(Mode.REPLAY, tmp_path) as client, pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="m", input="Hi", tools=[tool(Served("http://127.0.0.1:1/mcp"))])  # type: ignore[list-item]  # a dict

    assert caught.value.code == "recording_not_found"
    assert "POST /mcp/tools/list" in str(caught.value)


def test_a_recording_is_found_from_another_port_and_says_what_it_is(tmp_path: Path) -> None:
    with mcp_server() as served, scripted(says("Hello.")) as upstream:
        settings = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream.url)
        with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="none") as client:
            streamed(client, tools=[tool(served)])
            assert server.parts.journal.count() == {Outcome.RECORDED: 2}
    with client_of(Mode.REPLAY, tmp_path) as client:
        streamed(client, tools=[tool(Served("http://localhost:4/mcp?key=x"))])

    documents = [json.loads(file.read_text()) for file in tmp_path.iterdir()]
    [listing] = [document for document in documents if document["request"]["endpoint"] == "/mcp/tools/list"]
    assert listing["request"]["body"] == {"server_label": "tools", "server_url": "http://localhost/mcp"}
    assert [offered["name"] for offered in listing["response"]["body"]["tools"]] == ["add", "send"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"server_url": "ftp://h"}, "tools[0].server_url"),
        ({"server_url": None}, "tools[0].server_url"),
        ({"server_label": ""}, "tools[0].server_label"),
        ({"connector_id": "connector_gmail"}, "tools[0].connector_id"),
        ({"require_approval": "sometimes"}, "tools[0].require_approval"),
        ({"allowed_tools": {"names": []}}, "tools[0].allowed_tools.names"),
        ({"headers": {"Authorization": "x"}, "authorization": "y"}, "tools[0].authorization"),
        ({"depth": 1}, "tools[0].depth"),
    ],
)
def test_what_is_no_server_is_refused(tmp_path: Path, more: dict[str, Any], param: str) -> None:
    wanted: Any = [tool(Served("http://h/mcp")) | more]
    with client_of(Mode.REPLAY, tmp_path) as client, pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input="Hi", tools=wanted)

    assert caught.value.param == param


def test_two_tools_of_one_name_are_refused(tmp_path: Path) -> None:
    with mcp_server() as served, scripted(http(b"{}")) as upstream, client_of(Mode.LIVE, tmp_path, upstream) as client:
        twice: Any = [tool(served), FUNCTION | {"name": "add"}]
        with pytest.raises(openai.BadRequestError, match="has a tool named 'add', and so has the request itself"):
            client.responses.create(model="m", input="Hi", tools=twice)
        same: Any = [tool(served), tool(served, server_label="other")]
        with pytest.raises(openai.BadRequestError, match="and so has the MCP server 'tools'"):
            client.responses.create(model="m", input="Hi", tools=same)
    assert upstream.requests == []


def test_a_call_that_nobody_answers_is_told_and_not_recorded(tmp_path: Path) -> None:
    with scripted(says("First."), calls(ADD), says("Pity.")) as upstream:
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            with mcp_server() as served:
                first = streamed(client, tools=[tool(served)])
            chained = {"previous_response_id": first[-1]["response"]["id"]}
            second = streamed(client, tools=[tool(served)], **chained)

    assert output(second)[0]["error"]["type"] == "http_error"
    assert output(second)[-1]["content"][0]["text"] == "Pity."
    endpoints = sorted(json.loads(file.read_text())["request"]["endpoint"] for file in tmp_path.iterdir())
    assert endpoints == ["/mcp/tools/list", *["/v1/chat/completions"] * 3]
