"""Asking the upstream and writing down what it answered, while the client already reads it."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from harness.backends.journal import Journal, Line, Outcome
from harness.backends.pacing import Stopwatch
from harness.backends.protocol import Answer, Call, Upstream
from harness.backends.pump import Pump
from harness.backends.runs import Runs
from harness.errors import HarnessError, UpstreamError
from harness.recording.answer import whole_body
from harness.recording.bodies import response_body
from harness.recording.canonical import JSON_ENDPOINTS, endpoint_of
from harness.recording.headers import normalized
from harness.recording.key import key
from harness.recording.model import Exchange, Response
from harness.recording.normalize import normalizer
from harness.recording.recordable import is_recordable
from harness.recording.redact import BUILT_IN, Redactor, secrets_of
from harness.recording.transcript import transcript

_LAST_WORDS_SECONDS = 3.0
"""How long streams in flight may go on when everything ends; whoever wants to wait longer has not ended it yet."""


class RecordBackend:
    """Passes requests to the upstream, hands its answers on normalized, and saves them when they are complete.

    A stream is recorded by a task of its own: a client that leaves early changes nothing. What fails or breaks off is
    passed on and leaves the old recording alone, unless ``errors`` are recorded too. The n-th answer to the same
    request in one run gets the n-th name. With a ``clock`` (in seconds), recordings say how long the answers took.
    """

    def __init__(
        self,
        runs: Runs,
        upstream: Upstream,
        journal: Journal,
        redactor: Redactor = BUILT_IN,
        *,
        errors: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._runs, self._upstream, self._journal, self._redactor = runs, upstream, journal, redactor
        self._errors, self._clock = errors, clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Before anything is recorded again: the key that is configured is proven. Raises UpstreamError."""
        try:
            await self._check_key(Call("GET", "/v1/models", b""))
        except HarnessError:
            await self.close()
            raise

    async def _check_key(self, call: Call) -> None:
        # Where errors are recorded too, a refusal is one of them.
        if not self._errors:
            await self._upstream.check_key(call)

    async def send(self, call: Call, done: asyncio.Event | None = None) -> Answer:
        """Ask the upstream. ``done`` is set when nothing more will be written for this call."""
        take = _Take(self, call, self.key(call), done or asyncio.Event(), records_errors=self._errors)
        try:
            await self._check_key(call)
            take.watch = Stopwatch(self._clock) if self._clock else None
            answer = await self._upstream.ask(call)
            if not self._errors and not is_recordable(answer.status):
                take.finish(_refusal(answer))
                return answer
            return await self._whole(answer, take) if answer.stream is None else self._stream(answer, take)
        except HarnessError as error:
            take.finish(error)
            raise

    async def models(self, call: Call) -> Answer:
        # A listing belongs to no test; its key leaves the scope out.
        return await self.send(replace(call, scope=None))

    async def _whole(self, answer: Answer, take: "_Take") -> Answer:
        must_be_json = endpoint_of(take.call.path) in JSON_ENDPOINTS and answer.status < 400
        said_type = "" if _has_no_body(take.call.method, answer.status) else answer.media_type
        try:
            body, media_type = response_body(answer.body or b"", said_type, must_be_json=must_be_json)
        except ValueError:
            take.finish(_refusal(answer))
            return answer
        headers = normalized(answer.headers, take.key)
        body = normalizer(take.key)(body)
        timings = None
        if take.watch:
            take.watch.lap()
            timings = take.watch.timings()
        response = Response(body, status=answer.status, media_type=media_type, headers=headers, timings=timings)
        name = await take.save(response)
        said_type, said = whole_body(response)
        return Answer(answer.status, said_type, said, recording=name, headers=headers)

    def _stream(self, answer: Answer, take: "_Take") -> Answer:
        said = transcript(take.call.path, answer.media_type, normalizer(take.key))
        pump = Pump(take, answer, said, normalized(answer.headers, take.key), take.watch)
        task = asyncio.create_task(pump.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return pump.answer()

    async def save(self, call: Call, key: str, response: Response) -> str:
        """Save an answer under the next name of its key, without secrets; the name."""
        exchange = Exchange(call.request, response, provider=self._upstream.provider(call))
        return await self._runs.save(key, self._redactor.exchange(exchange, self._secrets(call)))

    def fail(self, call: Call, key: str, error: HarnessError) -> None:
        """Note that a request brought nothing to record."""
        # An upstream may repeat the key that it refuses; what is noted here is printed.
        error.message = self._redactor.redact(error.message, self._secrets(call))
        self._runs.failed(key, call.request)
        self._journal.write(Line(Outcome.FAILED, call.scope, call.path, call.request.model, error=error))

    def key(self, call: Call) -> str:
        """The key of what would be written down for a call: of its request without secrets."""
        return key(self._redactor.request(call.request, self._secrets(call)), self._redactor)

    def _secrets(self, call: Call) -> list[str]:
        return [*self._upstream.secrets(call), *secrets_of(call.headers)]

    def forget(self, scope: str | None) -> None:
        self._runs.end(scope)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        self._runs.abandon(scopes)

    async def close(self) -> None:
        """Wait for the streams in flight, so that what the upstream is still saying is kept."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WORDS_SECONDS)
        if self._tasks:
            self.abandon()
        for task in self._tasks:
            task.cancel()
        self._runs.end_all()
        await self._upstream.close()


@dataclass(slots=True)
class _Take:
    """One call that is being recorded."""

    backend: RecordBackend
    call: Call
    key: str
    done: asyncio.Event
    records_errors: bool = False
    watch: Stopwatch | None = None

    async def save(self, response: Response) -> str:
        name = await self.backend.save(self.call, self.key, response)
        self.done.set()
        return name

    def finish(self, error: HarnessError) -> None:
        self.backend.fail(self.call, self.key, error)
        self.done.set()


def _has_no_body(method: str, status: int) -> bool:
    """RFC 9110, section 6.4.1."""
    return method == "HEAD" or status in (204, 304)


def _refusal(answer: Answer) -> UpstreamError:
    text = (answer.body or b"").decode(errors="replace")[:300]
    return UpstreamError(f"The upstream answered {answer.status}: {text}", hint="Nothing was recorded.")
