"""An exchange as a dialogue: what was said to the model and what it said, message by message, for people to read."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.recording.meaning import parsed, settled
from harness.recording.model import Json, Request, Response


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model called: its name, its arguments as JSON, or as text where they are none."""

    name: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message. ``role`` is ``system``, ``user``, ``assistant``, ``tool``, ``reasoning``, ``refusal``, ``error``."""

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()


def asked(request: Request) -> tuple[Bubble, ...]:
    """What a request says to the model, whatever its API; a request of no kind that we know is its JSON."""
    body = request.body
    if not isinstance(body, dict):
        return (Bubble("user", _text(body)),) if body is not None else ()
    found = [Bubble("system", _text(body[name])) for name in ("system", "instructions") if body.get(name)]
    for name in ("messages", "input", "prompt"):
        value = body.get(name)
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            found += [bubble for item in value for bubble in _message(item)]
        elif value:
            found += [Bubble("user", _text(item)) for item in (value if isinstance(value, list) else [value])]
    return tuple(found) or (Bubble("user", _text({name: body[name] for name in body if name != "model"})),)


def said(response: Response) -> tuple[Bubble, ...]:
    """What an answer says; one of no kind that we know is its JSON."""
    response = settled(response)
    body = response.body
    error = body.get("error") if isinstance(body, dict) else None
    if response.status >= 400 or error:
        return (Bubble("error", _text(error or body)),)
    try:
        return tuple(_answer(body))
    except (AttributeError, KeyError, TypeError, ValueError):  # A file may hold anything under the name of an answer.
        return (Bubble("assistant", _text(body)),)


def _answer(body: Json) -> Iterator[Bubble]:
    if isinstance(body, dict) and isinstance(body.get("choices"), list):
        for choice in body["choices"]:
            if isinstance(choice.get("message"), dict):
                yield from _message({"role": "assistant", **choice["message"]})
            else:
                yield Bubble("assistant", _text(choice.get("text")))
    elif isinstance(body, dict) and isinstance(body.get("content"), list) and body.get("type") == "message":
        yield from _message({**body, "role": "assistant"})
    elif isinstance(body, dict) and isinstance(body.get("output"), list):
        for item in body["output"]:
            yield from _message(item)
    else:
        yield Bubble("assistant", _text(body))


def _message(item: Json) -> Iterator[Bubble]:
    """The bubbles of one message or item: reasoning, text with its tool calls, results of tools, refusal."""
    if not isinstance(item, dict):
        yield Bubble("user", _text(item))
        return
    kind, role = item.get("type"), str(item.get("role") or "assistant")
    if kind in ("function_call", "custom_tool_call", "mcp_call") and "name" in item:
        yield Bubble("assistant", "", (_call(item["name"], item.get("arguments", item.get("input"))),))
        return
    if isinstance(kind, str) and kind.endswith("_output"):
        yield Bubble("tool", _text(item.get("output")))
        return
    thoughts = [item.get(name) for name in ("reasoning_content", "reasoning") if item.get(name)]
    if kind == "reasoning":
        thoughts = [_text(part) for name in ("summary", "content") for part in item.get(name) or ()]
    if thoughts:
        yield Bubble("reasoning", "\n".join(map(_text, dict.fromkeys(map(_text, thoughts)))))
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    yield from (Bubble("reasoning", str(part["thinking"])) for part in _of(parts, "thinking") if part.get("thinking"))
    yield from (Bubble("tool", _text(part.get("content"))) for part in _of(parts, "tool_result"))
    text = _text([part for part in parts if not _apart(part)] if parts else content)
    calls = tuple(_calls(item, parts))
    if text or calls:
        yield Bubble("system" if role == "developer" else role, text, calls)
    refusals = [item.get("refusal"), *(part.get("refusal") for part in _of(parts, "refusal"))]
    yield from (Bubble("refusal", str(refusal)) for refusal in refusals if refusal)


_APART = ("thinking", "redacted_thinking", "tool_use", "server_tool_use", "tool_result", "refusal")


def _apart(part: Json) -> bool:
    return isinstance(part, dict) and part.get("type") in _APART


def _of(parts: list[Json], kind: str) -> Iterable[dict[str, Json]]:
    return (part for part in parts if isinstance(part, dict) and part.get("type") == kind)


def _calls(item: dict[str, Json], parts: list[Json]) -> Iterator[ToolCall]:
    calls = item.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        inner = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
        if isinstance(inner, dict):
            yield _call(inner.get("name"), inner.get("arguments", inner.get("input")))
    if isinstance(item.get("function_call"), dict):
        yield _call(item["function_call"].get("name"), item["function_call"].get("arguments"))
    for kind in ("tool_use", "server_tool_use"):
        for part in _of(parts, kind):
            yield _call(part.get("name"), part.get("input"))


def _call(name: Json, arguments: Json) -> ToolCall:
    return ToolCall(str(name or "(no name)"), parsed(arguments))


def _text(value: Json) -> str:
    """A value as a person reads it: texts as they are, parts of other kinds by their names, the rest as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, dict) and "type" in part for part in value):
        return "\n".join(map(_part, value))
    if isinstance(value, dict) and "type" in value and isinstance(value.get("text"), str):
        return str(value["text"])
    return json.dumps(value, ensure_ascii=False, indent=1)


def _part(part: dict[str, Json]) -> str:
    if isinstance(part.get("text"), str):
        return str(part["text"])
    return f"[{part['type']}]"
