"""A state that is opened when someone first asks for it: most servers in replay are asked for no conversation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from harness.stores.protocol import StateStore


def deferred(opening: Callable[[], Awaitable[StateStore]]) -> StateStore:
    """A StateStore that calls ``opening`` once, before the first of its methods; what it raises is raised there."""
    return cast("StateStore", _Deferred(opening))


class _Deferred:
    def __init__(self, opening: Callable[[], Awaitable[StateStore]]) -> None:
        self._opening, self._lock = opening, asyncio.Lock()
        self._state: StateStore | None = None

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def method(*args: Any, **options: Any) -> Any:
            return await getattr(await self._opened(), name)(*args, **options)

        return method

    async def _opened(self) -> StateStore:
        async with self._lock:
            self._state = self._state or await self._opening()
        return self._state

    async def close(self) -> None:
        if self._state is not None:
            await self._state.close()
