"""Items of a conversation to messages of a chat completion."""

import hashlib
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any, TypeAlias

from harness.api.compaction import expand
from harness.api.mcp import error_text
from harness.api.namespaces import SEARCH, told_name
from harness.errors import InvalidRequest
from harness.turn import tool_search
from harness.turn.approvals import with_refusals
from harness.turn.attachments import attach
from harness.turn.calls import said_once
from harness.turn.toolbox import chat_name

Item: TypeAlias = dict[str, Any]
Message: TypeAlias = dict[str, Any]
Part: TypeAlias = dict[str, Any]


def to_messages(items: Iterable[Item], instructions: str | None = None) -> list[Message]:
    """The messages that say what ``items`` say, in order, after the instructions as a system message.

    What the model said in one turn (a text, parallel calls) is one message again; a call of an MCP tool is one with
    its output, and so is one that was not approved. Pictures and files that tools gave follow in a user's message.
    Reasoning and the calls of hosted tools have no place in a chat completion and are left out. Raises InvalidRequest
    for content that has none either and that the model would miss.
    """
    messages: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
    for item in with_refusals(said_once(items)):
        convert = _CONVERTERS.get(item.get("type", "message"))
        if convert is not None:
            convert(messages, item)
    return attach(messages)


def _add_message(messages: list[Message], item: Item) -> None:
    if item["role"] != "assistant":
        messages.append({"role": item["role"], "content": _content(item["content"])})
        return
    said = _said(item["content"])
    calling = _calling(messages)
    if calling is not None and calling["content"] is None and "refusal" not in calling:
        # A text after calls: a chat completion wants nothing between calls and their outputs.
        calling.update(said)
    else:
        messages.append({"role": "assistant", **said})


def _said(content: str | list[Part]) -> Message:
    """What the assistant said: its texts as the content, a refusal apart from it."""
    parts = [] if isinstance(content, str) else content
    refusals = [part["refusal"] for part in parts if part["type"] == "refusal"]
    if not refusals:
        return {"content": _content(content)}
    texts = [part for part in parts if part["type"] != "refusal"]
    return {"content": _content(texts) or None, "refusal": "".join(refusals)}


def _content(content: str | list[Part]) -> Any:
    """Bare text where text is all there is, as every model's template expects it; else a list of parts."""
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content]
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return parts


def _part(part: Part) -> Part:
    made = _PARTS.get(part["type"], _text)(part)
    mark = part.get("prompt_cache_breakpoint")
    return made if mark is None else made | {"prompt_cache_breakpoint": mark}


def _text(part: Part) -> Part:
    return {"type": "text", "text": part["text"]}


def _refusal(part: Part) -> Part:
    return {"type": "text", "text": part["refusal"]}


_DETAILS = {"original": "high"}
"""How closely an image is looked at, where a chat completion has no such word: as closely as it can."""


def _image(part: Part) -> Part:
    if not part.get("image_url"):
        raise _no_place("An image", "file_id", "image_url")
    detail = part.get("detail") or "auto"
    return {"type": "image_url", "image_url": {"url": part["image_url"], "detail": _DETAILS.get(detail, detail)}}


def _audio(part: Part) -> Part:
    return {"type": "input_audio", "input_audio": part["input_audio"]}


def _file(part: Part) -> Part:
    fields = ("file_id", "file_data", "filename")
    file = {name: part[name] for name in fields if part.get(name) is not None}
    if not file.keys() & {"file_id", "file_data"}:
        raise _no_place("A file", "file_url", "file_data")
    return {"type": "file", "file": file}


def _no_place(what: str, given: str, instead: str) -> InvalidRequest:
    return InvalidRequest(
        f"{what} by '{given}' has no place in a chat completion, which is what the model is asked for.",
        hint=f"Give its '{instead}'.",
        param="input",
        code="unsupported_value",
    )


_PARTS: dict[str, Callable[[Part], Part]] = {
    "input_image": _image,
    "input_audio": _audio,
    "input_file": _file,
    # Outside of the assistant's messages a refusal is but a text.
    "refusal": _refusal,
}


def _add_function_call(messages: list[Message], item: Item) -> None:
    _add_call(messages, item, "function", {"name": _told_name(item), "arguments": item["arguments"]})


def _add_custom_call(messages: list[Message], item: Item) -> None:
    _add_call(messages, item, "custom", {"name": _told_name(item), "input": item["input"]})


def _add_search(messages: list[Message], item: Item) -> None:
    if tool_search.is_clients(item):
        _add_call(messages, item, "function", {"name": SEARCH, "arguments": tool_search.told_arguments(item)})


def _add_search_output(messages: list[Message], item: Item) -> None:
    if tool_search.is_clients(item):
        _add_call_output(messages, item | {"output": tool_search.told_output(item)})


def _told_name(call: Item) -> str:
    return told_name(call.get("namespace"), call["name"])


def _add_call(messages: list[Message], item: Item, kind: str, inner: dict[str, str]) -> None:
    call = {"id": item["call_id"], "type": kind, kind: inner}
    calling = _calling(messages) or (messages[-1] if messages else {})
    if calling.get("role") == "assistant":
        calling.setdefault("tool_calls", []).append(call)
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _calling(messages: list[Message]) -> Message | None:
    """The assistant's last message, if calls of it have no output yet."""
    answered: set[str] = set()
    for message in reversed(messages):
        if message["role"] != "tool":
            calls = {call["id"] for call in message.get("tool_calls", ())}
            return message if calls - answered else None
        answered.add(message["tool_call_id"])
    return None


def _add_mcp_call(messages: list[Message], item: Item) -> None:
    # Upstreams take ids of some forty characters; that of the item may be any.
    call_id = f"call_{hashlib.sha256(item['id'].encode()).hexdigest()[:24]}"
    inner = {"name": chat_name(item["name"]), "arguments": item["arguments"] or "{}"}
    _add_call(messages, {"call_id": call_id}, "function", inner)
    said = str(item.get("output") or "") if item.get("error") is None else error_text(item["error"])
    messages.append({"role": "tool", "tool_call_id": call_id, "content": said})


def _add_call_output(messages: list[Message], item: Item) -> None:
    """A chat completion wants one output for each call, right behind the calls, whatever was said since."""
    call_id = item["call_id"]
    told = {"role": "tool", "tool_call_id": call_id, "content": _content(item["output"])}
    place = _place_of(messages, call_id)
    if place is None:
        messages.append(told)
        return
    outputs = _outputs_behind(messages, place)
    behind = place + 1 + len(outputs)
    if call_id in outputs:
        messages[place + 1 + outputs.index(call_id)] = told
        return
    if _is_told_again(messages, behind):
        del messages[behind]
    messages.insert(behind, told)


def _is_told_again(messages: list[Message], place: int) -> bool:
    """Whether the user's message at ``place``, behind a call and before its output, repeats what led to the call.

    Some clients send it with the output once more, though they name the previous response. It is no second question.
    """
    before = next((message for message in reversed(messages[:place]) if message["role"] == "user"), None)
    return place < len(messages) and messages[place] == before


def _place_of(messages: list[Message], call_id: str) -> int | None:
    """Which message makes this call; the last, where there are several."""
    for place in range(len(messages) - 1, -1, -1):
        if any(call["id"] == call_id for call in messages[place].get("tool_calls", ())):
            return place
    return None


def _outputs_behind(messages: list[Message], place: int) -> list[str]:
    """The calls whose outputs stand behind the message at ``place``, in order."""
    told = takewhile(lambda message: message["role"] == "tool", messages[place + 1 :])
    return [message["tool_call_id"] for message in told]


def _add_compaction(messages: list[Message], item: Item) -> None:
    said = expand(item)
    if said is None:
        raise InvalidRequest(
            "A compaction that was not made here cannot be read: its content is encrypted.",
            hint="Leave it out, or compact with this server's /v1/responses/compact.",
            param="input",
            code="invalid_encrypted_content",
        )
    _add_message(messages, said)


def _refuse(_: list[Message], item: Item) -> None:
    kind = item["type"]
    raise InvalidRequest(
        f"An item of the type '{kind}' can be kept in a conversation, and no turn can act on it here.",
        hint=_INSTEAD[kind],
        param="input",
        code="unsupported_value",
    )


_INSTEAD = {
    "configuration_update": "Give 'reasoning' and 'text' in the request itself.",
}
"""Items that change what happens, and what to do in their place."""

_CONVERTERS: dict[str, Callable[[list[Message], Item], None]] = {
    "message": _add_message,
    "function_call": _add_function_call,
    "custom_tool_call": _add_custom_call,
    "mcp_call": _add_mcp_call,
    "function_call_output": _add_call_output,
    "custom_tool_call_output": _add_call_output,
    tool_search.CALL: _add_search,
    tool_search.OUTPUT: _add_search_output,
    "compaction": _add_compaction,
    **dict.fromkeys(_INSTEAD, _refuse),
}
