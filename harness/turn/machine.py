"""The turn: from a request to the last event, as a state machine without I/O.

``receive(input)`` answers with commands; whoever drives it carries them out in order and feeds back what came of them.
An Ask or a Keep is the last command of its batch, and what is fed next is its outcome: what an earlier command would
still have led to is dropped. The whole of it is the table ``_TRANSITIONS``: which input is expected in which state, and
what it leads to. What the table does not name is a mistake of the driver's.

Nothing is sent before the backend has begun to answer: until then an error is an HTTP error, not an event. But a
response in the background is shown as soon as there is something to ask: whatever goes wrong then makes it fail.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from harness.api.refusals import TOO_LONG
from harness.api.responses import CreateResponse, failure_object, response_object, tier_shown, usage_object
from harness.errors import InvalidRequest, UpstreamError
from harness.turn.commands import Ask, Begin, Chunk, Command, Emit, Ended, Failed, Input, Keep, Kept, Opened, Refuse
from harness.turn.delta import Reader
from harness.turn.ids import Ids
from harness.turn.messages import Item
from harness.turn.output import Output
from harness.turn.question import chat_body
from harness.turn.window import Window

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons that leave a response incomplete, and OpenAI's words for why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a turn needs to know: the request, the items before its input, its input, and its conversation's id."""

    wanted: CreateResponse
    history: list[Item]
    input_items: list[Item]
    conversation_id: str | None
    ids: Ids
    now: int


class State(Enum):
    """Where a turn stands."""

    NEW = auto()
    ASKING = auto()
    STREAMING = auto()
    KEEPING = auto()
    GIVING_UP = auto()
    ENDED = auto()


class Turn:
    """One turn, as ``plan`` says. ``response`` is the Response object as it stands."""

    def __init__(self, plan: Plan) -> None:
        self.state = State.NEW
        self.response = response_object(
            plan.wanted,
            response_id=plan.ids.new("resp"),
            created_at=plan.now,
            conversation_id=plan.conversation_id,
        )
        self.plan = plan
        self._reader = Reader()
        self._output = Output(plan.ids)
        self._window = Window(plan.history, plan.input_items)
        self._events = 0

    def receive(self, what: Input) -> list[Command]:
        """The commands that follow from an input, to be carried out in order."""
        return list(_TRANSITIONS[self.state, type(what)](self, what))

    def _begin(self, _: Input) -> Iterator[Command]:
        try:
            body = chat_body(self.plan.wanted, self._window.items)
        except InvalidRequest as error:
            yield from self._refuse(Failed(error))
        else:
            self.state = State.ASKING
            if self.plan.wanted.background and not self._events:
                yield from self._announce()
            yield Ask(body)

    def _announce(self) -> Iterator[Command]:
        yield self._emit({"type": "response.created", "response": dict(self.response)})
        if self.response["status"] == "queued":
            yield self._emit({"type": "response.queued", "response": dict(self.response)})
            self.response["status"] = "in_progress"
        yield self._emit({"type": "response.in_progress", "response": dict(self.response)})

    def _shorten(self, what: Failed) -> Iterator[Command]:
        """Too long a request is asked again without its oldest items, where the client wants that."""
        truncates = self.plan.wanted.truncation == "auto" and what.error.code == TOO_LONG
        yield from self._begin(what) if truncates and self._window.shrink() else self._refuse(what)

    def _refuse(self, what: Failed) -> Iterator[Command]:
        if self._events:
            yield from self._fail(what)
        else:
            self.state = State.ENDED
            yield Refuse(what.error)

    def _open(self, _: Input) -> Iterator[Command]:
        self.state = State.STREAMING
        if not self._events:
            yield from self._announce()

    def _chunk(self, what: Chunk) -> Iterator[Command]:
        try:
            delta = self._reader.read(what.data)
        except UpstreamError as error:
            yield from self._fail(Failed(error))
        else:
            yield from self._say(self._output.add(delta))

    def _finish(self, what: Ended) -> Iterator[Command]:
        self.state = State.KEEPING
        output, reason = self._output, _INCOMPLETE.get(self._output.finish_reason or "")
        status = "incomplete" if reason else "completed"
        yield from self._say(output.close(status))
        self.response |= {
            "status": status,
            "incomplete_details": {"reason": reason} if reason else None,
            "completed_at": None if reason else what.now,
            "output": list(output.items),
            "usage": usage_object(output.usage) if output.usage else None,
            "service_tier": tier_shown(output.service_tier) or self.response["service_tier"],
        }
        yield Keep(dict(self.response), (*self.plan.input_items, *output.items), append=True)

    def _complete(self, _: Input) -> Iterator[Command]:
        self.state = State.ENDED
        yield self._emit({"type": f"response.{self.response['status']}", "response": dict(self.response)})

    def _fail(self, what: Failed) -> Iterator[Command]:
        """In mid-stream: what was said stays said, but the conversation does not get it."""
        self.state = State.GIVING_UP
        self.response |= {
            "status": "failed",
            "error": failure_object(what.error),
            "incomplete_details": None,
            "completed_at": None,
            "output": [],
        }
        yield Keep(dict(self.response), (), append=False)

    def _emit(self, event: dict[str, Any]) -> Emit:
        self._events += 1
        return Emit({"type": event["type"], "sequence_number": self._events - 1} | event)

    def _say(self, events: Iterable[dict[str, Any]]) -> Iterator[Command]:
        return map(self._emit, events)


_TRANSITIONS: dict[tuple[State, type[Input]], Callable[[Turn, Any], Iterator[Command]]] = {
    (State.NEW, Begin): Turn._begin,
    (State.ASKING, Failed): Turn._shorten,
    (State.ASKING, Opened): Turn._open,
    (State.STREAMING, Chunk): Turn._chunk,
    (State.STREAMING, Ended): Turn._finish,
    (State.STREAMING, Failed): Turn._fail,
    (State.KEEPING, Kept): Turn._complete,
    (State.KEEPING, Failed): Turn._fail,
    # A response that failed is shown as failed even where it could not be written down.
    (State.GIVING_UP, Kept): Turn._complete,
    (State.GIVING_UP, Failed): Turn._complete,
}
