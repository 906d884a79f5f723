"""Settings: flags, then the environment, then ``[tool.harness]`` in pyproject.toml, then defaults."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.errors import SettingsError

DEFAULT_UPSTREAM = "https://api.openai.com/v1"

NO_KEY = "harness"
"""The API key that the harness gives to clients where none is needed; it is never sent to an upstream."""


class Mode(StrEnum):
    """What happens to an inference request."""

    REPLAY = "replay"
    RECORD = "record"
    RECORD_IF_MISSING = "record-if-missing"
    LIVE = "live"

    @property
    def needs_upstream(self) -> bool:
        return self is not Mode.REPLAY


@dataclass(frozen=True, slots=True)
class Match:
    """The user's own rules for what makes requests equal, from ``[tool.harness.match]``."""

    ignore: Sequence[str] = ()
    replace: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen. ``state`` is a path or a database URL; None keeps the state in memory."""

    mode: Mode = Mode.REPLAY
    recordings: Path = Path("recordings")
    upstream: str = DEFAULT_UPSTREAM
    strict: bool = False
    state: str | None = None
    api_key: str | None = None
    upstream_names: Sequence[str] = ("openai",)
    match: Match = Match()


def load(flags: Mapping[str, Any], environ: Mapping[str, str], directory: Path) -> Settings:
    """The settings that hold in ``directory``.

    ``flags`` are those that were given (None means not given). Raises SettingsError for a value that cannot be what
    was meant; nothing falls back to a default in silence.
    """
    file, table = _project_table(directory)
    given = _Given(flags, environ, table, str(file))
    recordings, from_file = given.text("recordings", "recordings")
    base = file.parent if from_file else directory
    return Settings(
        mode=parse_mode(*given.sourced("mode", "replay")),
        recordings=base / recordings,
        upstream=_upstream(*given.sourced("upstream", DEFAULT_UPSTREAM)),
        strict=_flag(*given.sourced("strict", False)),
        state=given.text("state", "")[0] or None,
        api_key=environ.get("OPENAI_API_KEY") or None,
        upstream_names=_names(table),
        match=_match(table.get("match", {})),
    )


def parse_mode(value: Any, source: str = "mode") -> Mode:
    """One of the four modes, in capitals or not. Raises SettingsError for anything else."""
    try:
        return Mode(str(value).strip().lower())
    except ValueError:
        raise SettingsError(
            f"{source}: {value!r} is not a mode.", hint=f"Use one of: {', '.join(Mode)}."
        ) from None


class _Given:
    """A setting by its name, from the first source that has it."""

    def __init__(
        self, flags: Mapping[str, Any], environ: Mapping[str, str], table: Mapping[str, Any], file: str
    ) -> None:
        self._flags, self._environ, self._table, self._file = flags, environ, table, file

    def sourced(self, name: str, default: Any) -> tuple[Any, str]:
        """The value, and where it came from in words."""
        variable = f"HARNESS_{name.upper()}"
        if self._flags.get(name) is not None:
            return self._flags[name], f"--{name}"
        if variable in self._environ:
            return self._environ[variable], variable
        if name in self._table:
            return self._table[name], f"[tool.harness] {name} in {self._file}"
        return default, name

    def text(self, name: str, default: str) -> tuple[str, bool]:
        """The value as text, and whether it came from the project's file."""
        value, source = self.sourced(name, default)
        if not isinstance(value, str | Path):
            raise SettingsError(f"{source}: {value!r} is not text.", hint=f'Write it in quotes: {name} = "…"')
        return str(value), source.startswith("[")


def _project_table(directory: Path) -> tuple[Path, Mapping[str, Any]]:
    """The nearest pyproject.toml at or above ``directory`` that has a ``[tool.harness]``, and that table."""
    for folder in (directory, *directory.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            table = tomllib.loads(file.read_text("utf-8")).get("tool", {}).get("harness")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: {error}", hint="Mend that line.") from error
        if isinstance(table, dict):
            return file, table
    return directory / "pyproject.toml", {}


def _upstream(value: Any, source: str) -> str:
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(
            f"{source}: {value!r} is not a base URL.", hint=f"Write it like {DEFAULT_UPSTREAM}, the /v1 included."
        )
    return str(value).rstrip("/")


def _flag(value: Any, source: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if str(value).strip().lower() not in words:
        raise SettingsError(f"{source}: {value!r} is neither true nor false.", hint="Use true or false.")
    return words[str(value).strip().lower()]


def _names(table: Mapping[str, Any]) -> tuple[str, ...]:
    upstreams = table.get("upstreams", {})
    if not isinstance(upstreams, dict):
        raise SettingsError("[tool.harness.upstreams] is not a table.", hint="Write [tool.harness.upstreams.NAME].")
    return tuple(dict.fromkeys(("openai", *upstreams)))


def _match(table: Any) -> Match:
    try:
        ignore = tuple(_text(path) for path in table.get("ignore", ()))
        replace = tuple((_text(rule["pattern"]), _text(rule["placeholder"])) for rule in table.get("replace", ()))
    except (AttributeError, KeyError, TypeError) as error:
        raise SettingsError(
            "[tool.harness.match] is not what it should be.",
            hint='Write ignore = ["path"] and replace = [{pattern = "…", placeholder = "…"}].',
        ) from error
    return Match(ignore, replace)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
