"""Whether what the server sends is what OpenAI's API sends: checked against its descriptions and its client's types.

The descriptions lie beside the project, in ``../shared/openapi``; where they are not, ``needs_descriptions`` skips.
The Open Responses description is held to where it does not contradict OpenAI's: it knows neither custom tools nor MCP
nor the schema of structured output, and has other names for the events of reasoning.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.types.responses import CompactedResponse, Response, ResponseStreamEvent
from pydantic import TypeAdapter

_DESCRIPTIONS = Path(__file__).parents[3] / "shared" / "openapi"
_OPENAI, _OPEN_RESPONSES = "openai-openapi.json", "openresponses-openapi.json"
_NOT_OPEN = ("custom_tool_call", "tool_search_call", "mcp_list_tools", "mcp_call", "mcp_approval_request", "compaction")
"""Items that Open Responses does not know."""

needs_descriptions = pytest.mark.skipif(
    not (_DESCRIPTIONS / _OPENAI).exists(), reason=f"the API's descriptions are not in {_DESCRIPTIONS}"
)


def check_response(response: dict[str, Any]) -> None:
    """Fails, with every fault and its path, for what is no Response object."""
    _check(_OPENAI, "Response", _for_openai(response))
    _check(_OPEN_RESPONSES, "ResponseResource", _for_open_responses(response))
    Response.model_validate_json(json.dumps(response), strict=True)


def check_compaction(compaction: dict[str, Any]) -> None:
    """Fails for what is no compacted response."""
    _check(_OPENAI, "CompactResource", compaction)
    # The package's type has no place for the user's messages, which come first as its own documentation says.
    rest = [item for item in compaction["output"] if item["type"] != "message"]
    CompactedResponse.model_validate_json(json.dumps(compaction | {"output": rest}), strict=True)


def check_event(event: dict[str, Any]) -> None:
    """Fails, with every fault and its path, for what is no event of a response's stream."""
    kind = event["type"]
    assert kind in _events(_OPENAI), f"OpenAI has no event {kind}"
    _check(_OPENAI, _events(_OPENAI)[kind], _with_response(event, _for_openai))
    if kind in _events(_OPEN_RESPONSES) and event.get("item", {}).get("type") not in _NOT_OPEN:
        _check(_OPEN_RESPONSES, _events(_OPEN_RESPONSES)[kind], _with_response(event, _for_open_responses))
    _event_type().validate_json(json.dumps(event), strict=True)
    if "response" in event:
        check_response(event["response"])


def check_stream(events: list[dict[str, Any]]) -> None:
    """Fails where a stream breaks a rule of its own: numbers, order, places, deltas that do not make the whole."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    begins = ["created", *(["queued"] if events[0]["response"]["background"] else []), "in_progress"]
    assert [event["type"] for event in events[: len(begins)]] == [f"response.{name}" for name in begins]
    final = events[-1]["response"]
    assert events[-1]["type"] == f"response.{final['status']}"
    closed: list[dict[str, Any]] = []
    opened: dict[str, Any] | None = None
    texts: dict[int, str] = {}
    for event in events[len(begins) : -1]:
        if event["type"] == "response.output_item.added":
            assert opened is None, "an item opens before the one before it is closed"
            opened, texts = event["item"], {}
        assert opened is not None, f"{event['type']} outside of an item"
        assert event["output_index"] == len(closed)
        assert event.get("item_id", opened["id"]) == opened["id"]
        _check_text(event, texts)
        if event["type"] == "response.output_item.done":
            assert event["item"]["id"] == opened["id"]
            closed.append(event["item"])
            opened = None
    if final["status"] != "failed":
        assert opened is None
        assert final["output"] == closed


def _check_text(event: dict[str, Any], texts: dict[int, str]) -> None:
    kind, place = event["type"], event.get("content_index", 0)
    if kind == "response.content_part.added":
        assert place == len(texts)
        texts[place] = ""
    elif kind.endswith(".delta"):
        texts[place] = texts.get(place, "") + event["delta"]
    elif kind.endswith(".done") and "delta" not in event and "item_id" in event and "part" not in event:
        said = next(event[name] for name in ("text", "refusal", "arguments", "input") if name in event)
        assert texts.get(place, "") == said


def _with_response(event: dict[str, Any], change: Any) -> dict[str, Any]:
    return event | {"response": change(event["response"])} if "response" in event else event


def _for_openai(response: dict[str, Any]) -> dict[str, Any]:
    """Without a usage of null: Open Responses requires it, OpenAI sends it, its description has no null there."""
    return {name: value for name, value in response.items() if name != "usage" or value is not None}


def _for_open_responses(response: dict[str, Any]) -> dict[str, Any]:
    """Without what Open Responses does not know."""
    changed = dict(response)
    changed["tools"] = [tool for tool in response["tools"] if tool["type"] == "function"]
    changed["output"] = [item for item in response["output"] if item["type"] not in _NOT_OPEN]
    if response["text"]["format"]["type"] == "json_schema":
        changed["text"] = {"format": {"type": "text"}}
    choice = response["tool_choice"]
    if isinstance(choice, dict) and any(kind in json.dumps(choice) for kind in ("custom", "mcp")):
        changed["tool_choice"] = "auto"
    return changed


def _check(file: str, schema: str, value: Any) -> None:
    faults = [f"{fault.json_path}: {fault.message[:300]}" for fault in _validator(file, schema).iter_errors(value)]
    assert not faults, f"not a {schema} of {file}:\n" + "\n".join(faults)


@cache
def description(file: str = _OPENAI) -> dict[str, Any]:
    """An API's description, OpenAI's own if none is named."""
    said: dict[str, Any] = json.loads((_DESCRIPTIONS / file).read_text("utf-8"))
    return said


@cache
def _validator(file: str, schema: str) -> Draft202012Validator:
    root = {"$ref": f"#/components/schemas/{schema}", "components": description(file)["components"]}
    return Draft202012Validator(root)


@cache
def _events(file: str) -> dict[str, str]:
    """The schema of each event, by its type."""
    schemas = description(file)["components"]["schemas"]
    kinds = {
        name: schema.get("properties", {}).get("type", {}).get("enum", [""])[0]
        for name, schema in schemas.items()
        if name.endswith("Event") and not name.startswith("Beta") and "sequence_number" in schema.get("properties", {})
    }
    return {kind: name for name, kind in kinds.items() if kind}


@cache
def _event_type() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseStreamEvent)
