"""The right to be the only one: a lease in the state, renewed while its holder works.

A holder that is killed keeps its lease until it runs out, and no longer.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from harness.api.errors import conversation_locked
from harness.errors import HarnessError
from harness.stores.protocol import Held, Object, StateStore

SECONDS = 10.0
"""How long a lease runs that nobody renews."""

_RENEWALS = 5
"""How often a lease is renewed in that time, so that one that comes late does no harm."""

_log = logging.getLogger(__name__)


class Lease:
    """A lease that is held. Whoever gives it back sets ``given_back``."""

    def __init__(self, name: str) -> None:
        # No client ever sees the holder: it need not be the same in every run.
        self.held = Held(name, uuid.uuid4().hex)
        self.given_back = False


@asynccontextmanager
async def lease(state: StateStore, name: str) -> AsyncIterator[Lease | None]:
    """Hold the lease ``name`` within the block, which gets None when it could not be had."""
    taken = Lease(name)
    if not await state.take_lease(*taken.held, SECONDS):
        yield None
        return
    renewing = asyncio.create_task(_renew(state, taken.held))
    try:
        yield taken
    finally:
        renewing.cancel()
        if not taken.given_back:
            # A state that is closed by now cannot take it back: it runs out.
            with suppress(HarnessError):
                await state.drop_lease(*taken.held)


async def _renew(state: StateStore, held: Held) -> None:
    """Go on until the lease is somebody else's, or was given back."""
    renewed = True
    while renewed:
        await asyncio.sleep(SECONDS / _RENEWALS)
        try:
            renewed = await state.renew_lease(*held, SECONDS)
        except Exception:  # noqa: BLE001 - whatever a database says once, the next attempt may find it well
            _log.exception("the lease of %s could not be renewed", held.name)


@asynccontextmanager
async def locked(state: StateStore, conversation_id: str | None) -> AsyncIterator[Lease | None]:
    """Be the only turn of a conversation within the block. Raises InvalidRequest when another one is.

    None, where there is no conversation, locks nothing.
    """
    if conversation_id is None:
        yield None
        return
    async with lease(state, conversation_id) as taken:
        if taken is None:
            raise conversation_locked()
        yield taken


class Keeper:
    """A TurnStore that gives the conversation's lease back with the turn: whoever sees its end can begin the next."""

    def __init__(self, state: StateStore, taken: Lease | None) -> None:
        self._state, self._taken = state, taken

    async def save_turn(self, response: Object, *, events: list[Object] | None = None, **turn: Any) -> bool:
        """What ``StateStore.save_turn`` does, with the lease."""
        held = self._taken.held if self._taken and not self._taken.given_back else None
        kept = await self._state.save_turn(response, lease=held, events=events, **turn)
        if self._taken:
            self._taken.given_back = True
        return kept
