"""Leases: one holder at a time, whichever process asks."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from harness.stores.state import SqlState, open_state


def test_one_holder_at_a_time(url: str) -> None:
    async def script(state: SqlState) -> None:
        assert await state.take_lease("conv_1", "a", 60)
        assert await state.take_lease("conv_1", "a", 60), "a holder renews its own"
        assert not await state.take_lease("conv_1", "b", 60)
        assert await state.take_lease("conv_2", "b", 60)
        await state.drop_lease("conv_1", "b")
        assert not await state.take_lease("conv_1", "b", 60), "nobody drops another's"
        await state.drop_lease("conv_1", "a")
        assert await state.take_lease("conv_1", "b", -1)
        assert await state.take_lease("conv_1", "c", 60), "what ran out is anybody's"

    run(url, script)


def test_of_many_at_once_one_gets_it(shared_url: str) -> None:
    async def script(state: SqlState) -> None:
        other = await open_state(shared_url)
        takers = [store.take_lease("conv_1", f"{number}", 60) for number in range(20) for store in (state, other)]
        # A number stands for one holder in both stores: taken twice by the same, or not at all.
        assert sum(await asyncio.gather(*takers)) in (1, 2)
        await other.close()

    run(shared_url, script)


@pytest.mark.parametrize("hours", [-1, 1])
def test_servers_whose_clocks_differ_agree(shared_url: str, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """What ends a lease is the database's clock, so that a server with another one neither steals nor waits."""

    async def script(state: SqlState) -> None:
        assert await state.take_lease("conv_1", "a", 60)
        assert await state.take_lease("conv_2", "a", 0.05)
        true = time.time
        monkeypatch.setattr(time, "time", lambda: true() + hours * 3600)
        other = await open_state(shared_url)
        assert await other.is_leased("conv_1")
        assert not await other.take_lease("conv_1", "b", 60)
        await asyncio.sleep(0.06)
        assert await other.take_lease("conv_2", "b", 60)
        assert await other.renew_lease("conv_2", "b", 60)
        monkeypatch.undo()
        assert not await state.take_lease("conv_2", "a", 60)
        await other.close()

    run(shared_url, script)


def run(url: str, script: Callable[[SqlState], Awaitable[None]]) -> None:
    async def main() -> None:
        state = await open_state(url)
        try:
            await script(state)
        finally:
            await state.close()

    asyncio.run(main())
