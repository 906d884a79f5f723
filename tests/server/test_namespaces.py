"""Tools that stand in a namespace, and what OpenAI's Codex sends besides: recorded, then replayed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import ScriptedUpstream, scripted
from tests.server.conformance import check_response, check_stream, needs_descriptions
from tests.server.test_mcp import calls, says

FIND = {"type": "function", "name": "find", "description": "Finds", "parameters": {"type": "object", "properties": {}}}
NOTE = {"type": "custom", "name": "note"}
CRM = {"type": "namespace", "name": "crm", "description": "Customers", "tools": [FIND, NOTE]}
TOLD = "crm__find"


@contextmanager
def client_of(mode: Mode, directory: Path, upstream: ScriptedUpstream | None = None) -> Iterator[OpenAI]:
    url = upstream.url if upstream else "http://127.0.0.1:1/v1"
    with ServerThread(Settings(mode=mode, recordings=directory, upstream=url)) as server:
        with OpenAI(base_url=server.base_url, api_key="harness-key-1", max_retries=0) as client:
            yield client


def dialogue(client: OpenAI) -> list[dict[str, Any]]:
    """A call of a namespace's tool, its output with the call said again, and the answer."""
    asked: Any = {"model": "m", "tools": [CRM, FIND], "extra_body": {"client_metadata": {"session": "1"}}}
    events = [
        event.model_dump(mode="json", exclude_unset=True)
        for event in client.responses.create(input="Find Ann", stream=True, **asked)
    ]
    check_stream(events)
    call = events[-1]["response"]["output"][0]
    said = [
        {"role": "user", "content": "Find Ann", "internal_chat_message_metadata_passthrough": {"turn_id": "1"}},
        call,
        {"type": "function_call_output", "call_id": call["call_id"], "output": "Ann"},
    ]
    whole = client.responses.create(input=said, **asked | {"tool_choice": {"type": "function", "name": "crm.find"}})
    check_response(whole.model_dump(mode="json", exclude_unset=True))
    return [*events, whole.model_dump(mode="json", exclude_unset=True)]


@needs_descriptions
def test_a_tool_of_a_namespace_is_told_called_and_answered(tmp_path: Path) -> None:
    with scripted(calls({"name": TOLD, "arguments": "{}"}), says("Here is Ann.")) as upstream:
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            recorded = dialogue(client)
        asked = [body for _, body in upstream.requests]
    with client_of(Mode.REPLAY, tmp_path) as client:
        assert dialogue(client) == recorded

    *events, answer = recorded
    shown = next(event["item"] for event in events if event["type"] == "response.output_item.done")
    assert (shown["namespace"], shown["name"]) == ("crm", "find")
    assert [event["name"] for event in events if event["type"] == "response.function_call_arguments.done"] == ["find"]
    assert answer["tools"][0]["tools"][0]["name"] == "find"
    told = [tool[tool["type"]] for tool in asked[0]["tools"]]
    assert [tool["name"] for tool in told] == [TOLD, "crm__note", "find"]
    assert told[0]["description"] == "Finds (crm: Customers)"
    assert asked[1]["messages"][1]["tool_calls"][0]["function"]["name"] == TOLD
    assert asked[1]["tool_choice"] == {"type": "function", "function": {"name": TOLD}}
    assert not any("client_metadata" in body for body in asked)


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([CRM | {"tools": []}], "tools[0].tools"),
        ([{"type": "namespace", "name": "crm", "tools": [FIND]}], "tools[0].description"),
        ([CRM | {"tools": [FIND, {"type": "web_search"}]}], "tools[0].tools[1].type"),
        ([CRM | {"tools": [FIND | {"name": "a.b"}]}], "tools[0].tools[0].name"),
        ([CRM, FIND | {"name": TOLD}], "tools[1].name"),
    ],
)
def test_a_namespace_that_is_none_is_refused(tmp_path: Path, tools: list[Any], param: str) -> None:
    with client_of(Mode.REPLAY, tmp_path) as client, pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input="Hi", tools=tools)
    assert caught.value.param == param


def test_items_bring_tools_as_well(tmp_path: Path) -> None:
    """Clients that keep the history themselves bring the same ones again; the last holds."""
    brought: Any = {"type": "additional_tools", "role": "developer", "tools": [CRM, FIND]}
    wanted: Any = {"model": "m", "input": [brought, {"role": "user", "content": "Find Ann"}]}

    def run(client: OpenAI) -> list[Any]:
        first = client.responses.create(**wanted)
        call = first.output[0]
        again = brought | {"tools": [FIND | {"description": "Finds better"}]}
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Ann"}
        answer = client.responses.create(model="m", input=[again, output], previous_response_id=first.id)
        return [first.tools, call.model_dump(), answer.output_text]

    with scripted(calls({"name": TOLD, "arguments": "{}"}), says("Here is Ann.")) as upstream:
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            recorded = run(client)
        told = [[tool[tool["type"]] for tool in body["tools"]] for _, body in upstream.requests]
        kinds = [[message["role"] for message in body["messages"]] for _, body in upstream.requests]
    with client_of(Mode.REPLAY, tmp_path) as client:
        assert run(client) == recorded

    assert recorded[0] == []
    assert (recorded[1]["namespace"], recorded[1]["name"]) == ("crm", "find")
    assert [[tool["name"] for tool in tools] for tools in told] == [[TOLD, "crm__note", "find"]] * 2
    assert told[1][2]["description"] == "Finds better"
    assert kinds == [["user"], ["user", "assistant", "tool"]]


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ({"type": "mcp", "server_label": "s", "server_url": "http://127.0.0.1:1/mcp"}, "in the request's 'tools'"),
        ({"type": "web_search"}, "run by OpenAI alone"),
        ("find", "expected an object"),
    ],
)
def test_what_only_a_request_can_bring_says_so(tmp_path: Path, tool: Any, said: str) -> None:
    brought: Any = {"type": "additional_tools", "role": "developer", "tools": [tool]}
    with client_of(Mode.REPLAY, tmp_path) as client, pytest.raises(openai.BadRequestError, match=said):
        client.responses.create(model="m", input=[brought, {"role": "user", "content": "Find Ann"}])
