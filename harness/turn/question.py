"""What the model is asked: a request of the Responses API as the body of a chat completion."""

from typing import Any

from harness.api.create_response import CreateResponse
from harness.api.errors import invalid_value
from harness.turn.calls import check_calls
from harness.turn.messages import Item, to_messages
from harness.turn.tool_options import tool_options
from harness.turn.toolbox import Toolbox


def chat_body(
    wanted: CreateResponse, items: list[Item], toolbox: Toolbox | None = None, *, again: bool = False
) -> dict[str, Any]:
    """The chat completion that continues ``items``; ``again`` when it is not the turn's first.

    Always a stream with its usage, so that one recording serves every kind of turn. What the request leaves out is left
    out here. Raises InvalidRequest for items that no chat completion can continue.
    """
    if toolbox is None:
        toolbox = Toolbox(wanted.tools, wanted.max_tool_calls)
        toolbox.recall(items)
    check_calls(items)
    body: dict[str, Any] = {"model": wanted.model, "messages": to_messages(items, wanted.instructions)}
    if not body["messages"]:
        raise invalid_value("input", "Invalid 'input': nothing in it can be said in a chat completion.")
    body |= wanted.handed_on
    if wanted.max_output_tokens is not None:
        body["max_completion_tokens"] = wanted.max_output_tokens
    if wanted.reasoning and wanted.reasoning.effort:
        body["reasoning_effort"] = wanted.reasoning.effort
    if wanted.wants_logprobs or wanted.top_logprobs:
        body["logprobs"] = True
    if wanted.top_logprobs:
        body["top_logprobs"] = wanted.top_logprobs
    body |= _text(wanted) | tool_options(wanted, toolbox, again=again)
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
