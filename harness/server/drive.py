"""Running a turn: its commands carried out, in order, and what came of them fed back."""

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from harness.api import sse
from harness.api.mcp import servers
from harness.api.refusals import broken_off, refusal
from harness.backends.protocol import Answer, Backend, Call
from harness.errors import HarnessError, NotFound, UpstreamError
from harness.recording.bodies import base_type
from harness.recording.chunks import split
from harness.recording.model import STREAM_TYPE
from harness.server.mcp import McpServers
from harness.stores.protocol import TurnStore
from harness.turn.commands import (
    Ask,
    Begin,
    Called,
    CallTool,
    Chunk,
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
from harness.turn.machine import Plan, Turn

CHAT_PATH = "/v1/chat/completions"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Driver:
    """Drives turns over a backend and a state store. ``clock`` gives the time of an ending, in Unix seconds.

    ``recordings`` gathers the names of the recordings that answered; ``failure`` is why the last turn failed in the
    middle, if it did.
    """

    backend: Backend
    state: TurnStore
    scope: str | None
    headers: dict[str, str]
    clock: Callable[[], int]
    recordings: list[str] = field(default_factory=list)
    failure: HarnessError | None = None

    async def drive(self, plan: Plan, emit: Callable[[dict[str, Any]], Awaitable[None]]) -> dict[str, Any]:
        """Run a turn to its end; each event goes to ``emit``. The Response as it ended.

        Raises HarnessError when there is nothing to ask, or the backend refuses, before anything was emitted.
        """
        turn = Turn(plan)
        mcp = McpServers(self.backend, servers(plan.wanted.tools), self.scope, self.recordings)
        arriving: AsyncGenerator[Input, None] | None = _just(Begin())
        try:
            while arriving is not None:
                arriving = await self._feed(turn, mcp, arriving, emit)
        finally:
            mcp.leave()
        self.failure = turn.failure
        return turn.response

    async def _feed(
        self,
        turn: Turn,
        mcp: McpServers,
        arriving: AsyncGenerator[Input, None],
        emit: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> AsyncGenerator[Input, None] | None:
        """Feed the turn with what arrives, until it commands something else to wait for: that is what comes back."""
        async with aclosing(arriving):
            async for what in arriving:
                for command in turn.receive(what):
                    match command:
                        case Emit(event):
                            await emit(event)
                        case Ask(body):
                            return self._ask(body)
                        case ListTools(label):
                            return _list(mcp, label)
                        case CallTool():
                            return self._call(mcp, command)
                        case Keep():
                            return self._keep(turn.plan, command)
                        case Refuse(error):
                            raise error
        return None

    async def _ask(self, body: dict[str, Any]) -> AsyncGenerator[Input, None]:
        call = Call("POST", CHAT_PATH, json.dumps(body).encode(), self.scope, self.headers)
        try:
            answer = await self.backend.send(call)
            if answer.status >= 400:
                raise refusal(answer.status, answer.body or b"", answer.headers)
            if answer.recording:
                self.recordings.append(answer.recording)
            async with aclosing(_chunks(answer)) as chunks:
                async for chunk in chunks:
                    yield Chunk(chunk)
            yield Ended(self.clock())
        except HarnessError as error:
            yield Failed(error)

    async def _call(self, mcp: McpServers, command: CallTool) -> AsyncGenerator[Input, None]:
        try:
            output, error = await mcp.call(command)
        except HarnessError as failure:
            yield Failed(failure)
        else:
            yield Called(output, error, self.clock())

    async def _keep(self, plan: Plan, command: Keep) -> AsyncGenerator[Input, None]:
        try:
            kept = await self.state.save_turn(
                command.response,
                input_items=[*plan.history, *plan.input_items],
                conversation_id=plan.conversation_id if command.append else None,
                new_items=command.new_items,
                keep=plan.wanted.keeps,
            )
        except HarnessError as error:
            yield Failed(error)
        except Exception:  # noqa: BLE001 - a client that reads a stream gets its end, whatever the database says
            _log.exception("%s could not be written down", command.response["id"])
            yield Failed(HarnessError("The response could not be written down.", hint="The harness's log says why."))
        else:
            gone = NotFound(f"Conversation with id '{plan.conversation_id}' was deleted during the turn.")
            yield Kept() if kept else Failed(gone)


async def _list(mcp: McpServers, label: str) -> AsyncGenerator[Input, None]:
    try:
        yield Listed(await mcp.tools(label))
    except HarnessError as error:
        yield Failed(error)


async def _just(what: Input) -> AsyncGenerator[Input, None]:
    yield what


async def _chunks(answer: Answer) -> AsyncGenerator[dict[str, Any], None]:
    """The chunks of an answer, whether it is a stream, a prepared stream or a whole completion."""
    if base_type(answer.media_type) != STREAM_TYPE:
        for chunk in split(_completion(answer.body or b"")):
            yield chunk
        return
    decoder = sse.Decoder()
    ended = False
    async with aclosing(_pieces(answer)) as pieces:
        async for piece in pieces:
            for event in decoder.feed(piece):
                if event.data == "[DONE]":
                    ended = True
                    continue
                chunk = _checked(_object(event.data.encode()))
                ended = ended or _says_the_end(chunk)
                yield chunk
    if not ended:
        raise UpstreamError(
            "The upstream ended its stream before the answer was complete.", hint="Ask again.", headers={}
        )


def _says_the_end(chunk: dict[str, Any]) -> bool:
    """Whether a chunk has a finish reason: how a stream without ``[DONE]`` is known to be complete."""
    choices = chunk.get("choices")
    rows = choices if isinstance(choices, list) else []
    return any(isinstance(choice, dict) and choice.get("finish_reason") for choice in rows)


async def _pieces(answer: Answer) -> AsyncGenerator[bytes, None]:
    if answer.stream is None:
        yield answer.body or b""
        return
    try:
        async for piece in answer.stream:
            yield piece
    finally:
        if isinstance(answer.stream, AsyncGenerator):
            await answer.stream.aclose()


def _completion(data: bytes) -> dict[str, Any]:
    """A whole completion. Some upstreams say that they failed in an answer that looks like one."""
    completion = _checked(_object(data))
    if not completion.get("choices"):
        raise UpstreamError(
            f"The upstream sent what is no chat completion: {data.decode(errors='replace')[:300]}", hint="Ask again."
        )
    return completion


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UpstreamError("The upstream sent what is no chat completion.", hint="Ask again.")
    return value


def _checked(chunk: dict[str, Any]) -> dict[str, Any]:
    """The chunk, unless it is the error with which an upstream ends a stream that failed."""
    error = chunk.get("error")
    if error is None:
        return chunk
    raise broken_off(error)
