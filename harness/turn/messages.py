"""Items of a conversation to messages of a chat completion."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

Item: TypeAlias = dict[str, Any]
Message: TypeAlias = dict[str, Any]


def to_messages(items: Iterable[Item], instructions: str | None = None) -> list[Message]:
    """The messages that say what ``items`` say, in order, after the instructions as a system message.

    A function call joins the assistant message right before it, so that what one turn said (a text, parallel calls)
    is one message again. Reasoning and the calls of hosted tools have no place in a chat completion and are left out.
    """
    messages: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
    for item in items:
        convert = _CONVERTERS.get(item.get("type", "message"))
        if convert is not None:
            convert(messages, item)
    return messages


def _add_message(messages: list[Message], item: Item) -> None:
    messages.append({"role": item["role"], "content": _content(item["content"])})


def _content(content: Any) -> Any:
    """Bare text where text is all there is, as every model's template expects it; else a list of parts."""
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return parts


def _part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part["type"]
    if kind == "input_image":
        url = {"url": part.get("image_url"), "detail": part.get("detail") or "auto"}
        return {"type": "image_url", "image_url": url}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    if kind == "input_file":
        fields = ("file_id", "file_data", "filename")
        return {"type": "file", "file": {name: part[name] for name in fields if part.get(name) is not None}}
    if kind == "refusal":
        return {"type": "refusal", "refusal": part["refusal"]}
    return {"type": "text", "text": part["text"]}


def _add_call(messages: list[Message], item: Item) -> None:
    call = {
        "id": item["call_id"],
        "type": "function",
        "function": {"name": item["name"], "arguments": item["arguments"]},
    }
    if messages and messages[-1]["role"] == "assistant":
        messages[-1].setdefault("tool_calls", []).append(call)
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _add_call_output(messages: list[Message], item: Item) -> None:
    output = item["output"]
    content = _content(output) if isinstance(output, str | list) else json.dumps(output)
    messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})


_CONVERTERS: dict[str, Callable[[list[Message], Item], None]] = {
    "message": _add_message,
    "function_call": _add_call,
    "function_call_output": _add_call_output,
}
