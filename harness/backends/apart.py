"""Work on a call that takes its time when the body is large: in another thread then, so that others are answered."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from harness.backends.protocol import Call

T = TypeVar("T")

_LARGE = 128 * 1024
"""Bytes of a body in which looking for secrets takes longer (some 20 ms) than others should wait."""


async def apart(call: Call, work: Callable[[Call], T]) -> T:
    """What ``work`` makes of a call. It may be called in any thread."""
    return await asyncio.to_thread(work, call) if len(call.raw) >= _LARGE else work(call)
