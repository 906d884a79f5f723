"""Which database is meant: from a path or URL to its address, and how it is shown."""

import enum
import re

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from harness.errors import SettingsError

_DRIVERS = {
    # Other tools write it so; here SQLite runs in threads.
    "sqlite+aiosqlite": "sqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}


class Reach(enum.Enum):
    """Who else may be at the database: no other connection, other processes of this machine, anyone."""

    MEMORY = "memory"
    FILE = "file"
    SERVER = "server"


def state_url(path: str | None) -> str:
    """The SQLAlchemy URL of a state: in memory for None, else that of a file; a URL as it is, but for its driver."""
    if path is None:
        return "sqlite://"
    name, separator, rest = path.partition("://")
    if separator:
        return f"{_DRIVERS.get(name, name)}://{rest}"
    return URL.create("sqlite", database=path).render_as_string(hide_password=False)


def url_of(url: str) -> URL:
    """A URL in parts. Raises SettingsError when it is none."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            "The place of the state is not a database URL.",
            hint="Give the path of a file, or a URL like postgresql://user:password@host:5432/name.",
        ) from error


def shown(url: URL) -> str:
    """A URL as it may be shown: without its password, wherever that stands."""
    return re.sub(r"(?<=password=)[^&]*", "***", url.render_as_string())


def reach_of(url: URL) -> Reach:
    if url.get_backend_name() != "sqlite":
        return Reach.SERVER
    in_memory = url.database in (None, "", ":memory:", "file::memory:") or url.query.get("mode") == "memory"
    return Reach.MEMORY if in_memory else Reach.FILE
