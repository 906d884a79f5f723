"""Replaying what is recorded, recording what is not."""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from typing import TypeAlias

from harness.backends.protocol import Answer, Call
from harness.backends.record import RecordBackend
from harness.backends.replay import ReplayBackend
from harness.errors import RecordingError

Lock: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Holds a key, of all processes that record in one place. Raises BlockingIOError where another one holds it."""

_PATIENCE, _PAUSE = 300.0, 0.05
"""Seconds that another process may hold a key before it is asked for all the same; how often it is looked."""


class RecordIfMissingBackend:
    """Replays what is recorded and records what is not. Of equal requests at once, one asks and the others wait.

    So it is between processes, where there is a ``lock``: all of them then get the answer that is kept.
    """

    def __init__(self, replay: ReplayBackend, record: RecordBackend, lock: Lock = lambda _: nullcontext()) -> None:
        self._replay, self._record, self._lock = replay, record, lock
        self._turns: dict[tuple[str | None, str], asyncio.Event] = {}
        """Of each scope and key that is being looked for or recorded: when that is over."""

    async def send(self, call: Call) -> Answer:
        answer = await self._replay.recall(call)
        return await self._found_or_recorded(call) if answer is None else await self._noted(call, answer)

    async def _found_or_recorded(self, call: Call) -> Answer:
        asked = await self._record.written(call)
        turn = (call.scope, asked.key)
        while (before := self._turns.get(turn)) is not None:
            await before.wait()
        over, held = asyncio.Event(), ExitStack()
        self._turns[turn] = over
        end = partial(self._end, turn, over, held)
        try:
            answer = await self._replay.find(call, asked)
            if answer is None:
                await self._hold(asked.key, held)
                # Another process may have recorded it meanwhile.
                answer = await self._replay.find(call, asked, by_meaning=False)
        except BaseException:
            end()
            raise
        if answer is None:
            return await self._record.send(call, asked, end)
        end()
        return await self._noted(call, answer)

    async def _noted(self, call: Call, answer: Answer) -> Answer:
        if answer.recording is not None:
            await self._record.replayed(call, answer.recording)
        return answer

    async def _hold(self, key: str, held: ExitStack) -> None:
        """Be the only process that asks for a key, until ``held`` is closed, as far as there are locks."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                with suppress(RecordingError):  # There is no place for locks.
                    held.enter_context(self._lock(key))
                return
            await asyncio.sleep(_PAUSE)

    def _end(self, turn: tuple[str | None, str], over: asyncio.Event, held: ExitStack) -> None:
        """Let the next one have its turn. May be called more than once."""
        held.close()
        over.set()
        if self._turns.get(turn) is over:
            del self._turns[turn]

    async def models(self, call: Call) -> Answer:
        if await self._replay.has_listing():
            return await self._replay.models(call)
        return await self._record.models(call)

    def forget(self, scope: str | None) -> None:
        self._replay.forget(scope)
        self._record.forget(scope)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        self._record.abandon(scopes)

    async def close(self, grace: float | None = None) -> None:
        await self._record.close(grace)
