"""Replaying what is recorded, recording what is not."""

import asyncio
from collections.abc import Collection
from functools import partial

from harness.backends.protocol import Answer, Call
from harness.backends.record import RecordBackend
from harness.backends.replay import ReplayBackend


class RecordIfMissingBackend:
    """Replays what is recorded and records what is not. Of equal requests at once, one asks and the others wait."""

    def __init__(self, replay: ReplayBackend, record: RecordBackend) -> None:
        self._replay, self._record = replay, record
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
        over = self._turns[turn] = asyncio.Event()
        end = partial(self._end, turn, over)
        try:
            answer = await self._replay.find(call, asked)
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

    def _end(self, turn: tuple[str | None, str], over: asyncio.Event) -> None:
        """Let the next one have its turn. May be called more than once."""
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
