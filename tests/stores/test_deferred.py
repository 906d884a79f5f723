"""A state that is opened on first need: once, and not at all where nobody needs it."""

import asyncio

from harness.stores.deferred import deferred
from harness.stores.protocol import StateStore
from harness.stores.state import SqlState, open_state, state_url


def test_it_is_opened_once_and_only_when_it_is_asked() -> None:
    opened: list[SqlState] = []

    async def opening() -> StateStore:
        opened.append(await open_state(state_url(None)))
        return opened[-1]

    async def scenario() -> None:
        untouched = deferred(opening)
        await untouched.close()
        assert opened == []
        state = deferred(opening)
        assert sorted(await asyncio.gather(*(state.count("scope") for _ in range(5)))) == [1, 2, 3, 4, 5]
        assert len(opened) == 1
        await state.close()

    asyncio.run(scenario())
