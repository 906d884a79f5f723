"""Where a chunk becomes events: what the model says to output items, opened, filled and closed in order."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from harness.turn.delta import CallPiece, Delta
from harness.turn.ids import Ids

Event: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, int]
"""What a piece belongs to: a kind of part, or ``call`` and the call's number."""


class _PartKind(NamedTuple):
    """The field of a part that grows, and the events that tell of it."""

    field: str
    delta: str
    done: str


_PARTS = {
    "output_text": _PartKind("text", "response.output_text.delta", "response.output_text.done"),
    "refusal": _PartKind("refusal", "response.refusal.delta", "response.refusal.done"),
    "reasoning_text": _PartKind("text", "response.reasoning_text.delta", "response.reasoning_text.done"),
}


class _CallKind(NamedTuple):
    """How ids of a kind of call begin, its items' type, the field that grows, and the events that tell of it."""

    prefix: str
    type: str
    field: str
    events: str


_CALLS = {
    "function": _CallKind("fc", "function_call", "arguments", "response.function_call_arguments"),
    "custom": _CallKind("ctc", "custom_tool_call", "input", "response.custom_tool_call_input"),
}


class _Words(NamedTuple):
    """A piece of a message."""

    text: str
    logprobs: tuple[dict[str, Any], ...] = ()


class Output:
    """The output of a response while it is being said.

    Every item is closed before the next opens. A tool call can be known to be complete only at the end of the stream,
    so what arrives beside an open call waits until then. Events come without ``sequence_number``.
    """

    def __init__(self, ids: Ids) -> None:
        self.items: list[Item] = []
        self.usage: dict[str, Any] | None = None
        self.service_tier: str | None = None
        self.finish_reason: str | None = None
        self._ids = ids
        self._open: _OpenMessage | _OpenCall | None = None
        self._waiting: dict[Key, list[Any]] = {}

    def add(self, delta: Delta) -> Iterator[Event]:
        """The events that one chunk gives."""
        self.usage = delta.usage or self.usage
        self.service_tier = delta.service_tier or self.service_tier
        self.finish_reason = delta.finish_reason or self.finish_reason
        if delta.reasoning:
            yield from self._piece(("reasoning_text", 0), _Words(delta.reasoning))
        # Log probabilities without a text are those of a call's tokens, or come after the text they belong to.
        if delta.text or (delta.logprobs and self._is_speaking()):
            yield from self._piece(("output_text", 0), _Words(delta.text, delta.logprobs))
        if delta.refusal:
            yield from self._piece(("refusal", 0), _Words(delta.refusal))
        for call in delta.calls:
            yield from self._piece(("call", call.number), call)

    def close(self, status: str) -> Iterator[Event]:
        """The events that end the output: what waits is said, what is open last is closed with ``status``.

        A model that said nothing gives a message with an empty text.
        """
        if not self.items and self._open is None:
            yield from self._piece(("output_text", 0), _Words(""))
        waiting, self._waiting = self._waiting, {}
        for key, pieces in waiting.items():
            yield from self._close("completed")
            for piece in pieces:
                yield from self._piece(key, piece)
        yield from self._close(status)

    def _is_speaking(self) -> bool:
        return self._open is not None and self._open.takes(("output_text", 0))

    def _piece(self, key: Key, piece: Any) -> Iterator[Event]:
        if self._open is not None and not self._open.takes(key):
            if isinstance(self._open, _OpenCall):
                self._waiting.setdefault(key, []).append(piece)
                return
            yield from self._close("completed")
        if self._open is None:
            self._open = self._opened(key, piece)
            yield from self._open.begin()
        yield from self._open.add(key[0], piece)

    def _opened(self, key: Key, piece: Any) -> "_OpenMessage | _OpenCall":
        position = len(self.items)
        if isinstance(piece, CallPiece):
            return _OpenCall(key, _CALLS[piece.kind], position, self._ids)
        return _OpenMessage(key[0], position, self._ids)

    def _close(self, status: str) -> Iterator[Event]:
        if self._open is not None:
            opened, self._open = self._open, None
            yield from opened.end(status)
            self.items.append(opened.item)


class _OpenMessage:
    """A message (texts and refusals, each a part) or a reasoning item (one part) that is being said."""

    def __init__(self, kind: str, position: int, ids: Ids) -> None:
        self._reasons = kind == "reasoning_text"
        self._place = {"output_index": position}
        self._parts: list[dict[str, Any]] = []
        if self._reasons:
            self.item: Item = {"id": ids.new("rs"), "type": "reasoning", "summary": []}
        else:
            self.item = {"id": ids.new("msg"), "type": "message", "role": "assistant"}

    def takes(self, key: Key) -> bool:
        return key[0] != "call" and (key[0] == "reasoning_text") == self._reasons

    def begin(self) -> Iterator[Event]:
        opening = {**self.item, "status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", **self._place, "item": opening}

    def add(self, kind: str, words: _Words) -> Iterator[Event]:
        if not self._parts or self._parts[-1]["type"] != kind:
            yield from self._end_part()
            yield from self._begin_part(kind)
        self._parts[-1][_PARTS[kind].field] += words.text
        event = {"type": _PARTS[kind].delta, **self._where(), "delta": words.text}
        if kind == "output_text":
            self._parts[-1]["logprobs"] += words.logprobs
            event["logprobs"] = list(words.logprobs)
        if words.text or words.logprobs:
            yield event

    def _begin_part(self, kind: str) -> Iterator[Event]:
        part: dict[str, Any] = {"type": kind, _PARTS[kind].field: ""}
        if kind == "output_text":
            part |= {"annotations": [], "logprobs": []}
        self._parts.append(part)
        yield {"type": "response.content_part.added", **self._where(), "part": _copy(part)}

    def _end_part(self) -> Iterator[Event]:
        if not self._parts:
            return
        part = self._parts[-1]
        kind = _PARTS[part["type"]]
        done = {"type": kind.done, **self._where(), kind.field: part[kind.field]}
        yield done | ({"logprobs": list(part["logprobs"])} if "logprobs" in part else {})
        yield {"type": "response.content_part.done", **self._where(), "part": _copy(part)}

    def _where(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], **self._place, "content_index": len(self._parts) - 1}

    def end(self, status: str) -> Iterator[Event]:
        yield from self._end_part()
        self.item |= {"status": status, "content": [_copy(part) for part in self._parts]}
        yield {"type": "response.output_item.done", **self._place, "item": dict(self.item)}


class _OpenCall:
    """A call of a function or of a custom tool that is being said. It is shown from when its name is known."""

    def __init__(self, key: Key, kind: _CallKind, position: int, ids: Ids) -> None:
        self._key, self._kind, self._place = key, kind, {"output_index": position}
        self._shown = False
        self._unsaid = ""
        self._new_call_id = ids.new("call")
        self.item: Item = {"id": ids.new(kind.prefix), "type": kind.type, "call_id": "", "name": "", kind.field: ""}

    def takes(self, key: Key) -> bool:
        return key == self._key

    def begin(self) -> Iterator[Event]:
        return iter(())

    def add(self, _: str, piece: CallPiece) -> Iterator[Event]:
        self.item["call_id"] = self.item["call_id"] or piece.call_id
        self.item["name"] = self.item["name"] or piece.name
        self._unsaid += piece.text
        if self.item["name"]:
            yield from self._say()

    def _say(self) -> Iterator[Event]:
        if not self._shown:
            self._shown = True
            self.item["call_id"] = self.item["call_id"] or self._new_call_id
            opening = {**self.item, "status": "in_progress"}
            yield {"type": "response.output_item.added", **self._place, "item": opening}
        if self._unsaid:
            text, self._unsaid = self._unsaid, ""
            self.item[self._kind.field] += text
            yield {"type": f"{self._kind.events}.delta", **self._where(), "delta": text}

    def _where(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], **self._place}

    def end(self, status: str) -> Iterator[Event]:
        yield from self._say()
        self.item["status"] = status
        said = {self._kind.field: self.item[self._kind.field]}
        # Of the two, OpenAI names the function alone.
        said |= {"name": self.item["name"]} if self._kind.type == "function_call" else {}
        yield {"type": f"{self._kind.events}.done", **self._where(), **said}
        yield {"type": "response.output_item.done", **self._place, "item": dict(self.item)}


def _copy(part: dict[str, Any]) -> dict[str, Any]:
    """A part as it is now: events already sent must not grow with it."""
    return {name: list(value) if isinstance(value, list) else value for name, value in part.items()}
