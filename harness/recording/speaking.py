"""An answer as the next request of its dialogue has it, in the form in which that client wrote the one before."""

import json
from collections.abc import Mapping
from typing import Any

from harness.recording.model import Json
from harness.recording.spoken import Kind, spoken, spoken_items

_FROM_THE_ANSWER = ("reasoning_content", "reasoning", "reasoning_details", "refusal", "annotations", "audio")
_THOUGHTS = ("thinking", "redacted_thinking")
_OF_A_CALL = ("id", "type", "function", "custom")


def spoken_anew(recorded: list[Json], kind: Kind, part: Json) -> list[Json]:
    """What to put in the place of ``recorded`` messages or items for ``part``, what an API gave.

    ``part`` is a chat's message, the list of Anthropic's blocks or that of a response's items. What the client left out
    of the recorded answer (its reasoning, ids, statuses) is left out of the new one.
    """
    if kind == "chat" and isinstance(part, dict):
        return [_message(recorded[0], part)]
    if kind == "message" and isinstance(part, list):
        return [_blocks(recorded[0], part)]
    if kind == "response" and isinstance(part, list):
        return _items(recorded, part)
    return recorded


def _message(recorded: dict[str, Json], new: Mapping[str, Json]) -> Json:
    said = spoken(new)
    content = recorded.get("content")
    message = {**recorded}
    if isinstance(content, list):
        like = next((part for part in content if isinstance(part, dict) and "text" in part), {"type": "text"})
        message["content"] = [{**like, "text": said.text}] if said.text else None if said.calls else []
    elif "content" in recorded or said.text:
        message["content"] = said.text or (None if said.calls or content is None else "")
    if isinstance(new.get("tool_calls"), list) and new["tool_calls"]:
        message["tool_calls"] = [_call(call) for call in new["tool_calls"]]
    elif recorded.get("tool_calls"):
        del message["tool_calls"]
    if new.get("function_call"):
        message["function_call"] = new["function_call"]
    elif recorded.get("function_call"):
        del message["function_call"]
    for name in _FROM_THE_ANSWER:
        if recorded.get(name) is not None:
            del message[name]
            message |= {name: new[name]} if new.get(name) is not None else {}
    return message


def _call(call: Mapping[str, Json]) -> Json:
    return {name: call[name] for name in _OF_A_CALL if name in call}


def _blocks(recorded: dict[str, Json], new: list[Json]) -> Json:
    content = recorded.get("content")
    if isinstance(content, str):
        return {**recorded, "content": spoken({"content": new}).text}
    kept = {part.get("type") for part in content or () if isinstance(part, dict)}
    blocks = [block for block in new if isinstance(block, dict)]
    return {
        **recorded,
        "content": [_block(block) for block in blocks if block.get("type") not in _THOUGHTS or block["type"] in kept],
    }


def _block(block: dict[str, Json]) -> Json:
    """A block as requests take it: a stream spells the input of a tool as text, and nothing of its citations."""
    said = {name: value for name, value in block.items() if value is not None}
    if isinstance(said.get("input"), str):
        try:
            said["input"] = json.loads(said["input"] or "{}")
        except ValueError:
            said["input"] = {}
    return said


def _items(recorded: list[Json], new: list[Json]) -> list[Json]:
    by_type: dict[Any, dict[str, Json]] = {}
    for item in recorded:
        by_type.setdefault(item.get("type", "message"), item)
    found = []
    for item in new:
        if not isinstance(item, dict) or (item.get("type") == "reasoning" and "reasoning" not in by_type):
            continue
        like = by_type.get(item.get("type"))
        if like is not None and isinstance(like.get("content"), str):
            found.append({**like, "content": spoken_items([item]).text})
        else:
            found.append(item if like is None else {name: item[name] for name in like if name in item})
    return found
