"""Asking the upstream and writing down what it answered, while the client already reads it."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from harness.api import sse
from harness.api.errors import error_body
from harness.backends.journal import Journal, Line, Outcome
from harness.backends.protocol import Answer, Call, Upstream
from harness.backends.replay import ReplayBackend
from harness.errors import HarnessError, UpstreamError
from harness.recording.answer import STREAM_TYPE, encode
from harness.recording.key import key, recording_name
from harness.recording.model import Exchange, Json, Request, Response
from harness.recording.normalize import normalizer
from harness.recording.redact import redact
from harness.stores.protocol import RecordingStore

_NOT_RECORDED = (401, 403, 408, 409, 429)
"""An upstream's refusals that say nothing about the request; with every 5xx they are passed on, not kept."""

_LAST_WORDS_SECONDS = 3.0
"""How long streams in flight may go on when everything ends; whoever wants to wait longer has not ended it yet."""

_AGAIN = "Ask again; nothing was recorded."


class RecordBackend:
    """Passes requests to the upstream, hands its answers on normalized, and saves them when they are complete.

    A stream is recorded by a task of its own: a client that leaves early changes nothing. What fails or breaks off is
    passed on and leaves the old recording alone. The n-th answer to the same request in one run gets the n-th name.
    """

    def __init__(self, store: RecordingStore, upstream: Upstream, journal: Journal) -> None:
        self._store, self._upstream, self._journal = store, upstream, journal
        self._saved: Counter[tuple[str | None, str]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, call: Call, done: asyncio.Event | None = None) -> Answer:
        """Ask the upstream. ``done`` is set when nothing more will be written for this call."""
        take = _Take(self, call, key(call.request), done or asyncio.Event())
        try:
            answer = await self._upstream.ask(call)
            if answer.stream is not None:
                return self._stream(answer, answer.stream, take)
            return self._whole(answer, take)
        except HarnessError as error:
            take.finish(error)
            raise

    async def models(self, call: Call) -> Answer:
        # A listing belongs to no test; its key leaves the scope out.
        return await self.send(Call(call.method, call.path, call.raw, None, call.headers))

    def _whole(self, answer: Answer, take: "_Take") -> Answer:
        body = _parse(answer.body or b"")
        if body is None or not is_recordable(answer.status):
            take.finish(_refusal(answer))
            return answer
        body = normalizer(take.key)(body)
        name = take.save(Response(body, status=answer.status))
        return Answer(answer.status, answer.media_type, encode(body), recording=name, headers=answer.headers)

    def _stream(self, answer: Answer, pieces: AsyncIterator[bytes], take: "_Take") -> Answer:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        pump = asyncio.create_task(_Pump(queue, take).run(pieces, answer.status))
        self._tasks.add(pump)
        pump.add_done_callback(self._tasks.discard)
        return Answer(answer.status, STREAM_TYPE, stream=_drain(queue), headers=answer.headers)

    def save(self, call: Call, name: str, response: Response) -> str:
        """Save an answer under the next name of its key, without secrets; the name."""
        known = self._upstream.secrets(call)
        request = Request(call.method, call.path, redact(call.request.body, known), call.scope)
        response = Response(redact(response.body, known), response.is_streaming, response.status)
        turn = (call.scope, name)
        self._saved[turn] += 1
        numbered = recording_name(name, self._saved[turn])
        try:
            self._store.save(Exchange(request, response, provider=self._upstream.provider(call)), numbered)
        except HarnessError:
            self._saved[turn] -= 1
            raise
        return numbered

    def note(self, call: Call, name: str | None, error: HarnessError | None) -> None:
        """Write a line into the journal: recorded under ``name``, or failed with ``error``."""
        if error is not None:
            # An upstream may repeat the key that it refuses; what is noted here is printed.
            error.message = redact(error.message, self._upstream.secrets(call))
        outcome = Outcome.RECORDED if name else Outcome.FAILED
        self._journal.write(Line(outcome, call.scope, call.path, call.request.model, recording=name, error=error))

    def forget(self, scope: str | None) -> None:
        for turn in [turn for turn in self._saved if turn[0] == scope]:
            del self._saved[turn]

    async def close(self) -> None:
        """Wait for the streams in flight, so that what the upstream is still saying is kept."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WORDS_SECONDS)
        for task in self._tasks:
            task.cancel()
        await self._upstream.close()


def is_recordable(status: int) -> bool:
    """Whether an answer of this status says something about the request, rather than about the day."""
    return status not in _NOT_RECORDED and status < 500


@dataclass(slots=True)
class _Take:
    """One call that is being recorded."""

    backend: RecordBackend
    call: Call
    key: str
    done: asyncio.Event

    def save(self, response: Response) -> str:
        name = self.backend.save(self.call, self.key, response)
        self.backend.note(self.call, name, None)
        self.done.set()
        return name

    def finish(self, error: HarnessError) -> None:
        self.backend.note(self.call, None, error)
        self.done.set()


class _Pump:
    """Carries a stream from the upstream to the client's queue and, once complete, to the store."""

    def __init__(self, queue: "asyncio.Queue[bytes | None]", take: _Take) -> None:
        self._queue, self._take = queue, take
        self._normalize: Callable[[Json], Json] = normalizer(take.key)
        self._chunks: list[Json] = []
        self._lines: list[str] = []
        self._finished = False

    async def run(self, pieces: AsyncIterator[bytes], status: int) -> None:
        decoder = sse.Decoder()
        try:
            async for piece in pieces:
                for event in decoder.feed(piece):
                    self._event(event)
            self._complete(status)
        except _Told as error:
            self._take.finish(error)
        except HarnessError as error:
            self._fail(error)
        finally:
            self._take.done.set()
            self._queue.put_nowait(None)

    def _fail(self, error: HarnessError) -> None:
        self._take.finish(error)
        self._queue.put_nowait(sse.encode_json(error_body(error)))

    def _event(self, event: sse.Event) -> None:
        if event.data == "[DONE]":
            self._finished = True
            return
        named = event.name != "message"
        chunk = _parse(event.data.encode())
        if chunk is None:
            raise UpstreamError("The upstream sent an event that is not JSON.", hint=_AGAIN)
        if isinstance(chunk, dict) and chunk.get("error") is not None:
            self._queue.put_nowait(sse.encode_json(chunk, event.name if named else None))
            raise _Told(f"The upstream failed in mid-stream: {chunk['error']}")
        if not _is_chunk(chunk):
            raise UpstreamError(f"The upstream sent what is no chunk: {event.data[:200]}", hint=_AGAIN)
        chunk = self._normalize(chunk)
        data = sse.encode_json(chunk, event.name if named else None)
        self._lines += data.decode().split("\n")[:-1]
        self._chunks.append(chunk)
        self._finished = self._finished or event.name == "message_stop"
        self._queue.put_nowait(data)

    def _complete(self, status: int) -> None:
        if not self._finished and not _all_choices_ended(self._chunks):
            raise UpstreamError("The upstream ended its stream before the answer was complete.", hint=_AGAIN)
        named = any(line.startswith("event:") for line in self._lines)
        body: list[Json] = list(self._lines) if named else self._chunks
        if is_recordable(status):
            self._take.save(Response(body, is_streaming=True, status=status))
        if not named:
            self._queue.put_nowait(sse.DONE)


class _Told(UpstreamError):
    """A failure that the upstream has told the client itself."""


def _is_chunk(value: Json) -> bool:
    """Whether a value can be told from garbage: an object, whose choices, if it has any, are objects."""
    if not isinstance(value, dict):
        return False
    choices = value.get("choices")
    return choices is None or (isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices))


def _all_choices_ended(chunks: list[Json]) -> bool:
    """Whether every choice has its finish reason: how a stream without ``[DONE]`` says that it is complete."""
    ended: dict[int, bool] = defaultdict(bool)
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            ended[choice.get("index", 0)] |= choice.get("finish_reason") is not None
    return bool(ended) and all(ended.values())


async def _drain(queue: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
    while (piece := await queue.get()) is not None:
        yield piece


def _parse(data: bytes) -> Json:
    """JSON, or None for what is not (an upstream has no reason to answer ``null``)."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def _refusal(answer: Answer) -> UpstreamError:
    text = (answer.body or b"").decode(errors="replace")[:300]
    return UpstreamError(f"The upstream answered {answer.status}: {text}", hint="Nothing was recorded.")


class RecordIfMissingBackend:
    """Replays what is recorded and records what is not. Of equal requests at once, one asks and the others wait."""

    def __init__(self, replay: ReplayBackend, record: RecordBackend) -> None:
        self._replay, self._record = replay, record
        self._in_flight: dict[tuple[str | None, str], asyncio.Event] = {}

    async def send(self, call: Call) -> Answer:
        turn = (call.scope, key(call.request))
        while (answer := self._replay.find(call)) is None:
            before = self._in_flight.get(turn)
            if before is None:
                return await self._record_now(call, turn)
            await before.wait()
            self._in_flight.pop(turn, None)
        return answer

    async def _record_now(self, call: Call, turn: tuple[str | None, str]) -> Answer:
        done = self._in_flight[turn] = asyncio.Event()
        return await self._record.send(call, done)

    async def models(self, call: Call) -> Answer:
        if self._replay.has_listing:
            return await self._replay.models(call)
        return await self._record.models(call)

    def forget(self, scope: str | None) -> None:
        self._replay.forget(scope)
        self._record.forget(scope)

    async def close(self) -> None:
        await self._record.close()
