"""What an assistant said, in an answer and in the requests that quote it, whatever the API: texts, calls, ids."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from harness.recording.meaning import parsed, settled
from harness.recording.model import Json, Response

Kind: TypeAlias = Literal["chat", "message", "response", "other"]
"""Chat completions, Anthropic's messages, OpenAI's responses, anything else."""

_CALLS = ("function_call", "custom_tool_call")
_ITEMS = (*_CALLS, "reasoning")
_ID = re.compile(r"(?=.*\d)[\w.-]*[_-][\w.-]+")
"""An id that somebody made up, not the name of a model or a user: with a digit, and a mark in it."""
_SHORTEST_ID = 8
_UNIQUE = 12
"""Shorter ids of calls (``call_1``) are counted anew in each dialogue."""


def is_unique(id: str) -> bool:
    """Whether the id of a call is one that no other call will have."""
    return len(id) >= _UNIQUE


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that was called. ``id`` is empty where the API has none."""

    id: str
    name: str
    arguments: Json

    def __str__(self) -> str:
        text = self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)
        return f"{self.name}({text if len(text) <= 60 else text[:59] + '…'})"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was said at one go."""

    text: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def is_nothing(self) -> bool:
        return not self.text.strip() and not self.calls

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the calls; none unless each has one that no other call will have."""
        ids = tuple(call.id for call in self.calls)
        return ids if all(map(is_unique, ids)) else ()


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as requests may quote it.

    ``spoken`` has an entry for each choice, ``parts`` what the API gave for each: a chat's message, the list of
    Anthropic's blocks or of a response's items. ``ids`` are those of the answer itself, by where they stand.
    """

    kind: Kind = "other"
    spoken: tuple[Spoken, ...] = ()
    parts: tuple[Json, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False


def said(response: Response) -> Said:
    """What there is to quote of an answer. Total: of what is built like no answer that we know, its ids alone."""
    body = settled(response).body
    if response.status >= 400 or (isinstance(body, dict) and body.get("error")):
        return Said(failed=True)
    if not isinstance(body, dict):
        return Said()
    ids = dict(_ids({name: value for name, value in body.items() if name not in ("choices", "content", "output")}))
    choices, content, output = body.get("choices"), body.get("content"), body.get("output")
    if isinstance(choices, list):
        messages = [choice.get("message") if isinstance(choice, dict) else None for choice in choices]
        return Said("chat", tuple(map(_of_choice, choices)), tuple(messages), ids)
    if body.get("type") == "message" and isinstance(content, list):
        return Said("message", (spoken({"content": content}),), (content,), ids)
    if isinstance(output, list):
        items = {
            f"output/{number}": item["id"] for number, item in _numbered(output) if isinstance(item.get("id"), str)
        }
        return Said("response", (spoken_items(output),), (output,), {**ids, **items})
    return Said(ids=ids)


def _numbered(items: list[Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    """Items, each with its type and its number among those of its type."""
    counts: dict[str, int] = {}
    for item in items:
        if isinstance(item, dict):
            kind = str(item.get("type"))
            counts[kind] = counts.get(kind, 0) + 1
            yield f"output/{kind}/{counts[kind]}", item


def _of_choice(choice: Json) -> Spoken:
    if not isinstance(choice, dict):
        return Spoken()
    message = choice.get("message")
    return spoken(message) if isinstance(message, dict) else Spoken(_text(choice.get("text")))


def spoken(message: Mapping[str, Json]) -> Spoken:
    """What a message of an assistant says: a chat's or Anthropic's."""
    return Spoken(_text(message.get("content")), tuple(_calls(message)))


def spoken_items(items: list[Json]) -> Spoken:
    """What a run of items of the Responses API says."""
    calls = [
        Call(str(item.get("call_id") or ""), str(item.get("name")), parsed(item.get("arguments", item.get("input"))))
        for item in items
        if isinstance(item, dict) and item.get("type") in _CALLS
    ]
    texts = [_text(item.get("content")) for item in items if isinstance(item, dict) and item.get("role") == "assistant"]
    return Spoken("".join(texts), tuple(calls))


def is_assistants(item: Json) -> bool:
    """Whether a message or an item of a request is what an assistant said before."""
    return isinstance(item, dict) and (item.get("role") == "assistant" or item.get("type") in _ITEMS)


def answered_calls(items: list[Json]) -> Iterator[str]:
    """The ids of the calls whose results stand among messages or items, in order; empty for one that has no id."""
    for item in items:
        if not isinstance(item, dict):
            continue
        content = item.get("content")
        if item.get("role") == "tool" or str(item.get("type")).endswith("_call_output"):
            yield str(item.get("tool_call_id") or item.get("call_id") or "")
        elif item.get("role") == "function":
            yield ""
        elif isinstance(content, list):
            results = (part for part in content if isinstance(part, dict) and part.get("type") == "tool_result")
            yield from (str(part.get("tool_use_id") or "") for part in results)


def _text(content: Json) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(
        part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
    )  # fmt: skip


def _calls(message: Mapping[str, Json]) -> Iterator[Call]:
    calls, content, single = message.get("tool_calls"), message.get("content"), message.get("function_call")
    for call in calls if isinstance(calls, list) else ():
        inner = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
        if isinstance(inner, dict):
            arguments = parsed(inner.get("arguments", inner.get("input")) or "{}")
            yield Call(str(call.get("id") or ""), str(inner.get("name")), arguments)
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "tool_use":
            yield Call(str(part.get("id") or ""), str(part.get("name")), parsed(part.get("input") or "{}"))
    if isinstance(single, dict):
        yield Call("", str(single.get("name")), parsed(single.get("arguments") or "{}"))


def _ids(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Ids by their paths."""
    if isinstance(value, dict):
        for name, item in value.items():
            where = f"{path}.{name}"
            if isinstance(item, str) and (name == "id" or name.endswith("_id")):
                if len(item) >= _SHORTEST_ID and _ID.fullmatch(item):
                    yield where, item
            elif name != "metadata":
                yield from _ids(item, where)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _ids(item, f"{path}[{at}]")
