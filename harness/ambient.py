"""What surrounds a call that is answered in-process: the test that runs, and the server that it has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from harness.running import ServerThread


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The server that answers a call, and the scope of the call."""

    server: "ServerThread"
    scope: str | None


Find: TypeAlias = Callable[[str | None, dict[str, Any]], Surroundings]

find: Find | None = None
"""Set by what runs tests; None where nothing does. Takes the scope and the settings that a transport was given."""
