"""Flags that several commands share, and the settings that follow from them."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.cli.completing import complete_mode
from harness.settings import Settings, is_given, load

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--mode",
        metavar="MODE",
        shell_complete=complete_mode,
        help="replay (default), record, record-if-missing or live.",
    ),
    click.option(
        "--mcp-mode",
        metavar="MODE",
        shell_complete=complete_mode,
        help="The same for what MCP servers are asked (default: the mode).",
    ),
    click.option(
        "--mcp-approval",
        metavar="WHEN",
        help="What MCP calls need where a request does not say: always (default) or never.",
    ),
    click.option(
        "--recordings",
        metavar="PLACE",
        multiple=True,
        help="A directory or s3://bucket/prefix (default: recordings); repeat it to read from several.",
    ),
    click.option("--upstream", metavar="URL", help="The provider's base URL (default: https://api.openai.com/v1)."),
    click.option("--record-errors", is_flag=True, default=None, help="Record failures too: 429, 5xx, cut streams."),
    click.option("--timings", is_flag=True, default=None, help="Record how long the pieces of an answer took."),
    click.option("--speed", metavar="N", help="Replay recorded timings, N times as fast (default: at once)."),
    click.option("--strict", is_flag=True, default=None, help="Answer by key alone; no fall-back by fingerprint."),
    click.option(
        "--responses",
        metavar="WHO",
        help="Who answers responses and conversations: local (default) or upstream.",
    ),
    click.option(
        "--keep-equal/--no-keep-equal",
        default=None,
        help="Recording again leaves a recording alone that says the same (default).",
    ),
    click.option(
        "--state", metavar="PATH", help="SQLite file or database URL for conversations and responses (default: memory)."
    ),
)


def with_settings(command: F) -> F:
    """Give a command the flags from which ``settings_from`` makes settings."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_from(flags: dict[str, Any]) -> Settings:
    """Flags, the environment and the nearest pyproject.toml as settings."""
    # A flag that may be repeated is an empty row when it was not given.
    given = {name: value for name, value in flags.items() if value != ()}
    return load(given, os.environ, Path.cwd())


def days(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """The callback of an option that is an age: ``30d``, ``4 weeks``, ``30``; in days."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+) ?(d|w|days|weeks)?", value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r}: write a number of days, as 30d.")
    return int(match[1]) * (7 if (match[2] or "").startswith("w") else 1)


def shown(file: Path) -> str:
    """A file as a user here would write it."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def directories_of(settings: Settings) -> list[Path]:
    """Where the project's recordings are as files; where nobody named a place, also beside tests, as in pytest.

    Raises SettingsError where they are in an object store alone.
    """
    from harness.stores.housekeeping import folders_of_tests

    places = [place for place in (settings.recordings, *settings.more_recordings) if isinstance(place, Path)]
    places = places or [settings.directory]
    if is_given("recordings", {}, os.environ, Path.cwd()):
        return places
    beside = folders_of_tests(Path.cwd())
    return [place for place in places if place.is_dir() or not beside] + beside


def places_of(settings: Settings) -> list[Path]:
    """The same, as a user here would write them. Raises SettingsError."""
    return [Path(shown(place)) for place in directories_of(settings)]


def looking_beside(settings: Settings) -> Settings:
    """Settings for who only reads: where nobody named a place, recordings beside tests are read, too."""
    if not isinstance(settings.recordings, Path):
        return settings
    first, *others = (place.absolute() for place in directories_of(settings))
    return replace(settings, recordings=first, more_recordings=tuple(others))


def width_of_terminal() -> int:
    """How many columns there are to write on, 80 in a pipe; a report needs 60 in any case."""
    return max(shutil.get_terminal_size((80, 24)).columns, 60)
