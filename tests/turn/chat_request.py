"""Whether a body is a chat completion's request: checked against OpenAI's description, and the rules it has in words.

The description lets any key stand in most objects, where the API itself refuses what it does not know. So its objects
are closed here.
"""

import json
from copy import deepcopy
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.server.conformance import description

_REQUEST = "CreateChatCompletionRequest"
_PARTS_OF_IT = ("CreateModelResponseProperties", "ModelResponseProperties")
"""What ``allOf`` puts together: closed as a whole, not one by one."""


def check_chat_request(body: dict[str, Any]) -> None:
    """Fails, with every fault and its path, for what is no request of a chat completion."""
    faults = [f"{fault.json_path}: {fault.message[:300]}" for fault in _validator().iter_errors(body)]
    assert not faults, "not a chat completion's request:\n" + "\n".join(faults)
    json.dumps(body, allow_nan=False)
    _check_calls(body["messages"])
    if not body.get("tools"):
        assert not body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}, "something about tools without tools"


def _check_calls(messages: list[dict[str, Any]]) -> None:
    """Every call is answered right behind it, once, and nothing else is; who says nothing calls something."""
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, "the output of no call"
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting, f"no output follows the calls {waiting}"
        calls = [call["id"] for call in message.get("tool_calls", ())]
        assert len({*calls}) == len(calls), "calls that share an id"
        assert calls or "tool_calls" not in message, "an empty list of calls"
        assert calls or message.get("refusal") or message["content"] is not None, "a message that says nothing"
        waiting = {*calls}
    assert not waiting, f"no output follows the calls {waiting}"


@cache
def _validator() -> Draft202012Validator:
    schemas = deepcopy(description()["components"]["schemas"])
    pending, closed = [_REQUEST], set()
    while pending:
        name = pending.pop()
        if name not in closed:
            closed.add(name)
            pending += _close(schemas[name], is_part=name in _PARTS_OF_IT)
    return Draft202012Validator({"$ref": f"#/components/schemas/{_REQUEST}", "components": {"schemas": schemas}})


def _close(schema: Any, *, is_part: bool = False) -> list[str]:
    """Close the objects of a schema, in place; the names of the schemas that it refers to."""
    if isinstance(schema, list):
        return [name for inner in schema for name in _close(inner)]
    if not isinstance(schema, dict):
        return []
    referred = [schema["$ref"].rpartition("/")[2]] if isinstance(schema.get("$ref"), str) else []
    for key, inner in schema.items():
        parts = inner if key == "allOf" else [inner]
        referred += [name for part in parts for name in _close(part, is_part=key == "allOf")]
    if not is_part and schema.keys() & {"properties", "allOf"} and "additionalProperties" not in schema:
        schema["unevaluatedProperties"] = False
    return referred
