"""Asking the upstream and writing down what it answered, while the client already reads it."""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from harness.backends.apart import apart
from harness.backends.ending import ended
from harness.backends.ids import Exchanged, Ids
from harness.backends.journal import Journal, Line, Outcome
from harness.backends.pacing import Stopwatch
from harness.backends.protocol import Answer, Call, Upstream
from harness.backends.providers import KEY_WANTED
from harness.backends.pump import Pump
from harness.backends.written import Written, written
from harness.errors import DO_NOT_RETRY, HarnessError, UpstreamError
from harness.recording.answer import whole_body
from harness.recording.batch_files import edited_results
from harness.recording.bodies import no_body, response_body
from harness.recording.canonical import JSON_ENDPOINTS, endpoint_of
from harness.recording.headers import normalized
from harness.recording.model import Exchange, Request, Response
from harness.recording.near_miss import record_command
from harness.recording.normalize import normalizer
from harness.recording.recordable import is_recordable, says_failure
from harness.recording.redact import BUILT_IN, Redactor, secrets_of
from harness.recording.transcript import transcript

_NOT_THERE = (404, 410)
_NOT_FOUND = re.compile(r"not[ _]found|no such|does not exist", re.IGNORECASE)
"""What a 400 says of an id that is not there (OpenAI's ``previous_response_not_found``)."""

_HELD_SECONDS = 1.0
"""How long a request waits for what is said of its key: its own answer will say it, too."""

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
        await self._check_key(Call("GET", "/v1/models", b""))

    async def _check_key(self, call: Call, patience: float | None = None) -> None:
        # Where errors are recorded too, a refusal is one of them.
        if not self._errors:
            await self._upstream.check_key(call, patience)

    async def send(self, call: Call, asked: Written | None = None, done: Callable[[], None] = lambda: None) -> Answer:
        """Ask the upstream. ``asked`` is what ``written`` says of the call, where somebody wanted to know before.

        ``done`` is called, maybe more than once, when nothing more will be written for this call.
        """
        try:
            asked = asked or await self.written(call)
            ids = await self._ids.exchange(call, asked.key, self._upstream.provider(call), self._secrets(call))
        except BaseException:
            done()
            raise
        take = _Take(self, call, asked, ids, done, records_errors=self._errors)
        try:
            await self._check_key(call, _HELD_SECONDS)
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
            done()
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
        task.add_done_callback(lambda _: take.done())
        return pump.answer()

    async def save(self, call: Call, asked: Written, response: Response, ids: Mapping[str, str]) -> str:
        """Save an answer under the next name of its key, without secrets; the name."""
        exchange = Exchange(asked.request, response, provider=self._upstream.provider(call), ids=ids)
        # Of a large answer this takes its time, in which others are to be answered.
        clean = await asyncio.to_thread(self._redactor.answered, exchange, self._secrets(call))
        return await self._runs.save(asked.key, clean)

    async def replayed(self, call: Call, recording: str) -> None:
        """A call was answered by a recording: its client knows the ids in it, and may go on with them here."""
        await self._ids.replayed(call, recording, self._upstream.provider(call))

    def fail(self, call: Call, written: Written, error: HarnessError) -> None:
        """Note that a request brought nothing to record."""
        # An upstream may repeat the key that it refuses; what is noted here is printed.
        error.message = self._redactor.redact(error.message, self._secrets(call))
        request = written.request
        self._runs.failed(written.key, request)
        self._journal.write(Line(Outcome.FAILED, call.scope, request.path, request.model, error=error))

    async def written(self, call: Call) -> Written:
        """What would be written down for a call: its request without secrets, and its key."""
        return await apart(call, lambda call: written(self._redactor.request(call.request, self._secrets(call))))

    def _secrets(self, call: Call) -> list[str]:
        return [*self._upstream.secrets(call), *secrets_of(call.headers)]

    def forget(self, scope: str | None) -> None:
        self._runs.end(self._redactor.redact(scope))
        self._ids.forget(scope)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        self._runs.abandon(scopes if scopes is None else [self._redactor.redact(scope) for scope in scopes])

    async def close(self, grace: float | None = None) -> None:
        """Wait for the streams in flight, so that what the upstream is still saying is kept."""
        if not await ended(self._tasks, _LAST_WORDS_SECONDS if grace is None else grace):
            self.abandon()
        self._runs.end_all()
        await self._upstream.close(grace)


@dataclass(slots=True)
class _Take:
    """One call that is being recorded."""

    backend: RecordBackend
    call: Call
    written: Written
    ids: Exchanged
    done: Callable[[], None]
    records_errors: bool = False
    watch: Stopwatch | None = None

    async def save(self, response: Response) -> str:
        name = await self.backend.save(self.call, self.written, response, self.ids.pairs)
        self.done()
        return name

    def finish(self, error: HarnessError) -> None:
        self.ids.give_back()
        self.backend.fail(self.call, self.written, error)
        self.done()


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
