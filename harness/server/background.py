"""Responses in the background: tasks of the server that run turns, and whoever follows their events.

Everything that a client sees of one comes from the state: whichever server is asked, the answer is the same. A run
holds a lease of its response's id; one that is running in the state and that nobody holds was abandoned by a server
that is gone, and whoever looks at it first sets it down as failed.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeAlias

from harness.api.background import CANCELLED, abandoned, failure, is_last, is_running, last_event
from harness.errors import HarnessError
from harness.server.leases import Keeper, Lease, lease
from harness.stores.protocol import Object, StateStore

GRACE_SECONDS = 4.0
"""How long what runs may take to finish once the server is told to stop."""

HEAD_START_SECONDS = 0.25
"""How long a run is queued. One that is cancelled at once has asked nobody: so it is in record mode, and in replay,
where the whole turn would be over before a client could say so."""

POLL_SECONDS = 0.2
"""How often the state is asked for news of a run; what this server's own runs do is known at once."""

_WATCH_SECONDS = 1.0
"""How soon a run notices that another server cancelled or deleted it."""

_log = logging.getLogger(__name__)

Work: TypeAlias = Callable[["Run"], Awaitable[Any]]
"""Drives a turn with a run as its TurnStore and with its ``emit``."""


class Run:
    """One response on its way: what its turn emits and leaves goes into the state. Known to ``runs`` while it lasts."""

    def __init__(self, state: StateStore, runs: "dict[str, Run]") -> None:
        self.accepted: asyncio.Future[Object] = asyncio.get_running_loop().create_future()
        self.news = asyncio.Event()
        self.input_items: Sequence[Object] = ()
        self.conversation: Lease | None = None
        self._state, self._runs = state, runs
        self._task: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._unwritten: list[Object] = []
        self._has_ended = False
        self._held = AsyncExitStack()

    async def start(self, work: Work) -> Object:
        """Begin the work; the response as it was created. Raises what the work raised before that."""
        self._task = asyncio.create_task(self._run(work))
        return await asyncio.shield(self.accepted)

    async def _run(self, work: Work) -> None:
        try:
            async with self._held:
                await self._carry_out(work)
        finally:
            # For whoever waits for a response that will not come, or for news of one.
            self.accepted.cancel()
            self.news.set()

    async def _carry_out(self, work: Work) -> None:
        try:
            await work(self)
        except Exception as error:  # noqa: BLE001 - whatever it is, a response must not stay in progress
            if self.accepted.done():
                await self._failed(error)
            else:
                self.accepted.set_exception(error)
        else:
            if not self._has_ended:
                await self._failed(HarnessError("The response could not be written down.", hint="See the log."))

    @property
    def _id(self) -> str:
        return str(self.accepted.result()["id"])

    async def _failed(self, error: Exception) -> None:
        if not isinstance(error, HarnessError):
            _log.error("%s failed", self._id, exc_info=error)
            error = HarnessError("The harness failed on this response.", hint="Its log has the details.")
        try:
            await self._state.end_response(self._id, failure(error))
        except Exception:  # noqa: BLE001 - nothing is left to do
            # Its lease is given back: whoever looks at it next says that it was abandoned.
            _log.exception("%s could not be set down as failed", self._id)

    async def emit(self, event: Object) -> None:
        """Keep an event. With the first the response is there; the last is not kept: the response itself says it."""
        if not self.accepted.done():
            await self._begin(event)
        elif not is_last(event):
            self._unwritten.append(event)
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(self._write())
        if event["type"] == "response.queued":
            await asyncio.sleep(HEAD_START_SECONDS)

    async def _begin(self, created: Object) -> None:
        response = created["response"]
        await self._held.enter_async_context(lease(self._state, response["id"]))
        await self._state.begin_response(response, input_items=self.input_items, events=[created])
        self.accepted.set_result(response)
        self._runs[self._id] = self
        self._held.callback(self._runs.pop, self._id, None)
        watching = asyncio.create_task(self._watch())
        self._held.callback(watching.cancel)

    async def _write(self) -> None:
        """Write what there is to write; while one batch is written, the next one gathers."""
        while self._unwritten:
            batch, self._unwritten = self._unwritten, []
            shown = next((event["response"] for event in reversed(batch) if "response" in event), None)
            try:
                runs = await self._state.add_events(self._id, batch, shown)
            except Exception:  # noqa: BLE001 - what a database says to a batch need not be what it says to the end
                # The next batch takes them along, or the turn's end.
                _log.exception("events of %s could not be written down", self._id)
                self._unwritten = batch + self._unwritten
                return
            if not runs:
                self._cancel()
                return
            self._tell()

    async def save_turn(self, response: Object, **turn: Any) -> bool:
        """The end of the turn: the response, the events that are not written yet, and its conversation's items."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        keeper = Keeper(self._state, self.conversation)
        kept = await keeper.save_turn(response, events=self._unwritten, **turn)
        if kept:
            self._unwritten, self._has_ended = [], True
            self._tell()
        return kept

    async def _watch(self) -> None:
        """Stop when another server has ended the response."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                if not is_running(await self._state.response(self._id)):
                    return self._cancel()
            except Exception:  # noqa: BLE001 - the next look may succeed
                _log.exception("%s could not be looked at", self._id)

    def _cancel(self) -> None:
        if self._task is not None and not self._has_ended:
            self._task.cancel()

    def _tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for the end."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    async def stop(self) -> None:
        """End the work where it is. The state must know already that the response does not run any more."""
        self._cancel()
        await self.wait()


class Runs:
    """The runs of this server, and every response of the state as a client may see it."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._runs: dict[str, Run] = {}

    async def start(self, work: Work) -> Object:
        """Run a turn; the response as it was created. Raises what the work raises before that."""
        return await Run(self._state, self._runs).start(work)

    async def response(self, response_id: str) -> Object | None:
        """A response as it is now; one that was abandoned has failed."""
        found = await self._state.response(response_id)
        if not is_running(found) or response_id in self._runs or await self._state.is_leased(response_id):
            return found
        return await self._state.end_response(response_id, failure(abandoned()), if_unheld=True)

    async def events(self, response_id: str, after: int) -> AsyncGenerator[Object, None]:
        """The events of a response that follow number ``after``, as they come, until it has ended or is deleted."""
        number = after
        while True:
            run = self._runs.get(response_id)
            news = run.news if run else asyncio.Event()
            # In this order: when it has ended, all its events are there.
            response = await self.response(response_id)
            for event in await self._state.events(response_id, number):
                number = event["sequence_number"]
                yield event
            if response is None or not is_running(response):
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), POLL_SECONDS)
        kept = number + 1 if number > after else len(await self._state.events(response_id, -1))
        last = last_event(response, kept) if response and kept > after else None
        if last is not None:
            yield last

    async def cancel(self, response_id: str) -> Object | None:
        """Cancel a response, unless it has ended; the response as it is then."""
        ended = await self._state.end_response(response_id, CANCELLED)
        if ended is not None and ended["status"] == "cancelled":
            await self._stop(response_id)
        return ended

    async def delete(self, response_id: str) -> bool:
        """Delete a response, and stop working on it; whether there was one."""
        deleted = await self._state.delete_response(response_id)
        await self._stop(response_id)
        return deleted

    async def _stop(self, response_id: str) -> None:
        run = self._runs.get(response_id)
        if run is not None:
            await run.stop()

    async def close(self, grace: float | None = None) -> None:
        """Let what runs finish for a while. What does not has failed."""
        seconds = GRACE_SECONDS if grace is None else grace
        try:
            await asyncio.gather(*(run.wait(seconds) for run in self._runs.values()))
        finally:
            for response_id in list(self._runs):
                await self._state.end_response(response_id, failure(abandoned()))
                await self._stop(response_id)
