"""Asking the upstream and writing down what it answered, while the client already reads it."""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from harness.backends.apart import apart
from harness.backends.ids import Exchanged, Ids
from harness.backends.journal import Journal, Line, Outcome
from harness.backends.pacing import Stopwatch
from harness.backends.protocol import Answer, Call, Upstream
from harness.backends.providers import KEY_WANTED
from harness.backends.pump import Pump
from harness.errors import DO_NOT_RETRY, HarnessError, UpstreamError
from harness.recording.answer import whole_body
from harness.recording.batch_files import edited_results
from harness.recording.bodies import no_body, response_body
from harness.recording.canonical import JSON_ENDPOINTS, endpoint_of
from harness.recording.headers import normalized
from harness.recording.key import key_of_clean
from harness.recording.model import Exchange, Request, Response
from harness.recording.near_miss import record_command
from harness.recording.normalize import normalizer
from harness.recording.recordable import is_recordable, says_failure
from harness.recording.redact import BUILT_IN, Redactor, secrets_of
from harness.recording.transcript import transcript

_NOT_THERE = (404, 410)
_NOT_FOUND = re.compile(r"not[ _]found|no such|does not exist", re.IGNORECASE)
"""What a 400 says of an id that is not there (OpenAI's ``previous_response_not_found``)."""

_LAST_WORDS_SECONDS = 3.0
"""How long streams in flight may go on when everything ends; whoever wants to wait longer has not ended it yet."""


class Keeper(Protocol):
    """Where exchanges go that were recorded (``harness.backends.runs.Runs``, as a rule)."""

    async def save(self, key: str, exchange: Exchange) -> str:
        """Keep an exchange; its name. Raises HarnessError when it is not kept."""
        ...

    def failed(self, key: str, request: Request) -> None:
        """A request brought nothing to record."""
        ...

    def end(self, scope: str | None) -> None: ...

    def end_all(self) -> None: ...

    def abandon(self, scopes: Collection[str | None] | None = None) -> None: ...


class RecordBackend:
    """Passes requests to the upstream, hands its answers on normalized, and saves them when they are complete.

    A stream is recorded by a task of its own: a client that leaves early changes nothing. What fails or breaks off is
    passed on and leaves the old recording alone, unless ``errors`` are recorded too. The n-th answer to the same
    request in one run gets the n-th name. With a ``clock`` (in seconds), recordings say how long the answers took.
    """

    def __init__(
        self,
        runs: Keeper,
        ids: Ids,
        upstream: Upstream,
        journal: Journal,
        redactor: Redactor = BUILT_IN,
        *,
        errors: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._runs, self._ids, self._upstream, self._journal = runs, ids, upstream, journal
        self._redactor = redactor
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
        written = await apart(call, self._written)
        ids = self._ids.exchange(call, written.key, self._upstream.provider(call), self._secrets(call))
        take = _Take(self, call, written, ids, done or asyncio.Event(), records_errors=self._errors)
        try:
            await self._check_key(call)
            take.watch = Stopwatch(self._clock) if self._clock else None
            answer = await self._ask(take)
            if not self._errors and not is_recordable(answer.status):
                take.finish(_refusal(answer))
                return answer
            return await self._whole(answer, take) if answer.stream is None else self._stream(answer, take)
        except HarnessError as error:
            take.finish(error)
            raise
        except BaseException:
            # Whoever waits for the answer to an equal request is not to wait for ever.
            take.done.set()
            raise

    async def _ask(self, take: "_Take") -> Answer:
        """The upstream's answer. Raises UpstreamError where it does not have what recordings say that it has."""
        answer = await self._upstream.ask(take.ids.call)
        if gone := _gone(answer, take.ids.recalled):
            raise _is_gone(gone, answer, take)
        return answer

    async def models(self, call: Call) -> Answer:
        # A listing belongs to no test; its key leaves the scope out.
        return await self.send(replace(call, scope=None))

    async def _whole(self, answer: Answer, take: "_Take") -> Answer:
        must_be_json = endpoint_of(take.call.path) in JSON_ENDPOINTS and answer.status < 400
        normalize = normalizer(take.ids.answer)
        try:
            if _has_no_body(take.call.method, answer.status):
                body, media_type = no_body(answer.media_type)
            else:
                raw = edited_results(answer.body or b"", normalize)
                body, media_type = response_body(raw, answer.media_type, must_be_json=must_be_json)
        except ValueError:
            take.finish(_refusal(answer))
            return answer
        if must_be_json and not self._errors and says_failure(body):
            take.finish(_refusal(answer))
            return answer
        headers = normalized(answer.headers, take.written.key)
        body = normalize(body)
        timings = None
        if take.watch:
            take.watch.lap()
            timings = take.watch.timings()
        response = Response(body, status=answer.status, media_type=media_type, headers=headers, timings=timings)
        name = await take.save(response)
        said_type, said = whole_body(response)
        return Answer(answer.status, said_type, said, recording=name, headers=headers)

    def _stream(self, answer: Answer, take: "_Take") -> Answer:
        said = transcript(take.call.path, answer.media_type, normalizer(take.ids.answer))
        pump = Pump(take, answer, said, normalized(answer.headers, take.written.key), take.watch)
        task = asyncio.create_task(pump.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: take.done.set())
        return pump.answer()

    async def save(self, call: Call, key: str, response: Response, ids: Mapping[str, str]) -> str:
        """Save an answer under the next name of its key, without secrets; the name."""
        exchange = Exchange(call.request, response, provider=self._upstream.provider(call), ids=ids)
        # Of a large answer this takes its time, in which others are to be answered.
        clean = await asyncio.to_thread(self._redactor.exchange, exchange, self._secrets(call))
        return await self._runs.save(key, clean)

    def replayed(self, call: Call, recording: str) -> None:
        """A call was answered by a recording: its client knows the ids in it, and may go on with them here."""
        self._ids.replayed(call, recording, self._upstream.provider(call))

    def fail(self, call: Call, written: "_Written", error: HarnessError) -> None:
        """Note that a request brought nothing to record."""
        # An upstream may repeat the key that it refuses; what is noted here is printed.
        error.message = self._redactor.redact(error.message, self._secrets(call))
        request = written.request
        self._runs.failed(written.key, request)
        self._journal.write(Line(Outcome.FAILED, call.scope, request.path, request.model, error=error))

    async def key(self, call: Call) -> str:
        """The key of what would be written down for a call: of its request without secrets."""
        return (await apart(call, self._written)).key

    def _written(self, call: Call) -> "_Written":
        request = self._redactor.request(call.request, self._secrets(call))
        return _Written(request, key_of_clean(request))

    def _secrets(self, call: Call) -> list[str]:
        return [*self._upstream.secrets(call), *secrets_of(call.headers)]

    def forget(self, scope: str | None) -> None:
        self._runs.end(self._redactor.redact(scope))
        self._ids.forget(scope)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        self._runs.abandon(scopes if scopes is None else [self._redactor.redact(scope) for scope in scopes])

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


class _Written(NamedTuple):
    """A request as a recording of it has it, without secrets, and its key."""

    request: Request
    key: str


@dataclass(slots=True)
class _Take:
    """One call that is being recorded."""

    backend: RecordBackend
    call: Call
    written: _Written
    ids: Exchanged
    done: asyncio.Event
    records_errors: bool = False
    watch: Stopwatch | None = None

    async def save(self, response: Response) -> str:
        name = await self.backend.save(self.call, self.written.key, response, self.ids.pairs)
        self.done.set()
        return name

    def finish(self, error: HarnessError) -> None:
        self.ids.give_back()
        self.backend.fail(self.call, self.written, error)
        self.done.set()


def _has_no_body(method: str, status: int) -> bool:
    """RFC 9110, section 6.4.1."""
    return method == "HEAD" or status in (204, 304)


def _refusal(answer: Answer) -> UpstreamError:
    text = (answer.body or b"").decode(errors="replace")[:300]
    hint = f"Nothing was recorded. {KEY_WANTED}" if answer.status == 401 else "Nothing was recorded."
    return UpstreamError(f"The upstream answered {answer.status}: {text}", hint=hint)


def _gone(answer: Answer, recalled: Mapping[str, str]) -> dict[str, str]:
    """Which ids that recordings alone know the upstream does not: those that it says, else, where it says none, all."""
    text = (answer.body or b"").decode(errors="replace") if 400 <= answer.status < 500 else ""
    if answer.status not in _NOT_THERE and not _NOT_FOUND.search(text):
        return {}
    return {name: upstream_id for name, upstream_id in recalled.items() if upstream_id in text} or dict(recalled)


def _is_gone(gone: Mapping[str, str], answer: Answer, take: _Take) -> UpstreamError:
    named = ", ".join(f"{name} (recorded as {upstream_id})" for name, upstream_id in gone.items())
    command = record_command(take.call.request).replace("record-if-missing", "record")
    return UpstreamError(
        f"The upstream does not have {named} any more. {_refusal(answer).message}",
        hint=f"Nothing was recorded. Record again what brought it, with all that follows from it:  {command}",
        http_status=answer.status,
        type="invalid_request_error",
        code="upstream_id_gone",
        headers=DO_NOT_RETRY,
    )
