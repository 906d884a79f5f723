"""An exchange as a dialogue: what was said to the model and what it said, message by message, for people to read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.recording.attachments import as_json, as_text, shortened
from harness.recording.attachments import part as part_in_words
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
    """The bubbles of one message or item; of an item of no kind that we know, what it is."""
    if not isinstance(item, dict):
        yield Bubble("user", _text(item))
        return
    kind = item.get("type")
    if isinstance(kind, str) and (kind.endswith("_output") or "call" in kind.split("_")):
        yield from _step(kind, item)
        return
    found = list(_spoken(item))
    if not found and isinstance(kind, str) and kind not in ("message", "reasoning"):
        found = [Bubble("user" if kind == "item_reference" else "assistant", part_in_words(item))]
    yield from found


_RESULTS = ("output", "outputs", "result", "results")
_NOT_ARGUMENTS = ("id", "call_id", "type", "status", "name", "server_label", "namespace", "error")


def _step(kind: str, item: dict[str, Json]) -> Iterator[Bubble]:
    """What a model does beside speaking: a call, of a tool of the client's or one of the provider's, and its result."""
    if not kind.endswith("_output"):
        if "arguments" in item or "input" in item:
            arguments = item.get("arguments", item.get("input"))
        else:
            arguments = {name: item[name] for name in item if name not in (*_RESULTS, *_NOT_ARGUMENTS)}
        yield Bubble("assistant", "", (_call(item.get("name") or kind.removesuffix("_call"), arguments),))
    results = [item[name] for name in (*_RESULTS, "error") if item.get(name)]
    if results or kind.endswith("_output"):
        yield Bubble("tool", "\n".join(shortened(one) if isinstance(one, str) else _text(one) for one in results))


def _spoken(item: dict[str, Json]) -> Iterator[Bubble]:
    """Reasoning, text with its tool calls, results of tools, refusal."""
    role = str(item.get("role") or "assistant")
    thoughts = [item.get(name) for name in ("reasoning_content", "reasoning") if item.get(name)]
    if item.get("type") == "reasoning":
        thoughts = [_text(part) for name in ("summary", "content") for part in item.get(name) or ()]
    if thoughts:
        yield Bubble("reasoning", "\n".join(map(_text, dict.fromkeys(map(_text, thoughts)))))
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    yield from (Bubble("reasoning", str(part["thinking"])) for part in _of(parts, "thinking") if part.get("thinking"))
    yield from (Bubble("tool", _text(part.get("content"))) for part in _of(parts, "tool_result"))
    text = _text([part for part in parts if not _apart(part)] if parts else content)
    text = "\n".join(filter(None, [text, *_beside(item)]))
    calls = tuple(_calls(item, parts))
    if text or calls:
        yield Bubble("system" if role == "developer" else role, text, calls)
    refusals = [item.get("refusal"), *(part.get("refusal") for part in _of(parts, "refusal"))]
    yield from (Bubble("refusal", str(refusal)) for refusal in refusals if refusal)


def _beside(item: dict[str, Json]) -> Iterator[str]:
    """What a chat's message says beside its content: a sound and its words, pictures."""
    audio, images = item.get("audio"), item.get("images")
    if isinstance(audio, dict):
        yield str(audio.get("transcript") or "")
        yield part_in_words({"type": "audio", "data": audio.get("data") or audio.get("id")})
    if isinstance(images, list):
        yield _text(images)


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
    text = as_text(value)
    return as_json(value) if text is None else text


def _part(part: dict[str, Json]) -> str:
    if isinstance(part.get("text"), str):
        return str(part["text"])
    return part_in_words(part)
