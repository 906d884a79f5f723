"""The turn: from a request to the last event, as a state machine without I/O.

``receive(input)`` answers with commands; whoever drives it carries them out in order and feeds back what came of them.
An Ask or a Keep is the last command of its batch, and what is fed next is its outcome: what an earlier command would
still have led to is dropped. The whole of it is the table ``_TRANSITIONS``: which input is expected in which state, and
what it leads to. What the table does not name is a mistake of the driver's.

Nothing is sent before the model has said something, or a tool that was approved has: until then an error is an HTTP
error, not an event, and the events of what was done so far are held back. Some upstreams begin a stream, and tell only
then that they refuse. But a response in the background is shown as soon as there is something to ask: whatever goes
wrong then makes it fail.

A turn asks MCP servers for their tools, runs the calls that were approved, asks the model, runs the calls of MCP tools
that it makes, and asks again, until the model has answered or the client has to: each step is what ``_advance`` finds
to be next. What the model would be asked may be too long: then it is asked for a summary first.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from harness.api.create_response import CreateResponse
from harness.api.mcp import bad_arguments
from harness.api.refusals import TOO_LONG
from harness.api.responses import failure_object, response_object, tier_shown
from harness.errors import HarnessError, InvalidRequest, UpstreamError
from harness.turn.approvals import approved
from harness.turn.calls import check_calls
from harness.turn.commands import (
    Ask,
    Begin,
    Called,
    CallTool,
    Chunk,
    Command,
    Emit,
    Ended,
    Failed,
    Input,
    Keep,
    Kept,
    Listed,
    ListTools,
    Refuse,
)
from harness.turn.compacting import Compacting, context, ends_in_trigger
from harness.turn.delta import Reader
from harness.turn.ids import Ids
from harness.turn.messages import Item
from harness.turn.output import Output
from harness.turn.question import chat_body
from harness.turn.tokens import Threshold
from harness.turn.toolbox import Toolbox
from harness.turn.usage import total_usage
from harness.turn.window import Window

_INCOMPLETE = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "content_filter": "content_filter",
}
"""Finish reasons that leave a response incomplete (Anthropic's and Mistral's too), and OpenAI's words for why."""

_OF_ITS_RESPONSE = ("response.output_item.", "response.content_part.")
"""Events that say which response they are of. OpenAI says it of the whole response alone; OGX's clients take an event
without it for another kind, and the other clients leave alone what they do not know.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a turn needs to know: the request, the items before its input, its input, and its conversation's id.

    Above the ``threshold`` the context is made short.
    """

    wanted: CreateResponse
    history: list[Item]
    input_items: list[Item]
    conversation_id: str | None
    ids: Ids
    now: int
    threshold: Threshold | None = None

    @property
    def items(self) -> list[Item]:
        """Everything before the output."""
        return [*self.history, *self.input_items]


class State(Enum):
    """Where a turn stands."""

    NEW = auto()
    LISTING = auto()
    CALLING = auto()
    COMPACTING = auto()
    ASKING = auto()
    STREAMING = auto()
    KEEPING = auto()
    GIVING_UP = auto()
    ENDED = auto()


class Turn:
    """One turn, as ``plan`` says. ``response`` is the Response object as it stands, ``failure`` why it failed."""

    def __init__(self, plan: Plan) -> None:
        self.state = State.NEW
        self.response = response_object(
            plan.wanted,
            response_id=plan.ids.new("resp"),
            created_at=plan.now,
            conversation_id=plan.conversation_id,
        )
        self.plan = plan
        self.failure: HarnessError | None = None
        self._toolbox = Toolbox(plan.wanted.tools, plan.wanted.max_tool_calls)
        self._approved: list[Item] = []
        self._reader = Reader()
        self._output = Output(
            plan.ids,
            self._toolbox,
            packs_reasoning=plan.wanted.wants_packed_reasoning,
            summarizes=plan.wanted.wants_summary,
        )
        self._window = Window(plan.history, plan.input_items)
        self._compacting = Compacting(plan.wanted, plan.threshold)
        self._only_compacts = ends_in_trigger(plan.input_items)
        self._asked = False
        self._now = plan.now
        self._events = 0
        self._held: list[dict[str, Any]] | None = []

    def receive(self, what: Input) -> list[Command]:
        """The commands that follow from an input, to be carried out in order."""
        return list(_TRANSITIONS[self.state, type(what)](self, what))

    def _begin(self, _: Input) -> Iterator[Command]:
        try:
            check_calls(self.plan.items)
            self._toolbox.recall(self.plan.items)
            self._approved = approved(self.plan.items, self._toolbox)
        except InvalidRequest as error:
            yield from self._refuse(Failed(error))
        else:
            if self.plan.wanted.background and (self._toolbox.unknown or self._approved):
                yield from self._start()
            yield from self._advance()

    def _advance(self) -> Iterator[Command]:
        """What comes next: a list that is missing, a call that was approved or made, the model, or the end."""
        output, unknown = self._output, self._toolbox.unknown
        if self._only_compacts:
            yield from self._finish() if self._asked else self._ask()
        elif unknown:
            self.state = State.LISTING
            yield ListTools(unknown[0])
        elif output.running is not None:
            yield from self._call(output.running.item)
        elif self._approved and self._toolbox.left > 0:
            yield from self._say(output.call(self._approved.pop(0)))
            yield from self._advance()
        elif not self._asked or output.asks_on:
            yield from self._ask()
        else:
            yield from self._finish()

    def _listed(self, what: Listed) -> Iterator[Command]:
        label = self._toolbox.unknown[0]
        try:
            allowed = self._toolbox.learn(label, what.tools)
        except InvalidRequest as error:
            yield from self._refuse(Failed(error))
        else:
            yield from self._say(self._output.list_tools(label, allowed))
            yield from self._advance()

    def _unlisted(self, what: Failed) -> Iterator[Command]:
        """Tools that could not be listed: a response that is shown already shows that too."""
        if self._events:
            yield from self._say(self._output.fail_list(self._toolbox.unknown[0], str(what.error)))
        yield from self._refuse(what)

    def _call(self, item: Item) -> Iterator[Command]:
        try:
            arguments = json.loads(item["arguments"] or "{}")
        except ValueError:
            arguments = None
        if isinstance(arguments, dict):
            self.state = State.CALLING
            yield CallTool(item["server_label"], item["name"], arguments)
        else:
            yield from self._called(Called(None, bad_arguments("The arguments are no JSON object."), self._now))

    def _called(self, what: Called) -> Iterator[Command]:
        self._now = what.now
        yield from self._start()
        yield from self._say(self._output.answer(what.output, what.error))
        yield from self._advance()

    def _ask(self) -> Iterator[Command]:
        output, plan = self._output, self.plan
        again = any(item["type"] == "mcp_call" for item in output.items)
        items = context(self._window.items, output.told)
        is_due = self._only_compacts
        try:
            if not is_due:
                body = chat_body(plan.wanted, items, self._toolbox, again=again)
                is_due = self._compacting.is_due(body)
            if is_due:
                body = self._compacting.body(items)
        except HarnessError as error:
            yield from self._refuse(Failed(error))
            return
        if is_due:
            self.state = State.COMPACTING
        else:
            self.state, self._asked, self._reader = State.ASKING, True, Reader()
            output.begin()
        if plan.wanted.background:
            yield from self._start()
        yield Ask(body)

    def _summary(self, what: Chunk) -> Iterator[Command]:
        try:
            self._compacting.read(what.data)
        except UpstreamError as error:
            yield from self._refuse(Failed(error))

    def _compacted(self, what: Ended) -> Iterator[Command]:
        self._now = what.now
        try:
            item = self._compacting.item(self.plan.ids)
        except UpstreamError as error:
            yield from self._refuse(Failed(error))
        else:
            if self._only_compacts:
                self._asked = True
                yield from self._start()
            yield from self._say(self._output.compact(item, self._compacting.usage))
            yield from self._advance()

    def _announce(self) -> Iterator[Command]:
        yield self._emit({"type": "response.created", "response": dict(self.response)})
        if self.response["status"] == "queued":
            yield self._emit({"type": "response.queued", "response": dict(self.response)})
            self.response["status"] = "in_progress"
        yield self._emit({"type": "response.in_progress", "response": dict(self.response)})

    def _shorten(self, what: Failed) -> Iterator[Command]:
        """Too long a request is asked again without its oldest items, where the client wants that."""
        truncates = self.plan.wanted.truncation == "auto" and what.error.code == TOO_LONG
        yield from self._ask() if truncates and self._window.shrink() else self._refuse(what)

    def _refuse(self, what: Failed) -> Iterator[Command]:
        """An error is an HTTP error as long as nothing was sent."""
        if self._events:
            yield from self._fail(what)
        else:
            self.state = State.ENDED
            yield Refuse(what.error)

    def _start(self) -> Iterator[Command]:
        """The first events, and those that were held back, unless they were sent already."""
        held, self._held = self._held, None
        if held is not None:
            yield from self._announce()
            yield from self._say(held)

    def _chunk(self, what: Chunk) -> Iterator[Command]:
        try:
            delta = self._reader.read(what.data)
        except UpstreamError as error:
            yield from self._refuse(Failed(error))
        else:
            if delta.says_something:
                self.state = State.STREAMING
                yield from self._start()
            yield from self._say(self._output.add(delta))

    def _end(self, what: Ended) -> Iterator[Command]:
        self._now = what.now
        yield from self._start()
        yield from self._say(self._output.close("incomplete" if self._reason else "completed"))
        yield from self._advance()

    @property
    def _reason(self) -> str | None:
        """Why the answer is incomplete, if it is."""
        return _INCOMPLETE.get(self._output.finish_reason or "")

    def _finish(self) -> Iterator[Command]:
        self.state = State.KEEPING
        output, reason = self._output, self._reason
        self.response |= {
            "status": "incomplete" if reason else "completed",
            "incomplete_details": {"reason": reason} if reason else None,
            "completed_at": None if reason else self._now,
            "output": list(output.items),
            "usage": total_usage(output.usages),
            "service_tier": tier_shown(output.service_tier) or self.response["service_tier"],
        }
        yield Keep(dict(self.response), (*self.plan.input_items, *output.items), append=True)

    def _complete(self, _: Input) -> Iterator[Command]:
        self.state = State.ENDED
        yield self._emit({"type": f"response.{self.response['status']}", "response": dict(self.response)})

    def _fail(self, what: Failed) -> Iterator[Command]:
        """In mid-stream: what was said stays said, but the conversation does not get it."""
        self.state, self.failure = State.GIVING_UP, what.error
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
        whose = {"response_id": self.response["id"]} if event["type"].startswith(_OF_ITS_RESPONSE) else {}
        return Emit({"type": event["type"], "sequence_number": self._events - 1} | event | whose)

    def _say(self, events: Iterable[dict[str, Any]]) -> Iterator[Command]:
        for event in events:
            if self._held is None:
                yield self._emit(event)
            else:
                self._held.append(event)


_TRANSITIONS: dict[tuple[State, type[Input]], Callable[[Turn, Any], Iterator[Command]]] = {
    (State.NEW, Begin): Turn._begin,
    (State.LISTING, Listed): Turn._listed,
    (State.LISTING, Failed): Turn._unlisted,
    (State.CALLING, Called): Turn._called,
    (State.CALLING, Failed): Turn._refuse,
    (State.COMPACTING, Chunk): Turn._summary,
    (State.COMPACTING, Ended): Turn._compacted,
    (State.COMPACTING, Failed): Turn._refuse,
    (State.ASKING, Failed): Turn._shorten,
    (State.ASKING, Chunk): Turn._chunk,
    (State.ASKING, Ended): Turn._end,
    (State.STREAMING, Chunk): Turn._chunk,
    (State.STREAMING, Ended): Turn._end,
    (State.STREAMING, Failed): Turn._fail,
    (State.KEEPING, Kept): Turn._complete,
    (State.KEEPING, Failed): Turn._fail,
    # A response that failed is shown as failed even where it could not be written down.
    (State.GIVING_UP, Kept): Turn._complete,
    (State.GIVING_UP, Failed): Turn._complete,
}
