"""Tasks that outlive who began them, at the end of it all."""

import asyncio
from collections.abc import Collection


async def ended(tasks: Collection[asyncio.Task[None]], seconds: float) -> bool:
    """Whether all tasks end by themselves in so many seconds; those that do not are cancelled, and have ended then."""
    left: Collection[asyncio.Task[None]] = ()
    if tasks:
        _, left = await asyncio.wait(list(tasks), timeout=seconds)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    return not left
