"""Every call of a tool has its output, and every output its call: a model takes a history no other way."""

from collections.abc import Iterable
from typing import Any

from harness.errors import InvalidRequest

_CALLS = {
    # type of a call: what OpenAI calls it
    "function_call": "function call",
    "custom_tool_call": "custom tool call",
    "computer_call": "computer call",
    "shell_call": "shell call",
    "apply_patch_call": "apply patch call",
}
_OUTPUTS = {f"{kind}_output": kind for kind in _CALLS}


def check_calls(items: Iterable[dict[str, Any]]) -> None:
    """Raises InvalidRequest for an output before or without its call, and for a call that no output follows."""
    calls: set[tuple[str, str]] = set()
    unanswered: dict[tuple[str, str], None] = {}
    for item in items:
        kind = item.get("type", "message")
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


def _fault(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="input")
