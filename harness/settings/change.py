"""Settings changed in a few places by code: a marker, an argument."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import SettingsError
from harness.settings import values
from harness.settings.model import Settings
from harness.settings.sources import Found

_PLACES = "recordings"
_READERS: Mapping[str, Callable[[Found], Any]] = {
    "mode": lambda found: values.parse_mode(found.value, found.source),
    "mcp_mode": values.mcp_mode,
    "mcp_approval": values.mcp_approval,
    "upstream": values.upstream,
    "strict": values.truth,
    "state": values.state,
    "responses": values.responses,
    "keep_equal": values.truth,
}


def change(settings: Settings, given: Mapping[str, Any], source: str, base: Path) -> Settings:
    """The settings with those values that are ``given`` by name; paths are relative to ``base``.

    Raises SettingsError, which names the ``source``, for a name or a value that means nothing.
    """
    for name in given.keys() - {*_READERS, _PLACES}:
        raise SettingsError(f"{source}: {name!r} is no setting.", hint=f"Use one of: {_PLACES}, {', '.join(_READERS)}.")
    read = {name: Found(value, f"{source}: {name}", base) for name, value in given.items()}
    changed = {name: _READERS[name](found) for name, found in read.items() if name != _PLACES}
    if _PLACES in read:
        changed["recordings"], *more = values.places(read[_PLACES])
        changed["more_recordings"] = tuple(more)
    return replace(settings, **changed)
