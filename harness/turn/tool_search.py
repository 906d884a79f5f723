"""A search among tools that the client holds back: the client runs it, and its output brings what was found.

A chat completion has no word for it: the model is told of a function, and of what was found by the names of the tools.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from harness.api.namespaces import told_tools
from harness.turn.ids import Ids
from harness.turn.open_call import Event, Key, OpenCall

Item: TypeAlias = dict[str, Any]
Object: TypeAlias = dict[str, Any]

CALL, OUTPUT = "tool_search_call", "tool_search_output"


class OpenSearch:
    """A search that is being said. It is shown when all of it is said: its arguments are an object, and no text."""

    def __init__(self, call: OpenCall, ids: Ids) -> None:
        self._key, self._place, self._said = call.key, call.place, call.unsaid
        self.item: Item = {"id": ids.new("tsc"), "type": CALL, "call_id": call.item["call_id"] or ids.new("call")}

    def takes(self, key: Key) -> bool:
        return key == self._key

    def say(self, text: str) -> Iterator[Event]:
        self._said += text
        return iter(())

    def end(self, status: str) -> Iterator[Event]:
        self.item |= {"execution": "client", "arguments": _arguments(self._said), "status": status}
        yield {"type": "response.output_item.added", **self._place, "item": self.item | {"status": "in_progress"}}
        yield {"type": "response.output_item.done", **self._place, "item": dict(self.item)}


def _arguments(said: str) -> Any:
    """What the model said, as JSON; as it is, where it is none: the client knows what to say to that."""
    try:
        return json.loads(said or "{}")
    except (ValueError, RecursionError):
        return said


def is_clients(item: Item) -> bool:
    """Whether this search, or its output, is the client's, and not OpenAI's."""
    return item.get("execution") == "client" and bool(item.get("call_id"))


def told_arguments(call: Item) -> str:
    """A search as the arguments of the function that the model knows."""
    said = call["arguments"]
    return said if isinstance(said, str) else json.dumps(said)


def told_output(output: Item) -> str:
    """What the model is told that a search has found."""
    names = [tool["name"] for tool in told_tools(output["tools"])]
    return f"These tools can be called now: {', '.join(names)}." if names else "No tools were found."


def found(items: Iterable[Item]) -> Iterator[list[Object]]:
    """The tools that each of the client's searches among these items has found, as tools that are there."""
    for item in items:
        if item.get("type") == OUTPUT and is_clients(item):
            yield [_loaded(tool) for tool in item["tools"]]


def _loaded(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    shown = {name: value for name, value in tool.items() if name != "defer_loading"}
    inner = shown.get("tools")
    return shown | {"tools": [_loaded(one) for one in inner]} if isinstance(inner, list) else shown
