"""Whose turn it is at the database: first come, first served, and never more at once than there are connections."""

import asyncio
import itertools
from typing import Any, cast

import pytest
from sqlalchemy import Connection, Select

from harness.stores.state import SqlState
from harness.stores.state_address import Reach
from harness.stores.state_engine import CONNECTIONS, Work


class Echo:
    """In a connection's place: a row that is wanted is the id by which it is wanted."""

    def scalar(self, wanted: Select[Any]) -> Any:
        return next(iter(wanted.compile().params.values()))


class SlowDatabase:
    """A database that notes who comes to it, and how many are with it at once."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.most = self._now = 0

    async def open(self, prepare: Work[None]) -> None: ...

    async def run(self, work: Work[Any], *, writes: bool) -> Any:
        self.came.append(work(cast("Connection", Echo())))
        self._now += 1
        self.most = max(self.most, self._now)
        for _ in range(len(self.came) % 7):
            await asyncio.sleep(0)
        self._now -= 1

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("reach", "most"), [(Reach.MEMORY, 1), (Reach.FILE, CONNECTIONS - 1), (Reach.SERVER, CONNECTIONS)]
)
def test_who_came_first_is_served_first(reach: Reach, most: int) -> None:
    database, numbers, asked = SlowDatabase(), itertools.count(), list[str]()

    async def client(state: SqlState) -> None:
        for _ in range(5):
            asked.append(f"conv_{next(numbers)}")
            await state.conversation(asked[-1])

    async def main() -> None:
        state = SqlState(database, reach)
        await asyncio.gather(*(client(state) for _ in range(60)))

    asyncio.run(main())
    assert database.most == most
    assert database.came == asked
