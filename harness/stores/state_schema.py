"""The tables of the state: conversations and their items, responses, completions, in whatever SQL database.

The tables' names begin with ``harness_``, so that a database may hold other things as well.
"""

from collections.abc import Callable

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    exists,
    func,
    insert,
    inspect,
    select,
    text,
)

from harness.errors import SettingsError
from harness.stores.state_address import shown

VERSION = 2
"""Of this schema. A change that older code cannot read or write raises it, and gets a step in ``_MIGRATIONS``."""

PAGE = 500
"""How many rows a migration holds in memory."""

_POSTGRES_LOCK = 7_310_582_401
"""Any number that no one else takes: PostgreSQL lets one client at a time create the tables."""

TABLES = MetaData()

schema = Table("harness_schema", TABLES, Column("version", Integer, primary_key=True, autoincrement=False))

conversations = Table(
    "harness_conversations",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("data", JSON, nullable=False),
)

# Positions are never used again (sqlite_autoincrement): an item that comes later stands later, whatever was deleted.
items = Table(
    "harness_items",
    TABLES,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("conversation_id", ForeignKey(conversations.c.id, ondelete="CASCADE"), nullable=False),
    Column("id", Text, nullable=False, index=True),
    Column("data", JSON, nullable=False),
    UniqueConstraint("conversation_id", "id"),
    sqlite_autoincrement=True,
)

responses = Table(
    "harness_responses",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("data", JSON, nullable=False),
    Column("input", JSON, nullable=False),
)

# What kept responses put out, for requests that name an item by its id alone.
response_items = Table(
    "harness_response_items",
    TABLES,
    Column("response_id", ForeignKey(responses.c.id, ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True, index=True),
    Column("data", JSON, nullable=False),
)

# What was streamed of a response in the background, but for its last event: that is the response itself.
events = Table(
    "harness_events",
    TABLES,
    Column("response_id", ForeignKey(responses.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", JSON, nullable=False),
)

completions = Table(
    "harness_completions",
    TABLES,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("data", JSON, nullable=False),
    Column("messages", JSON, nullable=False),
    sqlite_autoincrement=True,
)

# A prompt with all of its versions.
prompts = Table(
    "harness_prompts",
    TABLES,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("data", JSON, nullable=False),
    sqlite_autoincrement=True,
)

leases = Table(
    "harness_leases",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Float(53), nullable=False),  # Unix seconds
)

counters = Table(
    "harness_counters",
    TABLES,
    Column("scope", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)


def prepare(connection: Connection) -> None:
    """Create what is not there and bring what is there up to date, within one transaction.

    Raises SettingsError for a schema newer than ours.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRES_LOCK})
    found = _version(connection)
    if found is not None and found > VERSION:
        raise SettingsError(
            f"The state in {shown(connection.engine.url)} was written by a newer harness: its schema is version "
            f"{found}, and this one knows {VERSION} at most.",
            hint="Upgrade with: pip install --upgrade harness. Or name another place for the state.",
        )
    TABLES.create_all(connection)
    for index in items.indexes:
        # A table that was there already may be older than its index, which changes nothing for older code.
        index.create(connection, checkfirst=True)
    for version in range(VERSION if found is None else found, VERSION):
        _MIGRATIONS[version](connection)
    if found != VERSION:
        connection.execute(insert(schema), {"version": VERSION})


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema.name):
        return None
    found: int | None = connection.scalar(select(func.max(schema.c.version)))
    return found


def _fill_response_items(connection: Connection) -> None:
    """Version 1 began without a table of what responses put out: it is in the responses as well."""
    unfilled = ~exists().where(response_items.c.response_id == responses.c.id)
    page, last = select(responses.c.id, responses.c.data).where(unfilled).order_by(responses.c.id).limit(PAGE), ""
    while rows := connection.execute(page.where(responses.c.id > last)).all():
        last = rows[-1].id
        filled = [
            {"response_id": row.id, "id": item["id"], "data": item} for row in rows for item in row.data["output"]
        ]
        if filled:
            connection.execute(insert(response_items), filled)


_MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: _fill_response_items}
"""What makes the schema of one version that of the next, once every table is there."""
