"""Asking an upstream for what is to be recorded, again where that helps: what passes is waited for, and no longer."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from harness.backends.ids import Ids, Recorded
from harness.backends.journal import Journal
from harness.backends.protocol import Call, Upstream
from harness.backends.record import RecordBackend
from harness.errors import HarnessError, UpstreamError
from harness.recording.model import Exchange, Request
from harness.recording.recordable import is_recordable
from harness.recording.redact import Redactor

_LONGEST_WAIT = 900.0
"""Seconds. An upstream that wants to be left alone for longer is asked another day."""
_LONGEST_STEP = 60.0
_FOREVER = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
"""Codes of a 429 that no waiting helps."""


class Final(UpstreamError):
    """What asking again does not help."""


class Refused(Final):
    """The upstream takes no more of these requests, whatever they are: a bad key, an empty account."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How an asker works. ``retries`` is how often a request is sent again; ``errors`` and ``clock`` as in recording.

    ``chance`` gives numbers from 0 to 1, ``sleep`` waits for seconds, ``waiting`` is told for how many, and why.
    """

    retries: int
    chance: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    errors: bool = False
    clock: Callable[[], float] | None = None
    waiting: Callable[[float, str], None] = lambda *_: None


@dataclass(slots=True)
class _Kept:
    """What one attempt recorded, if anything: a Keeper that only holds it."""

    exchange: Exchange | None = None

    async def save(self, key: str, exchange: Exchange) -> str:
        self.exchange = exchange
        return key

    def failed(self, key: str, request: Request) -> None:
        """The journal tells why."""

    def end(self, scope: str | None) -> None:
        """There are no sequences here."""

    def end_all(self) -> None:
        """There are no sequences here."""

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """There are no sequences here."""


class Asker:
    """Gets the exchange of a call as recording it would make it: normalized, and without secrets.

    What may pass (408, 409, 429, 5xx, no connection, a stream that broke off) is tried again, later each time, and not
    before ``Retry-After``, which then holds for every other request too. Calls may quote ids of what is ``recorded``.
    """

    def __init__(self, redactor: Redactor, recorded: Recorded, how: Asked) -> None:
        self._redactor, self._how = redactor, how
        self._ids = defaultdict[str, Ids](lambda: Ids(recorded, redactor))
        self._not_before = 0.0

    async def ask(self, call: Call, upstream: Upstream, part: str = "") -> Exchange:
        """The exchange. Of each ``part``, ids are counted as in a run of its own.

        Raises Refused, and UpstreamError for what went wrong to the last.
        """
        attempt = 0
        while True:
            await self._wait()
            is_last = attempt >= self._how.retries
            kept, status, headers, error = await self._attempt(call, upstream, self._ids[part], is_last=is_last)
            if kept is not None:
                return kept
            attempt += 1
            if isinstance(error, Final):
                raise error
            if status == 401 or _is_for_ever(error.message):
                raise Refused(error.message, hint=error.hint)
            delay = None if is_last else self._delay(status, headers, attempt)
            if delay is None:
                raise error
            self._how.waiting(delay, error.message)
            if status == 429:
                self._not_before = max(self._not_before, time.monotonic() + delay)
            await self._how.sleep(delay)

    async def _wait(self) -> None:
        rest = self._not_before - time.monotonic()
        if rest > 0:
            await self._how.sleep(rest)

    async def _attempt(
        self, call: Call, upstream: Upstream, ids: Ids, *, is_last: bool
    ) -> tuple[Exchange | None, int | None, Mapping[str, str], HarnessError]:
        kept, journal, done = _Kept(), Journal(), asyncio.Event()
        errors = self._how.errors and is_last
        backend = RecordBackend(kept, ids, upstream, journal, self._redactor, errors=errors, clock=self._how.clock)
        status: int | None = None
        headers: Mapping[str, str] = {}
        failure: HarnessError = UpstreamError("The upstream's answer was not complete.")
        try:
            answer = await backend.send(call, done=done.set)
            status, headers = answer.status, answer.headers
            if answer.stream is not None:
                async for _ in answer.stream:
                    pass
            await done.wait()
        except HarnessError as error:
            # What broke off, or never began, has no status that says anything.
            status, failure = error.http_status if error.http_status in (401, 403) else None, error
        told = next((line.error for line in reversed(journal.lines) if line.error is not None), None)
        is_answer = status is not None and is_recordable(status)
        return kept.exchange, None if is_answer else status, headers, told or failure

    def _delay(self, status: int | None, headers: Mapping[str, str], attempt: int) -> float | None:
        """Seconds until the next attempt; None where there is to be none."""
        if status in (401, 403) or headers.get("x-should-retry", "").lower() == "false":
            return None
        step = min(_LONGEST_STEP, 0.5 * 2**attempt) * (0.75 + 0.5 * self._how.chance())
        told = retry_after(headers, time.time())
        if told is not None and told > _LONGEST_WAIT:
            return None
        return step if told is None else max(told, 0.0)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that ``Retry-After`` (or ``retry-after-ms``) asks for, a date against ``now``; None where none."""
    exact, said = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if exact is not None:
            return float(exact) / 1000
        return None if said is None else float(said)
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said or "").timestamp() - now)
    except (TypeError, ValueError):
        return None


def _is_for_ever(message: str) -> bool:
    return any(code in message for code in _FOREVER)
