"""Replaying what is recorded, recording what is not."""

import asyncio
from collections.abc import Collection

from harness.backends.protocol import Answer, Call
from harness.backends.record import RecordBackend
from harness.backends.replay import ReplayBackend


class RecordIfMissingBackend:
    """Replays what is recorded and records what is not. Of equal requests at once, one asks and the others wait."""

    def __init__(self, replay: ReplayBackend, record: RecordBackend) -> None:
        self._replay, self._record = replay, record
        self._in_flight: dict[tuple[str | None, str], asyncio.Event] = {}

    async def send(self, call: Call) -> Answer:
        turn = (call.scope, await self._record.key(call))
        while (answer := await self._replay.find(call)) is None:
            before = self._in_flight.get(turn)
            if before is None:
                return await self._record_now(call, turn)
            await before.wait()
            self._in_flight.pop(turn, None)
        if answer.recording is not None:
            self._record.replayed(call, answer.recording)
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

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        self._record.abandon(scopes)

    async def close(self, grace: float | None = None) -> None:
        await self._record.close(grace)
