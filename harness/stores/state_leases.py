"""Leases in SQL. When one ends, the database's own clock says: those of several servers need not agree."""

from sqlalchemy import ColumnElement, Connection, Float, delete, exists, literal_column, select, text, update

from harness.stores.protocol import Held
from harness.stores.state_schema import leases
from harness.stores.state_transactions import Transactions, deletes

_CLOCKS = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)",
}
"""The time in Unix seconds, as each database tells it."""

_TAKE = (
    "INSERT INTO harness_leases (name, holder, until) VALUES (:name, :holder, {now} + :seconds) "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until "
    "WHERE harness_leases.until < {now} OR harness_leases.holder = excluded.holder RETURNING holder"
)


class LeasesState(Transactions):
    """The part of a state that says who is the only one at something."""

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        row = {"name": name, "holder": holder, "seconds": float(seconds)}

        def work(connection: Connection) -> bool:
            statement = text(_TAKE.format(now=_CLOCKS[connection.dialect.name]))
            return connection.execute(statement, row).first() is not None

        return await self._write(work)

    async def renew_lease(self, name: str, holder: str, seconds: float) -> bool:
        longer = update(leases).where(leases.c.name == name, leases.c.holder == holder)

        def work(connection: Connection) -> bool:
            return connection.execute(longer.values(until=_now(connection) + seconds)).rowcount > 0

        return await self._write(work)

    async def is_leased(self, name: str) -> bool:
        return await self._read(lambda connection: is_leased(connection, name))

    async def drop_lease(self, name: str, holder: str) -> None:
        await self._write(lambda connection: drop(connection, Held(name, holder)))


def drop(connection: Connection, lease: Held) -> bool:
    """Give a lease back, within a transaction that somebody else began; whether it was still held."""
    statement = delete(leases).where(leases.c.name == lease.name, leases.c.holder == lease.holder)
    return deletes(connection, statement)


def is_leased(connection: Connection, name: str) -> bool:
    """Whether anybody's lease runs, as a transaction that somebody else began sees it."""
    runs = exists().where(leases.c.name == name, leases.c.until >= _now(connection))
    return bool(connection.scalar(select(runs)))


def _now(connection: Connection) -> ColumnElement[float]:
    return literal_column(_CLOCKS[connection.dialect.name], Float(53))
