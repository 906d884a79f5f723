"""The right to be the only one: a lease in the state, renewed while its holder works.

A holder that is killed keeps its lease until it runs out, and no longer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from harness.stores.protocol import StateStore

SECONDS = 30.0
"""How long a lease runs that nobody renews."""


@asynccontextmanager
async def lease(state: StateStore, name: str, holder: str) -> AsyncIterator[bool]:
    """Hold the lease ``name`` within the block, which is told whether it could be had."""
    if not await state.take_lease(name, holder, SECONDS):
        yield False
        return
    renewing = asyncio.create_task(_renew(state, name, holder))
    try:
        yield True
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        await state.drop_lease(name, holder)


async def _renew(state: StateStore, name: str, holder: str) -> None:
    while True:
        await asyncio.sleep(SECONDS / 3)
        await state.take_lease(name, holder, SECONDS)
