"""Where the server's thread leaves the pieces of an answer, and whoever asked takes them."""

import asyncio
import math
import queue
import sys
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from harness.server.pipe import Deliver

Piece = bytes | None


class Mailbox(NamedTuple):
    """``deliver`` is for the server's thread; ``take`` waits for the next piece, at most so many seconds.

    ``take`` raises TimeoutError.
    """

    deliver: Deliver
    take: Callable[[float | None], Piece]


class AsyncMailbox(NamedTuple):
    """The same for code that runs in an event loop."""

    deliver: Deliver
    take: Callable[[], Awaitable[Piece]]


def mailbox() -> Mailbox:
    pieces = queue.SimpleQueue[Piece]()

    def take(seconds: float | None) -> Piece:
        try:
            return pieces.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    return Mailbox(pieces.put, take)


def async_mailbox() -> AsyncMailbox:
    """One for the event loop that runs here: asyncio's, or trio's."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        token = trio.lowlevel.current_trio_token()
        sender, receiver = trio.open_memory_channel[Piece](math.inf)
        return AsyncMailbox(lambda piece: _soon(token.run_sync_soon, sender.send_nowait, piece), receiver.receive)
    loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Piece]()
    return AsyncMailbox(lambda piece: _soon(loop.call_soon_threadsafe, pieces.put_nowait, piece), pieces.get)


def _soon(schedule: Callable[..., object], put: Callable[[Piece], object], piece: Piece) -> None:
    try:
        schedule(put, piece)
    except RuntimeError:
        # The loop of whoever asked has ended: nobody waits for this answer any more. (trio.RunFinishedError is one.)
        return
