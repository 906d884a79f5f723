"""A call of the user's own tool that is being said: a function's, or a custom tool's."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from harness.turn.delta import CallPiece
from harness.turn.ids import Ids

Event: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, int]
"""What a piece belongs to: a kind of part, or ``call`` and the call's number."""


class CallKind(NamedTuple):
    """How ids of a kind of call begin, its items' type, the field that grows, and the events that tell of it."""

    prefix: str
    type: str
    field: str
    events: str


CALLS = {
    "function": CallKind("fc", "function_call", "arguments", "response.function_call_arguments"),
    "custom": CallKind("ctc", "custom_tool_call", "input", "response.custom_tool_call_input"),
}


class OpenCall:
    """A call of a function or of a custom tool that is being said. It is shown from when its name is known."""

    def __init__(self, key: Key, kind: CallKind, position: int, ids: Ids) -> None:
        self.key, self._kind, self.place = key, kind, {"output_index": position}
        self.is_shown = False
        self.unsaid = ""
        self._new_call_id = ids.new("call")
        self.item: Item = {"id": ids.new(kind.prefix), "type": kind.type, "call_id": "", "name": "", kind.field: ""}

    def takes(self, key: Key) -> bool:
        return key == self.key

    def gather(self, piece: CallPiece) -> None:
        """Take in whose call it is."""
        self.item["call_id"] = self.item["call_id"] or piece.call_id
        self.item["name"] = self.item["name"] or piece.name

    def say(self, text: str) -> Iterator[Event]:
        self.unsaid += text
        if self.item["name"]:
            yield from self._show()

    def _show(self) -> Iterator[Event]:
        if not self.is_shown:
            self.is_shown = True
            self.item["call_id"] = self.item["call_id"] or self._new_call_id
            opening = {**self.item, "status": "in_progress"}
            yield {"type": "response.output_item.added", **self.place, "item": opening}
        if self.unsaid:
            text, self.unsaid = self.unsaid, ""
            self.item[self._kind.field] += text
            yield {"type": f"{self._kind.events}.delta", **self._where(), "delta": text}

    def _where(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], **self.place}

    def end(self, status: str) -> Iterator[Event]:
        yield from self._show()
        self.item["status"] = status
        said = {self._kind.field: self.item[self._kind.field]}
        # Of the two, OpenAI names the function alone.
        said |= {"name": self.item["name"]} if self._kind.type == "function_call" else {}
        yield {"type": f"{self._kind.events}.done", **self._where(), **said}
        yield {"type": "response.output_item.done", **self.place, "item": dict(self.item)}
