"""Turns played from scripts: chunks in, a line for each event out."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.api.create_response import parse_create
from harness.errors import UpstreamError
from harness.turn.commands import Ask, Begin, Chunk, Command, Emit, Ended, Failed, Input, Keep, Kept
from harness.turn.ids import Ids
from harness.turn.machine import Plan, State, Turn

HI = {
    "id": "msg_hi",
    "type": "message",
    "role": "user",
    "status": "completed",
    "content": [{"type": "input_text", "text": "Hi"}],
}

BROKEN = UpstreamError("The upstream broke off.")


def new_turn(history: Iterable[dict[str, Any]] = (), conversation_id: str | None = None, **wanted: Any) -> Turn:
    request = parse_create({"model": "m", "input": "Hi"} | wanted)
    return Turn(Plan(request, list(history), [HI], conversation_id, Ids("seed"), 1000))


def chunk(finish: str | None = None, index: int = 0, logprobs: Any = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def function(index: int | None, arguments: str = "", **more: str) -> Any:
    """The piece of a function call, as a chunk's delta; ``id`` and ``name`` where it is the first."""
    inner = {"arguments": arguments} | ({"name": more["name"]} if "name" in more else {})
    call = {"index": index, "function": inner} | ({"id": more["id"], "type": "function"} if "id" in more else {})
    return {"tool_calls": [call]}


def custom(index: int, text: str = "", **more: str) -> dict[str, Any]:
    inner = {"input": text} | ({"name": more["name"]} if "name" in more else {})
    call = {"index": index, "custom": inner} | ({"id": more["id"], "type": "custom"} if "id" in more else {})
    return {"tool_calls": [call]}


@dataclass
class Played:
    """What came of a script: the commands, the events as they were when they were emitted."""

    commands: list[Command] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __add__(self, later: "Played") -> "Played":
        return Played([*self.commands, *later.commands], [*self.events, *later.events])

    @property
    def lines(self) -> list[str]:
        return [line(event) for event in self.events]

    @property
    def final(self) -> dict[str, Any]:
        response: dict[str, Any] = self.events[-1]["response"]
        return response

    @property
    def kept(self) -> list[Keep]:
        return [command for command in self.commands if isinstance(command, Keep)]

    @property
    def asked(self) -> list[Ask]:
        return [command for command in self.commands if isinstance(command, Ask)]


def feed(turn: Turn, inputs: Iterable[Input]) -> Played:
    """Feed a turn. Fails when an event changes after it was emitted."""
    played = Played()
    emitted = []
    for what in inputs:
        for command in turn.receive(what):
            played.commands.append(command)
            if isinstance(command, Emit):
                emitted.append(command.event)
                played.events.append(copy.deepcopy(command.event))
    assert emitted == played.events, "an event changed after it was emitted"
    return played


def play(chunks: Iterable[dict[str, Any]], turn: Turn | None = None) -> Played:
    """A whole turn in which nothing fails."""
    turn = turn or new_turn()
    played = feed(turn, [Begin(), *map(Chunk, chunks), Ended(1007), Kept()])
    assert turn.state is State.ENDED
    return played


def play_broken(chunks: Iterable[dict[str, Any]], turn: Turn | None = None) -> Played:
    """A turn whose upstream breaks off after these chunks."""
    turn = turn or new_turn()
    played = feed(turn, [Begin(), *map(Chunk, chunks), Failed(BROKEN), Kept()])
    assert turn.state is State.ENDED
    return played


def line(event: dict[str, Any]) -> str:
    """An event in a line: its type, its place, what it says."""
    kind = event["type"].removeprefix("response.")
    if "response" in event:
        return str(kind)
    place = str(event["output_index"]) + (f".{event['content_index']}" if "content_index" in event else "")
    if "item" in event:
        item = event["item"]
        return f"{kind} {place} {item['type']} {item.get('status', '')}".rstrip()
    said = event.get("part", event)
    text = next((said[name] for name in ("delta", "text", "refusal", "arguments", "input") if name in said), "")
    return f"{kind} {place} {text}".rstrip()
