"""The tables of the state: conversations and their items, responses, completions, in whatever SQL database.

The tables' names begin with ``harness_``, so that a database may hold other things as well.
"""

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
    func,
    insert,
    inspect,
    select,
    text,
)

from harness.errors import SettingsError
from harness.stores.state_engine import shown

VERSION = 1
"""Of this schema. A change that older code cannot read or write raises it."""

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
    Column("id", Text, nullable=False),
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
    """Create what is not there, within one transaction. Raises SettingsError for a schema newer than ours."""
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
    if found is None:
        connection.execute(insert(schema), {"version": VERSION})


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema.name):
        return None
    found: int | None = connection.scalar(select(func.max(schema.c.version)))
    return found
