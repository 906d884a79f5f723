"""A search among tools that the client runs itself: recorded, then replayed."""

from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.settings import Mode
from tests.scripted_upstream import scripted
from tests.server.conformance import check_response, check_stream, needs_descriptions
from tests.server.test_mcp import calls, says
from tests.server.test_namespaces import CRM, FIND, TOLD, client_of

SEARCH: Any = {
    "type": "tool_search",
    "execution": "client",
    "description": "Finds tools",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
}


def found(call: dict[str, Any], *tools: Any) -> list[Any]:
    return [{"type": "tool_search_output", "call_id": call["call_id"], "execution": "client", "tools": list(tools)}]


def dialogue(client: OpenAI) -> list[dict[str, Any]]:
    asked: Any = {"model": "m", "tools": [SEARCH]}
    events = [
        event.model_dump(mode="json", exclude_unset=True)
        for event in client.responses.create(input="Find Ann", stream=True, **asked)
    ]
    check_stream(events)
    first = events[-1]["response"]
    held_back = CRM | {"tools": [FIND | {"defer_loading": True}]}
    second = client.responses.create(
        input=found(first["output"][0], held_back), previous_response_id=first["id"], **asked
    ).model_dump(mode="json", exclude_unset=True)
    output: Any = {"type": "function_call_output", "call_id": second["output"][0]["call_id"], "output": "Ann"}
    third = client.responses.create(input=[output], previous_response_id=second["id"], **asked)
    return [*events, second, third.model_dump(mode="json", exclude_unset=True)]


@needs_descriptions
def test_what_a_search_of_the_clients_finds_can_be_called(tmp_path: Path) -> None:
    search = calls({"name": "tool_search", "arguments": '{"query": "people"}'})
    with scripted(search, calls({"name": TOLD, "arguments": "{}"}), says("Here is Ann.")) as upstream:
        with client_of(Mode.RECORD, tmp_path, upstream) as client:
            recorded = dialogue(client)
        asked = [body for _, body in upstream.requests]
    with client_of(Mode.REPLAY, tmp_path) as client:
        assert dialogue(client) == recorded

    *events, second, third = recorded
    for response in (second, third):
        check_response(response)
    searched = events[-1]["response"]["output"][0]
    assert [event["type"].removeprefix("response.") for event in events[2:4]] == [
        "output_item.added",
        "output_item.done",
    ]
    assert (searched["type"], searched["execution"], searched["arguments"]) == (
        *("tool_search_call", "client", {"query": "people"}),
    )
    assert searched["call_id"].startswith("call_")
    assert (second["output"][0]["namespace"], second["output"][0]["name"]) == ("crm", "find")
    assert third["output"][0]["content"][0]["text"] == "Here is Ann."
    assert third["tools"] == [SEARCH]
    assert [[tool["function"]["name"] for tool in body["tools"]] for body in asked] == [
        *(["tool_search"], ["tool_search", TOLD], ["tool_search", TOLD]),
    ]
    assert asked[2]["messages"][1]["tool_calls"][0]["function"] == {
        "name": "tool_search",
        "arguments": '{"query": "people"}',
    }
    assert asked[2]["messages"][2]["content"] == f"These tools can be called now: {TOLD}."


def test_a_search_that_openai_would_run_is_refused(tmp_path: Path) -> None:
    with client_of(Mode.REPLAY, tmp_path) as client, pytest.raises(openai.BadRequestError, match="by OpenAI alone"):
        client.responses.create(model="m", input="Find Ann", tools=[{"type": "tool_search"}])


def test_a_search_without_its_output_is_refused(tmp_path: Path) -> None:
    searched: Any = {"type": "tool_search_call", "call_id": "a", "execution": "client", "arguments": {}}
    with client_of(Mode.REPLAY, tmp_path) as client:
        with pytest.raises(openai.BadRequestError, match="No tool output found for tool search call a"):
            client.responses.create(model="m", input=[searched], tools=[SEARCH])
