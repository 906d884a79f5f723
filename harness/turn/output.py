"""Where a chunk becomes events: the deltas of one choice to output items, opened, filled and closed in order."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from harness.turn.ids import Ids

Event: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Any]

_PART_EVENTS = {
    # kind of part: (the part's field that grows, event of a delta, event of the end, its field of the whole)
    "output_text": ("text", "response.output_text.delta", "response.output_text.done", "text"),
    "refusal": ("refusal", "response.refusal.delta", "response.refusal.done", "refusal"),
    "reasoning_text": ("text", "response.reasoning_text.delta", "response.reasoning_text.done", "text"),
}


class Output:
    """The output of a response while it is being said.

    Every item is closed before the next opens. A function call can be known to be complete only at the end of the
    stream, so what arrives beside an open call waits until then. Events come without ``sequence_number``.
    """

    def __init__(self, ids: Ids) -> None:
        self.items: list[Item] = []
        self.usage: dict[str, Any] | None = None
        self.service_tier: str | None = None
        self.finish_reason: str | None = None
        self._ids = ids
        self._open: _OpenMessage | _OpenCall | None = None
        self._waiting: dict[tuple[str, int], list[Any]] = {}

    def add(self, chunk: dict[str, Any]) -> Iterator[Event]:
        """The events that one chunk gives. Choices other than the first are not part of a response."""
        self.usage = chunk.get("usage") or self.usage
        self.service_tier = chunk.get("service_tier") or self.service_tier
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
                yield from self._delta(choice.get("delta") or {}, choice.get("logprobs") or {})

    def _delta(self, delta: dict[str, Any], logprobs: dict[str, Any]) -> Iterator[Event]:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str):
            yield from self._piece(("reasoning_text", 0), (reasoning, []))
        if delta.get("content"):
            yield from self._piece(("output_text", 0), (delta["content"], logprobs.get("content") or []))
        if delta.get("refusal"):
            yield from self._piece(("refusal", 0), (delta["refusal"], []))
        for position, call in enumerate(delta.get("tool_calls") or ()):
            index = call.get("index")
            yield from self._piece(("call", position if index is None else index), call)

    def _piece(self, key: tuple[str, int], piece: Any) -> Iterator[Event]:
        if self._open is not None and not self._open.takes(key):
            if isinstance(self._open, _OpenCall):
                self._waiting.setdefault(key, []).append(piece)
                return
            yield from self._close("completed")
        if self._open is None:
            self._open = self._opened(key)
            yield from self._open.begin()
        yield from self._open.add(key[0], piece)

    def _opened(self, key: tuple[str, int]) -> "_OpenMessage | _OpenCall":
        position = len(self.items)
        return _OpenCall(key, position, self._ids) if key[0] == "call" else _OpenMessage(key[0], position, self._ids)

    def close(self, status: str) -> Iterator[Event]:
        """The events that end the output: what is open is closed with ``status``, what waits is said.

        A model that said nothing gives a message with an empty text.
        """
        if not self.items and self._open is None:
            yield from self._piece(("output_text", 0), ("", []))
        waiting, self._waiting = self._waiting, {}
        for key in sorted(waiting):
            yield from self._close("completed")
            for piece in waiting[key]:
                yield from self._piece(key, piece)
        yield from self._close(status)

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

    def takes(self, key: tuple[str, int]) -> bool:
        return key[0] != "call" and (key[0] == "reasoning_text") == self._reasons

    def begin(self) -> Iterator[Event]:
        opening = {**self.item, "status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", **self._place, "item": opening}

    def add(self, kind: str, piece: tuple[str, list[Any]]) -> Iterator[Event]:
        text, logprobs = piece
        if not self._parts or self._parts[-1]["type"] != kind:
            yield from self._end_part()
            part: dict[str, Any] = {"type": kind, _PART_EVENTS[kind][0]: ""}
            part |= {"annotations": [], "logprobs": []} if kind == "output_text" else {}
            self._parts.append(part)
            yield {"type": "response.content_part.added", **self._where(), "part": _copy(part)}
        field, delta_type, _, _ = _PART_EVENTS[kind]
        self._parts[-1][field] += text
        event = {"type": delta_type, **self._where(), "delta": text}
        if kind == "output_text":
            shown = [_logprob(token) for token in logprobs]
            self._parts[-1]["logprobs"] += shown
            event["logprobs"] = shown
        if text:
            yield event

    def _where(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], **self._place, "content_index": len(self._parts) - 1}

    def _end_part(self) -> Iterator[Event]:
        if not self._parts:
            return
        part = self._parts[-1]
        field, _, done_type, name = _PART_EVENTS[part["type"]]
        done = {"type": done_type, **self._where(), name: part[field]}
        yield done | ({"logprobs": part["logprobs"]} if part["type"] == "output_text" else {})
        yield {"type": "response.content_part.done", **self._where(), "part": _copy(part)}

    def end(self, status: str) -> Iterator[Event]:
        yield from self._end_part()
        self.item |= {"status": status, "content": [_copy(part) for part in self._parts]}
        yield {"type": "response.output_item.done", **self._place, "item": dict(self.item)}


class _OpenCall:
    """A function call that is being said."""

    def __init__(self, key: tuple[str, int], position: int, ids: Ids) -> None:
        self._key, self._place = key, {"output_index": position}
        self._said = False
        self._new_call_id = ids.new("call")
        self.item: Item = {"id": ids.new("fc"), "type": "function_call", "call_id": "", "name": "", "arguments": ""}

    def takes(self, key: tuple[str, int]) -> bool:
        return key == self._key

    def begin(self) -> Iterator[Event]:
        # The name comes with the first piece: only then there is something to show.
        return iter(())

    def add(self, _kind: str, piece: dict[str, Any]) -> Iterator[Event]:
        function = piece.get("function") or {}
        self.item["call_id"] = self.item["call_id"] or piece.get("id") or self._new_call_id
        self.item["name"] = self.item["name"] or function.get("name") or ""
        if not self._said:
            self._said = True
            opening = {**self.item, "status": "in_progress"}
            yield {"type": "response.output_item.added", **self._place, "item": opening}
        arguments = function.get("arguments")
        if arguments:
            self.item["arguments"] += arguments
            where = {"item_id": self.item["id"], **self._place}
            yield {"type": "response.function_call_arguments.delta", **where, "delta": arguments}

    def end(self, status: str) -> Iterator[Event]:
        self.item["status"] = status
        yield {
            "type": "response.function_call_arguments.done",
            "item_id": self.item["id"],
            **self._place,
            "name": self.item["name"],
            "arguments": self.item["arguments"],
        }
        yield {"type": "response.output_item.done", **self._place, "item": dict(self.item)}


def _copy(part: dict[str, Any]) -> dict[str, Any]:
    """A part as it is now: events already sent must not grow with it."""
    return {name: list(value) if isinstance(value, list) else value for name, value in part.items()}


def _logprob(token: dict[str, Any]) -> dict[str, Any]:
    """A token's log probability in the Responses API's shape, where ``bytes`` and ``top_logprobs`` must be there."""
    shown = {"token": token.get("token"), "logprob": token.get("logprob"), "bytes": token.get("bytes") or []}
    return shown | {"top_logprobs": [_top(other) for other in token.get("top_logprobs") or ()]}


def _top(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": token.get("token"), "logprob": token.get("logprob"), "bytes": token.get("bytes") or []}
