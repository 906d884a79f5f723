"""The built-in rules: two ways to write a request that no upstream tells apart become one."""

import re
from dataclasses import replace

from harness.recording.model import Json
from harness.recording.rules import Rule, replacing

_UNREAD = ("user", "metadata", "store", "safety_identifier", "prompt_cache_key")
_SCHEMAS = ("parameters", "schema", "input_schema")


def _flatten_extra_body(body: dict[str, Json]) -> dict[str, Json]:
    """Recordings taken inside a client hold its ``extra_body`` argument; on the wire those are keys like any other."""
    extra = body.pop("extra_body", None)
    return {**extra, **body} if isinstance(extra, dict) else body


def _drop_unread(body: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if name not in _UNREAD}


def _either_way(body: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if name not in ("stream", "stream_options")}


def _drop_nulls(body: dict[str, Json]) -> dict[str, Json]:
    dropped: dict[str, Json] = _without_nulls(body)
    return dropped


def _without_nulls(value: Json) -> Json:
    """Null is absent, but not inside a JSON schema, where ``"default": null`` says something."""
    if isinstance(value, dict):
        return {
            name: item if name in _SCHEMAS else _without_nulls(item) for name, item in value.items() if item is not None
        }
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _whole_numbers(body: dict[str, Json]) -> dict[str, Json]:
    whole: dict[str, Json] = _with_whole_numbers(body)
    return whole


def _with_whole_numbers(value: Json) -> Json:
    """JSON has one kind of number: a client in another language writes ``0`` where Python writes ``0.0``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _with_whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    return value


def _one_choice(body: dict[str, Json]) -> dict[str, Json]:
    if body.get("n") == 1:
        del body["n"]
    return body


def _parallel_calls(body: dict[str, Json]) -> dict[str, Json]:
    """OpenAI's default is ``true``: OGX writes it down, where the Responses layer leaves out what its client did."""
    if body.get("parallel_tool_calls") is True:
        del body["parallel_tool_calls"]
    return body


def _floats(body: dict[str, Json]) -> dict[str, Json]:
    """An embedding's numbers as numbers are OpenAI's default: OGX writes it down, where most clients leave it out."""
    if body.get("encoding_format") == "float":
        del body["encoding_format"]
    return body


def _bare_schema(body: dict[str, Json]) -> dict[str, Json]:
    """What a schema says of itself beside its name: OGX leaves it out, where the Responses layer hands it on.

    Where recordings differ in it alone, the one that is nearest to the request is taken all the same.
    """
    wanted = body.get("response_format")
    schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if isinstance(schema, dict):
        schema.pop("description", None)
        schema.pop("strict", None)
    return body


def _one_name_for_the_limit(body: dict[str, Json]) -> dict[str, Json]:
    if "max_tokens" in body and "max_completion_tokens" not in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
    return body


def _bare_text(body: dict[str, Json]) -> dict[str, Json]:
    for message in _messages(body):
        content = message.get("content")
        if isinstance(content, list) and len(content) == 1 and _is_plain_text(content[0]):
            message["content"] = content[0]["text"]
    return body


def _is_plain_text(part: Json) -> bool:
    return isinstance(part, dict) and set(part) == {"type", "text"} and part["type"] == "text"


def _plain_functions(body: dict[str, Json]) -> dict[str, Json]:
    """A tool says its type outside; some servers say it again inside ``function``."""
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and function.get("type") == "function":
            del function["type"]
    return body


def _plain_calls(body: dict[str, Json]) -> dict[str, Json]:
    """Beside tool calls, no content is an empty text, null or absent, and some servers keep a stream's ``index``."""
    for message in _messages(body):
        calls = message.get("tool_calls")
        if isinstance(calls, list) and calls and message.get("content") == "":
            del message["content"]
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                call.pop("index", None)
    return body


def _calls_apart(body: dict[str, Json]) -> dict[str, Json]:
    """Calls made at once are told like calls made one after the other, each with its output: so OGX tells them."""
    if not isinstance(body.get("messages"), list):
        return body
    apart: list[Json] = []
    rest = list(body["messages"])
    while rest:
        message = rest.pop(0)
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        outputs = rest[: len(calls)] if isinstance(calls, list) else []
        if isinstance(calls, list) and len(calls) > 1 and _answer(outputs, calls):
            del rest[: len(calls)]
            for call, output in zip(calls, outputs, strict=True):
                apart += [message | {"tool_calls": [call]}, output]
                message = {"role": "assistant"}
        else:
            apart.append(message)
    body["messages"] = apart
    return body


def _answer(outputs: list[Json], calls: list[Json]) -> bool:
    """Whether these are the outputs of these calls, in their order."""
    told = [output.get("tool_call_id") for output in outputs if isinstance(output, dict)]
    return told == [call.get("id") for call in calls if isinstance(call, dict)] and len(told) == len(calls)


def _numbered_calls(body: dict[str, Json]) -> dict[str, Json]:
    """Tool-call ids are random: they become ``call_0``, ``call_1``, … in order of appearance."""
    names: dict[str, str] = {}

    def rename(holder: dict[str, Json], field: str) -> None:
        if isinstance(holder.get(field), str):
            holder[field] = names.setdefault(holder[field], f"call_{len(names)}")

    for message in _messages(body):
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                rename(call, "id")
        rename(message, "tool_call_id")
    return body


def _messages(body: dict[str, Json]) -> list[dict[str, Json]]:
    messages = body.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


EITHER_WAY = Rule("stream or whole", _either_way)
"""Where a stream can answer a whole request and the reverse."""

QUOTED_IDS = replace(
    replacing(re.compile(r"_[0-9a-f]{48}(?![0-9A-Za-z])"), "_<id>"), name="ids of responses and items, quoted in a text"
)
"""Where a model is asked. Some clients tell it of earlier items as they stand (the Agents SDK where it folds a history
into one message, instructor where it asks again), and the ids of a run depend on all that ran before.
"""

EXTRA_BODY = Rule("extra_body is part of the body", _flatten_extra_body)

UNREAD = Rule("what no model reads (user, metadata, store, …)", _drop_unread)
"""Where a model is asked."""

BUILT_IN: tuple[Rule, ...] = (
    Rule("null is absent", _drop_nulls),
    Rule("1.0 is 1", _whole_numbers),
    Rule("n: 1 is what one gets", _one_choice),
    Rule("parallel_tool_calls: true is what one gets", _parallel_calls),
    Rule("encoding_format: float is what one gets", _floats),
    Rule("a schema's description and strict", _bare_schema),
    Rule("max_tokens is max_completion_tokens", _one_name_for_the_limit),
    Rule("one text part is its text", _bare_text),
    Rule("a function says its type once", _plain_functions),
    Rule("no content beside tool calls", _plain_calls),
    Rule("calls at once are calls one by one", _calls_apart),
    Rule("ids of tool calls are numbers", _numbered_calls),
)
"""Everywhere, in this order."""
