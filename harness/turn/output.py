"""Where a chunk becomes events: what the model says to output items, opened, filled and closed in order."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from harness.api.namespaces import SEARCH
from harness.api.reasoning import packed
from harness.turn.delta import CallPiece, Delta
from harness.turn.ids import Ids
from harness.turn.mcp_items import ApprovalRequest, McpCall, Passed, list_events
from harness.turn.open_call import CALLS, Key, OpenCall
from harness.turn.tool_search import OpenSearch
from harness.turn.toolbox import Toolbox

Event: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Any]

_OpenCall: TypeAlias = OpenCall | OpenSearch | McpCall | ApprovalRequest | Passed

_HANDED_OVER = ("function_call", "custom_tool_call", "tool_search_call", "mcp_approval_request")
"""What the client has to answer before the model can go on."""


class _PartKind(NamedTuple):
    """The field of a part that grows, the name of the events that tell of it, and where in its item it stands."""

    field: str
    growing: str
    parts: str = "content"
    part: str = "response.content_part"


_PARTS = {
    "output_text": _PartKind("text", "response.output_text"),
    "refusal": _PartKind("refusal", "response.refusal"),
    "reasoning_text": _PartKind("text", "response.reasoning_text"),
    "summary_text": _PartKind("text", "response.reasoning_summary_text", "summary", "response.reasoning_summary_part"),
}

_REASONING = ("reasoning_text", "summary_text")


class _Words(NamedTuple):
    """A piece of a message."""

    text: str
    logprobs: tuple[dict[str, Any], ...] = ()
    annotations: tuple[dict[str, Any], ...] = ()


class Output:
    """The output of a response while it is being said, in one or more answers of the model's.

    Every item is closed before the next opens. A tool call can be known to be complete only at the end of the stream,
    so what arrives beside an open call waits until then. A call of an MCP tool is complete when the tool has answered:
    until then it is ``running``. Events come without ``sequence_number``. Reasoning is shown as it is told, or as its
    summary, if ``summarizes``.
    """

    def __init__(self, ids: Ids, toolbox: Toolbox, *, packs_reasoning: bool = False, summarizes: bool = False) -> None:
        self.items: list[Item] = []
        self.usages: list[dict[str, Any] | None] = []
        self.service_tier: str | None = None
        self.finish_reason: str | None = None
        self.running: McpCall | None = None
        self._ids, self._toolbox = ids, toolbox
        self._packs_reasoning = packs_reasoning
        self._reasoning = "summary_text" if summarizes else "reasoning_text"
        self._open: _OpenMessage | _OpenCall | None = None
        self._waiting: dict[Key, list[Any]] = {}
        self._status = "completed"
        self._before = 0
        self._skipped: list[tuple[int, Item]] = []
        self._was_spent = self._was_over = self._called_in_vain = False

    def begin(self) -> None:
        """The model begins an answer."""
        self.usages.append(None)
        self.finish_reason = None
        self._before = len(self.items)
        self._was_spent, self._was_over = self._toolbox.left < 1, self._toolbox.is_over
        self._called_in_vain = False

    @property
    def asks_on(self) -> bool:
        """Whether the model is to be asked again: its last answer called tools, and nobody else has to answer them.

        One that calls what it is not offered any more has said all that it will.
        """
        kinds = [item["type"] for item in self.items[self._before :]]
        is_whole = self._status == "completed"
        has_called = "mcp_call" in kinds or self._called_in_vain
        return is_whole and has_called and not any(kind in kinds for kind in _HANDED_OVER)

    @property
    def told(self) -> list[Item]:
        """What the model is told of it: the items, and the calls that were passed over, in their places."""
        told = list(self.items)
        for place, call in reversed(self._skipped):
            told.insert(place, call)
        return told

    def list_tools(self, server_label: str, tools: list[dict[str, Any]]) -> Iterator[Event]:
        """The events of a server's tools having been listed."""
        item = {"id": self._ids.new("mcpl"), "type": "mcp_list_tools", "server_label": server_label, "tools": tools}
        yield from list_events(item, len(self.items))
        self.items.append(item)

    def fail_list(self, server_label: str, error: str) -> Iterator[Event]:
        """The events of a server's tools that could not be listed."""
        item = {"id": self._ids.new("mcpl"), "type": "mcp_list_tools", "server_label": server_label, "tools": []}
        yield from list_events(item | {"error": error}, len(self.items))

    def compact(self, item: Item, usage: dict[str, Any] | None) -> Iterator[Event]:
        """The events of the context having been made short, which took a summary of this ``usage``."""
        place = {"output_index": len(self.items)}
        yield {"type": "response.output_item.added", **place, "item": dict(item)}
        yield {"type": "response.output_item.done", **place, "item": dict(item)}
        self.items.append(item)
        self.usages.append(usage)

    def call(self, request: Item) -> Iterator[Event]:
        """The events of a call that was approved, up to where it runs."""
        self._toolbox.left -= 1
        self.running = McpCall(request["server_label"], request["name"], len(self.items), self._ids)
        self.running.item["approval_request_id"] = request["id"]
        yield from self.running.say(request["arguments"])
        yield from self.running.end("completed")

    def answer(self, output: str | None, error: dict[str, Any] | None) -> Iterator[Event]:
        """The events of a tool's answer, and of all that is said up to the next call that has to be run."""
        assert self.running is not None
        called, self.running = self.running, None
        yield from self._finish(called, output, error)
        yield from self._proceed()

    def add(self, delta: Delta) -> Iterator[Event]:
        """The events that one chunk gives."""
        self.usages[-1] = delta.usage or self.usages[-1]
        self.service_tier = delta.service_tier or self.service_tier
        self.finish_reason = delta.finish_reason or self.finish_reason
        if delta.reasoning:
            yield from self._piece((self._reasoning, 0), _Words(delta.reasoning))
        # Log probabilities without a text are those of a call's tokens, or come after the text they belong to.
        if delta.text or delta.annotations or (delta.logprobs and self._is_speaking()):
            yield from self._piece(("output_text", 0), _Words(delta.text, delta.logprobs, delta.annotations))
        if delta.refusal:
            yield from self._piece(("refusal", 0), _Words(delta.refusal))
        for call in delta.calls:
            yield from self._piece(("call", call.number), call)

    def close(self, status: str) -> Iterator[Event]:
        """The events that end an answer: what waits is said, what is open last is closed with ``status``.

        They end early where a call has to be run. A model that said nothing gives a message with an empty text.
        """
        self._status = status
        if len(self.items) == self._before and self._open is None:
            yield from self._piece(("output_text", 0), _Words(""))
        yield from self._proceed()

    def _proceed(self) -> Iterator[Event]:
        while self._waiting:
            yield from self._close("completed")
            if self.running is not None:
                return
            key = next(iter(self._waiting))
            for piece in self._waiting.pop(key):
                yield from self._piece(key, piece)
        yield from self._close(self._status)

    def _is_speaking(self) -> bool:
        return self._open is not None and self._open.takes(("output_text", 0))

    def _piece(self, key: Key, piece: Any) -> Iterator[Event]:
        if self._open is not None and not self._open.takes(key):
            if not isinstance(self._open, _OpenMessage):
                self._waiting.setdefault(key, []).append(piece)
                return
            yield from self._close("completed")
        if isinstance(piece, CallPiece):
            yield from self._call_piece(key, piece)
        else:
            yield from self._words(key, piece)

    def _words(self, key: Key, words: _Words) -> Iterator[Event]:
        if self._open is None:
            self._open = _OpenMessage(key[0], len(self.items), self._ids)
            yield from self._open.begin()
        assert isinstance(self._open, _OpenMessage)
        yield from self._open.add(key[0], words)

    def _call_piece(self, key: Key, piece: CallPiece) -> Iterator[Event]:
        if self._open is None:
            self._open = OpenCall(key, CALLS[piece.kind], len(self.items), self._ids)
        assert not isinstance(self._open, _OpenMessage)
        if isinstance(self._open, OpenCall):
            self._open.gather(piece)
            self._open = self._recognized(self._open)
        yield from self._open.say(piece.text)

    def _recognized(self, call: OpenCall) -> _OpenCall:
        """The call for what it is, once its name is known."""
        member = None if call.is_shown else self._toolbox.members.get(call.item["name"])
        if member is not None:
            call.item |= member._asdict()
            return call
        if self._toolbox.searches and call.item["name"] == SEARCH and call.item["type"] == "function_call":
            return OpenSearch(call, self._ids)
        offer = self._toolbox.find(call.item["name"])
        if offer is None or call.is_shown or call.item["type"] != "function_call":
            return call
        if offer.asks:
            return ApprovalRequest(call, offer, self._ids)
        if self._toolbox.left < 1:
            self._called_in_vain = not self._was_over
            return Passed(call, offer, self._toolbox.most, self._ids)
        self._toolbox.left -= 1
        return McpCall(offer.server_label, offer.name, len(self.items), self._ids, call)

    def _close(self, status: str) -> Iterator[Event]:
        if self._open is None:
            return
        opened, self._open = self._open, None
        if self._packs_reasoning and isinstance(opened, _OpenMessage):
            opened.pack()
        yield from opened.end(status)
        if isinstance(opened, McpCall) and self._status == "completed":
            self.running = opened
        elif isinstance(opened, McpCall):
            yield from self._finish(opened, None, None)
        elif isinstance(opened, Passed):
            self._skipped.append((len(self.items), opened.told))
            self._toolbox.is_over |= self._was_spent
        elif opened.item is not None:
            self.items.append(opened.item)

    def _finish(self, call: McpCall, output: str | None, error: dict[str, Any] | None) -> Iterator[Event]:
        yield from call.finish(output, error)
        self.items.append(call.item)


class _OpenMessage:
    """A message (texts and refusals, each a part) or a reasoning item (one part) that is being said."""

    def __init__(self, kind: str, position: int, ids: Ids) -> None:
        self._reasons = kind in _REASONING
        self._kind = kind
        self._place = {"output_index": position}
        self._parts: list[dict[str, Any]] = []
        if self._reasons:
            self.item: Item = {"id": ids.new("rs"), "type": "reasoning", "summary": []}
        else:
            self.item = {"id": ids.new("msg"), "type": "message", "role": "assistant"}

    def takes(self, key: Key) -> bool:
        return key[0] != "call" and (key[0] in _REASONING) == self._reasons

    def begin(self) -> Iterator[Event]:
        opening = {**self.item, "status": "in_progress", _PARTS[self._kind].parts: []}
        yield {"type": "response.output_item.added", **self._place, "item": opening}

    def add(self, kind: str, words: _Words) -> Iterator[Event]:
        if not self._parts or self._parts[-1]["type"] != kind:
            yield from self._end_part()
            yield from self._begin_part(kind)
        self._parts[-1][_PARTS[kind].field] += words.text
        event = {"type": f"{_PARTS[kind].growing}.delta", **self._where(), "delta": words.text}
        if kind == "output_text":
            self._parts[-1]["logprobs"] += words.logprobs
            event["logprobs"] = list(words.logprobs)
        if words.text or words.logprobs:
            yield event
        yield from map(self._annotate, words.annotations)

    def _annotate(self, annotation: dict[str, Any]) -> Event:
        annotations = self._parts[-1]["annotations"]
        annotations.append(annotation)
        where = self._where() | {"annotation_index": len(annotations) - 1}
        return {"type": "response.output_text.annotation.added", **where, "annotation": annotation}

    def _begin_part(self, kind: str) -> Iterator[Event]:
        part: dict[str, Any] = {"type": kind, _PARTS[kind].field: ""}
        if kind == "output_text":
            part |= {"annotations": [], "logprobs": []}
        self._parts.append(part)
        yield {"type": f"{_PARTS[kind].part}.added", **self._where(), "part": _copy(part)}

    def _end_part(self) -> Iterator[Event]:
        if not self._parts:
            return
        part = self._parts[-1]
        kind = _PARTS[part["type"]]
        done = {"type": f"{kind.growing}.done", **self._where(), kind.field: part[kind.field]}
        shown = _copy(part)
        if "logprobs" in part:
            done["logprobs"] = list(part["logprobs"])
            # They were told with the text: here OpenAI leaves them out.
            shown["logprobs"] = []
        yield done
        yield {"type": f"{kind.part}.done", **self._where(), "part": shown}

    def pack(self) -> None:
        """Have reasoning say all of itself in one field."""
        if self._reasons:
            self.item["encrypted_content"] = packed("".join(part["text"] for part in self._parts))

    def _where(self) -> dict[str, Any]:
        index = f"{_PARTS[self._kind].parts}_index"
        return {"item_id": self.item["id"], **self._place, index: len(self._parts) - 1}

    def end(self, status: str) -> Iterator[Event]:
        yield from self._end_part()
        self.item |= {"status": status, _PARTS[self._kind].parts: [_copy(part) for part in self._parts]}
        yield {"type": "response.output_item.done", **self._place, "item": dict(self.item)}


def _copy(part: dict[str, Any]) -> dict[str, Any]:
    """A part as it is now: events already sent must not grow with it."""
    return {name: list(value) if isinstance(value, list) else value for name, value in part.items()}
