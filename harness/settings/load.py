"""Settings: flags, then the environment, then ``[tool.harness]`` in pyproject.toml, then defaults."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import SettingsError
from harness.settings import tables, values
from harness.settings.model import DEFAULT_UPSTREAM, Bucket, Settings
from harness.settings.sources import Found, Given, project_table
from harness.settings.upstreams import named_upstreams


def load(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    directory: Path,
    *,
    here: Path | None = None,
    flag_prefix: str = "--",
    between: Mapping[str, Found] | None = None,
) -> Settings:
    """The settings that hold in ``directory``.

    ``flags`` are those that were given (None means not given). A relative path is relative to the pyproject.toml that
    it stands in; one of a flag or a variable to ``here``, the default one to ``directory`` (which ``here`` is unless it
    is given). ``between`` holds what another file of the project says, which comes after the environment and before
    pyproject.toml's table. Raises SettingsError for a value that cannot be what was meant; nothing falls back to a
    default in silence.
    """
    file, table = project_table(directory)
    given = Given(flags, flag_prefix, environ, here or directory, table, file, directory, between or {})
    mode, mcp_mode = given.find("mode", "replay"), given.find("mcp_mode", "")
    recordings, *more = values.places(given.find("recordings", "recordings"))
    return Settings(
        mode=values.parse_mode(mode.value, mode.source),
        mcp_mode=values.mcp_mode(mcp_mode),
        mcp_approval=values.mcp_approval(given.find("mcp_approval", "always")),
        recordings=recordings,
        more_recordings=tuple(more),
        upstream=values.upstream(given.find("upstream", DEFAULT_UPSTREAM)),
        strict=values.truth(given.find("strict", "false")),
        state=values.state(given.find("state", ":memory:")),
        api_key=values.api_key(environ),
        responses=values.responses(given.find("responses", "local")),
        record_errors=values.truth(given.find("record_errors", "false")),
        timings=values.truth(given.find("timings", "false")),
        speed=values.speed(given.find("speed", "")),
        upstreams=named_upstreams(table.get("upstreams", {}), environ),
        upstream_parameters=tables.upstream_parameters(table.get("upstream_parameters", [])),
        mcp_connectors=tables.mcp_connectors(table.get("mcp_connectors", {})),
        match=tables.match(table.get("match", {})),
        redact=tables.redact(table.get("redact", {}), environ),
        keep_equal=values.truth(given.find("keep_equal", "true")),
        vcr=values.truth(given.find("vcr", "false")),
        cache=values.folder(given.find("cache", "")),
    )


def check(settings: Settings) -> None:
    """Raises SettingsError where the disk says that a run with these settings cannot do its work."""
    for other in settings.more_recordings:
        if isinstance(other, Path) and not other.is_dir():
            raise SettingsError(f"recordings: {other} is not a directory.", hint="Mend its name, or leave it out.")
    place = settings.recordings
    if isinstance(place, Bucket):
        return
    if place.exists() and not place.is_dir():
        raise SettingsError(f"recordings: {place} is not a directory.", hint="Name a directory, or one to be made.")
    if not settings.writes:
        return
    there = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise SettingsError(
            f"recordings: nothing can be written to {place}: {there} does not allow it.",
            hint="Mend its permissions, or name another directory.",
        )
