"""What the model is asked: a request of the Responses API as the body of a chat completion."""

from typing import Any

from harness.api.responses import HANDED_ON, CreateResponse
from harness.turn.messages import Item, to_messages


def chat_body(wanted: CreateResponse, items: list[Item]) -> dict[str, Any]:
    """The chat completion that continues ``items``.

    Always a stream with its usage, so that one recording serves every kind of turn. What the request leaves out is left
    out here.
    """
    body: dict[str, Any] = {"model": wanted.model, "messages": to_messages(items, wanted.instructions)}
    body |= {name: getattr(wanted, name) for name in HANDED_ON if getattr(wanted, name) is not None}
    if wanted.max_output_tokens is not None:
        body["max_completion_tokens"] = wanted.max_output_tokens
    if wanted.reasoning and wanted.reasoning.get("effort"):
        body["reasoning_effort"] = wanted.reasoning["effort"]
    if wanted.wants_logprobs or wanted.top_logprobs:
        body["logprobs"] = True
    if wanted.top_logprobs:
        body["top_logprobs"] = wanted.top_logprobs
    body |= _text(wanted) | _tools(wanted)
    return body | {"stream": True, "stream_options": {"include_usage": True}}


def _text(wanted: CreateResponse) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if wanted.text is None:
        return options
    wire_format = wanted.text.format
    if wire_format and wire_format.get("type") == "json_schema":
        schema = {name: value for name, value in wire_format.items() if name != "type"}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif wire_format and wire_format.get("type") != "text":
        options["response_format"] = wire_format
    if wanted.text.verbosity:
        options["verbosity"] = wanted.text.verbosity
    return options


def _tools(wanted: CreateResponse) -> dict[str, Any]:
    if not wanted.tools:
        return {}
    tools = [
        {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}
        for tool in wanted.tools
    ]
    choice = wanted.tool_choice
    if choice is None:
        return {"tools": tools}
    if isinstance(choice, dict) and choice.get("type") == "function":
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    return {"tools": tools, "tool_choice": choice}
