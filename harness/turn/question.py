"""What the model is asked: a request of the Responses API as the body of a chat completion."""

from typing import Any

from harness.api.responses import HANDED_ON, CreateResponse
from harness.turn.calls import check_calls
from harness.turn.messages import Item, to_messages


def chat_body(wanted: CreateResponse, items: list[Item]) -> dict[str, Any]:
    """The chat completion that continues ``items``.

    Always a stream with its usage, so that one recording serves every kind of turn. What the request leaves out is left
    out here. Raises InvalidRequest for items that no chat completion can continue.
    """
    check_calls(items)
    body: dict[str, Any] = {"model": wanted.model, "messages": to_messages(items, wanted.instructions)}
    body |= {name: getattr(wanted, name) for name in HANDED_ON if getattr(wanted, name) is not None}
    if wanted.max_output_tokens is not None:
        body["max_completion_tokens"] = wanted.max_output_tokens
    if wanted.reasoning and wanted.reasoning.effort:
        body["reasoning_effort"] = wanted.reasoning.effort
    if wanted.wants_logprobs or wanted.top_logprobs:
        body["logprobs"] = True
    if wanted.top_logprobs:
        body["top_logprobs"] = wanted.top_logprobs
    body |= _text(wanted) | _tools(wanted)
    if isinstance(body.get("tool_choice"), dict) and body["tool_choice"]["type"] != "allowed_tools":
        # A call that is forced leaves no text to format; some servers would format, and call nothing.
        body.pop("response_format", None)
    body |= wanted.extra_body or {}
    return body | {"stream": True, "stream_options": {"include_usage": True}}


def _text(wanted: CreateResponse) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if wanted.text is None:
        return options
    wire_format = wanted.text.given_format
    if wire_format.get("type") == "json_schema":
        schema = {name: value for name, value in wire_format.items() if name != "type"}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif wire_format.get("type") == "json_object":
        options["response_format"] = wire_format
    if wanted.text.verbosity:
        options["verbosity"] = wanted.text.verbosity
    return options


def _tools(wanted: CreateResponse) -> dict[str, Any]:
    """Upstreams refuse what is about tools where there are none, so without tools nothing is said of them."""
    if not wanted.tools:
        return {}
    options: dict[str, Any] = {"tools": [_nested(tool) for tool in wanted.tools]}
    if wanted.tool_choice is not None:
        options["tool_choice"] = _choice(wanted.tool_choice)
    if wanted.parallel_tool_calls is not None:
        options["parallel_tool_calls"] = wanted.parallel_tool_calls
    return options


def _nested(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool, or the name of one, as a chat completion writes it: all of it below its type."""
    kind = tool["type"]
    inner = {name: value for name, value in tool.items() if name != "type" and value is not None}
    grammar = inner.get("format")
    if kind == "custom" and grammar and grammar["type"] == "grammar":
        rules = {name: value for name, value in grammar.items() if name != "type"}
        inner["format"] = {"type": "grammar", "grammar": rules}
    return {"type": kind, kind: inner}


def _choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(choice, str):
        return choice
    if choice["type"] != "allowed_tools":
        return _nested(choice)
    allowed = {"mode": choice.get("mode") or "auto", "tools": [_nested(tool) for tool in choice["tools"]]}
    return {"type": "allowed_tools", "allowed_tools": allowed}
