"""What clients send as items, turned into items as the API shows them."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from harness.api.closed import known_keys
from harness.api.errors import invalid_prefix, invalid_value, missing
from harness.api.item_kinds import (
    ARTEFACTS,
    INPUT_PARTS,
    KINDS,
    PARTS,
    SHOWN_NULLS,
    SOURCES,
    TRIGGER,
    Message,
    Reference,
)
from harness.api.validation import parse, unsupported, wrong_type
from harness.api.writable import check_writable

NewId: TypeAlias = Callable[[str], str]
"""Gives a new id that begins with the prefix it is called with."""

_UNTOLD = "internal_chat_message_metadata_passthrough"
"""What OpenAI's Codex says of an item to OpenAI alone. It is in no description, and no model reads it."""

_PREFIXED = ("function_call", "reasoning")
"""Beside messages, the kinds whose ids OpenAI looks at."""


def parse_items(value: Any, param: str, new_id: NewId) -> list[dict[str, Any]]:
    """A list of items as a client wrote it, each completed: with type, id, status, and content in parts.

    ``param`` is the list's path in the request. A reference comes back as its type and id alone: whoever knows the
    items resolves it. Raises InvalidRequest.
    """
    if not isinstance(value, list):
        raise wrong_type(param, ["an array"], value)
    return [_item(item, f"{param}[{place}]", new_id) for place, item in enumerate(value)]


def parse_input(value: Any, new_id: NewId) -> list[dict[str, Any]]:
    """The ``input`` of a response: what ``parse_items`` takes, and every output of a function says of which call."""
    items = parse_items(value, "input", new_id)
    for place, item in enumerate(items):
        if item["type"] == "function_call_output" and item.get("call_id") is None:
            raise missing(f"input[{place}].call_id")
    return items


def without_trigger(items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """The items of an input without the ``compaction_trigger`` that ends it, and whether there was one.

    Raises InvalidRequest for one that does not come last.
    """
    for place, item in enumerate(items[:-1]):
        if item["type"] == TRIGGER:
            path = f"input[{place}]"
            raise invalid_value(path, f"Invalid '{path}': a '{TRIGGER}' must be the final input item.")
    is_triggered = bool(items) and items[-1]["type"] == TRIGGER
    return items[:-1] if is_triggered else items, is_triggered


def _item(item: Any, path: str, new_id: NewId) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise wrong_type(path, ["an object"], item)
    check_writable(item, path)
    item = {key: value for key, value in item.items() if key != _UNTOLD}
    kind = _kind_of(item, path)
    if kind == "message":
        return _message(item, path, new_id)
    if kind == "item_reference":
        return {"type": kind, "id": parse(Reference, item, path).id}
    return _other(kind, item, path, new_id)


def _kind_of(item: dict[str, Any], path: str) -> str:
    kind = item.get("type")
    if kind is None:
        return _untyped(item, path)
    if not isinstance(kind, str):
        raise wrong_type(f"{path}.type", ["a string"], kind)
    supported = ["message", *KINDS, "item_reference"]
    if kind not in supported:
        raise unsupported(f"{path}.type", kind, supported)
    return kind


def _untyped(item: dict[str, Any], path: str) -> str:
    if "role" in item or "content" in item:
        return "message"
    if set(item) - {"type"} == {"id"}:
        return "item_reference"
    raise missing(f"{path}.type")


def _message(item: dict[str, Any], path: str, new_id: NewId) -> dict[str, Any]:
    message = parse(Message, item, path)
    _check_prefix(message.id, "msg", path)
    content = _content(message, f"{path}.content")
    shown = {
        "type": "message",
        "id": message.id or new_id("msg"),
        "status": message.status or "completed",
        "role": message.role,
        "content": content,
    }
    return {**shown, "phase": message.phase} if message.phase else shown


def _content(message: Message, path: str) -> list[dict[str, Any]]:
    if not isinstance(message.content, str):
        # OpenAI's description lets the assistant have said what others say, and not the reverse.
        return _parts(message.content, path, PARTS if message.role == "assistant" else INPUT_PARTS)
    if message.role == "assistant":
        return [{"type": "output_text", "text": message.content, "annotations": [], "logprobs": []}]
    return [{"type": "input_text", "text": message.content}]


def _check_prefix(item_id: str | None, prefix: str, path: str) -> None:
    if item_id is not None and not item_id.startswith(prefix):
        raise invalid_prefix(f"{path}.id", item_id, prefix)


def _parts(parts: list[Any], path: str, kinds: Iterable[str] = INPUT_PARTS) -> list[dict[str, Any]]:
    return [_part(part, f"{path}[{place}]", list(kinds)) for place, part in enumerate(parts)]


def _part(part: Any, path: str, kinds: list[str]) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise wrong_type(path, ["an object"], part)
    kind = part.get("type")
    if kind is None:
        raise missing(f"{path}.type")
    if not isinstance(kind, str):
        raise wrong_type(f"{path}.type", ["a string"], kind)
    if kind not in kinds:
        raise unsupported(f"{path}.type", kind, kinds)
    shown = parse(PARTS[kind], part, path).model_dump(exclude_none=True)
    sources = SOURCES.get(kind, ())
    if sources and not any(source in shown for source in sources):
        raise missing(f"{path}.{sources[0]}")
    return shown


def _other(name: str, item: dict[str, Any], path: str, new_id: NewId) -> dict[str, Any]:
    kind = KINDS[name]
    parsed = parse(kind.model, item, path)
    item = {key: value for key, value in known_keys(kind.model, item).items() if key not in ARTEFACTS}
    if name in _PREFIXED:
        _check_prefix(parsed.id, kind.prefix, path)
    if name in ("function_call_output", "custom_tool_call_output") and isinstance(item["output"], list):
        item = {**item, "output": _parts(item["output"], f"{path}.output")}
    return _filled(name, {**item, "id": item.get("id") or new_id(kind.prefix)})


def _filled(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """An item with what the API always shows of its kind."""
    shown = dict.fromkeys(SHOWN_NULLS.get(name, ())) | item
    if KINDS[name].has_status and shown.get("status") is None:
        shown["status"] = "completed"
    if name.startswith("tool_search") and shown.get("execution") is None:
        # OpenAI's own searches have no call's id.
        shown["execution"] = "server" if shown["call_id"] is None else "client"
    for field in ("content", "status"):
        if field in shown and shown[field] is None:
            # Clients send a reasoning item back with the nulls that OpenAI's description does not allow in an answer.
            del shown[field]
    return shown
