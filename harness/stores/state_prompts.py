"""Prompts in the state, each in one row with all of its versions."""

from sqlalchemy import Connection, delete, insert, select, update

from harness.stores.protocol import Object
from harness.stores.state_schema import prompts
from harness.stores.state_transactions import Transactions, deletes


class PromptsState(Transactions):
    """What a StateStore does with prompts."""

    async def add_prompt(self, prompt: Object) -> None:
        await self._write(lambda connection: connection.execute(insert(prompts), {"id": prompt["id"], "data": prompt}))

    async def prompts(self) -> list[Object]:
        wanted = select(prompts.c.data).order_by(prompts.c.position)
        return await self._read(lambda connection: list(connection.scalars(wanted)))

    async def prompt(self, prompt_id: str) -> Object | None:
        wanted = select(prompts.c.data).where(prompts.c.id == prompt_id)
        return await self._read(lambda connection: connection.scalar(wanted))

    async def replace_prompt(self, old: Object, new: Object) -> bool:
        is_it = prompts.c.id == old["id"]

        def work(connection: Connection) -> bool:
            found: Object | None = connection.scalar(select(prompts.c.data).where(is_it).with_for_update())
            if found != old:
                return False
            connection.execute(update(prompts).where(is_it), {"data": new})
            return True

        return await self._write(work)

    async def delete_prompt(self, prompt_id: str) -> bool:
        statement = delete(prompts).where(prompts.c.id == prompt_id)
        return await self._write(lambda connection: deletes(connection, statement))
