"""Every call of a tool has its output, and every output its call: a model takes a history no other way."""

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from harness.errors import InvalidRequest
from harness.turn import tool_search

Item: TypeAlias = dict[str, Any]

_CALLS = {
    # type of a call: what OpenAI calls it
    "function_call": "function call",
    "custom_tool_call": "custom tool call",
    "computer_call": "computer call",
    "shell_call": "shell call",
    "apply_patch_call": "apply patch call",
    tool_search.CALL: "tool search call",
}
_OUTPUTS = {f"{kind}_output": kind for kind in _CALLS} | {tool_search.OUTPUT: tool_search.CALL}


def check_calls(items: Iterable[Item]) -> None:
    """Raises InvalidRequest for an output before or without its call, and for a call that no output follows."""
    calls: set[tuple[str, str]] = set()
    unanswered: dict[tuple[str, str], None] = {}
    for item in items:
        kind = _kind(item)
        if kind in _CALLS:
            calls.add((kind, item["call_id"]))
            unanswered[kind, item["call_id"]] = None
        elif kind in _OUTPUTS:
            call = (_OUTPUTS[kind], item.get("call_id") or "")
            if call not in calls:
                raise _fault(f"No tool call found for {_CALLS[call[0]]} output with call_id {call[1] or 'null'}.")
            unanswered.pop(call, None)
    for kind, call_id in unanswered:
        raise _fault(f"No tool output found for {_CALLS[kind]} {call_id}.")


def _kind(item: Item) -> str:
    """The type of an item; that of a search which OpenAI ran says nothing: it has no call's id."""
    kind = str(item.get("type", "message"))
    is_search = kind in (tool_search.CALL, tool_search.OUTPUT)
    return "" if is_search and not tool_search.is_clients(item) else kind


def said_once(items: Iterable[Item]) -> list[Item]:
    """The items without every call that is said again before it has its output.

    Some clients send with ``previous_response_id`` what that has already.
    """
    told: list[Item | None] = []
    waiting: dict[tuple[str, str], int] = {}
    for item in items:
        kind = _kind(item)
        if kind in _CALLS:
            before = waiting.get((kind, item["call_id"]))
            if before is not None and _is_same(told[before], item):
                told[before] = None
            waiting[kind, item["call_id"]] = len(told)
        elif kind in _OUTPUTS:
            waiting.pop((_OUTPUTS[kind], item.get("call_id") or ""), None)
        told.append(item)
    return [item for item in told if item is not None]


def _is_same(call: Item | None, other: Item) -> bool:
    said = ("namespace", "name", "input", "action", "operation")
    is_same = call is not None and all(call.get(name) == other.get(name) for name in said)
    return is_same and _value(call, "arguments") == _value(other, "arguments")


def _value(call: Item | None, name: str) -> Any:
    """What a text says as JSON: clients write it anew."""
    said = (call or {}).get(name)
    try:
        return json.loads(said) if isinstance(said, str) else said
    except (ValueError, RecursionError):
        return said


def _fault(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="input")
