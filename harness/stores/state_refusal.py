"""Why a state could not be opened, in words that help and hold no password."""

from sqlalchemy import URL

from harness.errors import SettingsError
from harness.stores.state_address import Reach, shown

_HINTS = {
    Reach.MEMORY: "Leave the state's place out to keep it in memory.",
    Reach.FILE: "Name a file that is a harness's state, or one that is not there yet, in a directory that is.",
}

_PASSWORDS = ("28P01", "28000")
_NO_DATABASE, _NO_RIGHT = "3D000", "42501"
"""PostgreSQL's codes."""


def refusal(url: URL, reach: Reach, error: Exception) -> SettingsError:
    """What to raise when opening the state at ``url`` raised ``error``."""
    cause = getattr(error, "orig", None) or error
    hint = _HINTS.get(reach) or _server_hint(url, cause)
    return SettingsError(f"The state in {shown(url)} cannot be opened: {cause}", hint=hint)


def _server_hint(url: URL, cause: BaseException) -> str:
    state = getattr(cause, "sqlstate", None)
    where = f"-h {url.host or 'localhost'} -p {url.port or 5432}"
    if isinstance(cause, ImportError):
        # SQLAlchemy names no module when it misses its own, which the extra brings as well.
        package = "'harness[postgres]'" if cause.name in ("asyncpg", None) else cause.name
        return f"Install its driver with: pip install {package}"
    if isinstance(cause, TypeError):
        return "The URL has an option after the ? that the driver does not know."
    if state in _PASSWORDS:
        return f"Check the user and the password with: psql {where} -U {url.username} {url.database}"
    if state == _NO_DATABASE:
        return f"Create it with: createdb {where} {url.database}"
    if state == _NO_RIGHT:
        return f"Let the user create tables there: GRANT CREATE ON SCHEMA public TO {url.username};"
    if isinstance(cause, OSError):
        return f"Check that the server runs and that the URL names it: pg_isready {where}"
    return "Give a URL like postgresql://user:password@host:5432/name, of a server that runs."
