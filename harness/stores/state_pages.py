"""Pages of what a state keeps, read as pages: a long list is never held as a whole to show a part of it."""

from collections.abc import Callable, Iterator

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, select, true

from harness.api.listing import Listed, ListQuery, no_such_item
from harness.api.validation import is_id
from harness.stores.protocol import Object

_ROWS = 100
"""How many rows are read at once at most."""


def page(
    connection: Connection,
    table: Table,
    query: ListQuery,
    *,
    within: ColumnElement[bool] | None = None,
    wanted: Callable[[Object], bool] = lambda _: True,
) -> Listed:
    """The page that ``query`` asks for, of those rows of a table ``within`` a condition whose data is ``wanted``.

    The table has a position, an id and data. Raises InvalidRequest when no such row has the id ``query.after``.
    """
    condition = true() if within is None else within
    place = table.c.position
    rows = select(place, table.c.data).where(condition)
    if query.after is not None:
        start = select(place).where(condition, table.c.id == query.after)
        before = connection.scalar(start) if is_id(query.after) else None
        if before is None:
            raise no_such_item(query.after)
        rows = rows.where(_behind(table, query, before))
    found: list[Object] = []
    for row in _rows(connection, rows, table, query):
        if wanted(row.data):
            if len(found) == query.limit:
                return Listed(found, has_more=True)
            found.append(row.data)
    return Listed(found, has_more=False)


def _rows(
    connection: Connection, rows: Select[tuple[int, Object]], table: Table, query: ListQuery
) -> Iterator[Row[tuple[int, Object]]]:
    """What is selected, in the order of ``query``, a few rows at once."""
    place = table.c.position
    at_once = min(query.limit + 1, _ROWS)
    some = rows.order_by(place if query.order == "asc" else place.desc()).limit(at_once)
    found = connection.execute(some).all()
    while found:
        yield from found
        if len(found) < at_once:
            return
        found = connection.execute(some.where(_behind(table, query, found[-1].position))).all()


def _behind(table: Table, query: ListQuery, position: int) -> ColumnElement[bool]:
    place = table.c.position
    return place > position if query.order == "asc" else place < position
