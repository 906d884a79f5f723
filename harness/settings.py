"""Settings: flags, then the environment, then ``[tool.harness]`` in pyproject.toml, then defaults."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from harness.errors import SettingsError

DEFAULT_UPSTREAM = "https://api.openai.com/v1"

NO_KEY = "harness"
"""The API key that the harness gives to clients where none is needed; it is never sent to an upstream."""

_NO_KEYS = ("", NO_KEY, "none")

_TABLE = ("mode", "recordings", "upstream", "strict", "state", "upstreams", "upstream_parameters", "match")
"""What ``[tool.harness]`` may hold."""


class Mode(StrEnum):
    """What happens to an inference request."""

    REPLAY = "replay"
    RECORD = "record"
    RECORD_IF_MISSING = "record-if-missing"
    LIVE = "live"

    @property
    def needs_upstream(self) -> bool:
        return self is not Mode.REPLAY

    @property
    def writes(self) -> bool:
        """Whether recordings are written."""
        return self in (Mode.RECORD, Mode.RECORD_IF_MISSING)


@dataclass(frozen=True, slots=True)
class Match:
    """The user's own rules for what makes requests equal, from ``[tool.harness.match]``."""

    ignore: Sequence[str] = ()
    replace: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen. ``state`` is a path or a database URL; None keeps the state in memory.

    What may hold a secret is not in its ``repr``: tests that fail show the values of fixtures.
    """

    mode: Mode = Mode.REPLAY
    recordings: Path = Path("recordings")
    upstream: str = DEFAULT_UPSTREAM
    strict: bool = False
    state: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    upstream_names: Sequence[str] = ("openai",)
    upstream_parameters: Sequence[str] = ()
    match: Match = Match()


def load(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    directory: Path,
    *,
    here: Path | None = None,
    flag_prefix: str = "--",
) -> Settings:
    """The settings that hold in ``directory``.

    ``flags`` are those that were given (None means not given). A relative path is relative to the pyproject.toml that
    it stands in; one of a flag or a variable to ``here``, the default one to ``directory`` (which ``here`` is unless it
    is given). Raises SettingsError for a value that cannot be what was meant; nothing falls back to a default in
    silence.
    """
    file, table = _project_table(directory)
    given = _Given(flags, flag_prefix, environ, here or directory, table, file, directory)
    mode = given.find("mode", "replay")
    return Settings(
        mode=parse_mode(mode.value, mode.source),
        recordings=_place(given.find("recordings", "recordings")),
        upstream=_upstream(given.find("upstream", DEFAULT_UPSTREAM)),
        strict=_truth(given.find("strict", "false")),
        state=_state(given.find("state", ":memory:")),
        api_key=_api_key(environ),
        upstream_names=_names(table),
        upstream_parameters=_parameters(table.get("upstream_parameters", [])),
        match=_match(table.get("match", {})),
    )


def parse_mode(value: Any, source: str = "mode") -> Mode:
    """One of the four modes, in capitals or not. Raises SettingsError for anything else."""
    try:
        return Mode(str(value).strip().lower())
    except ValueError:
        raise SettingsError(f"{source}: {value!r} is not a mode.", hint=f"Use one of: {', '.join(Mode)}.") from None


def check(settings: Settings) -> None:
    """Raises SettingsError where the disk says that a run with these settings cannot do its work."""
    place = settings.recordings
    if place.exists() and not place.is_dir():
        raise SettingsError(f"recordings: {place} is not a directory.", hint="Name a directory, or one to be made.")
    if not settings.mode.writes:
        return
    there = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise SettingsError(
            f"recordings: nothing can be written to {place}: {there} does not allow it.",
            hint="Mend its permissions, or name another directory.",
        )


class _Found(NamedTuple):
    """A value, where it came from in words, and what it is relative to if it is a path."""

    value: Any
    source: str
    base: Path


@dataclass(frozen=True, slots=True)
class _Given:
    """The sources of settings, the first one first."""

    flags: Mapping[str, Any]
    flag_prefix: str
    environ: Mapping[str, str]
    here: Path
    table: Mapping[str, Any]
    file: Path
    directory: Path

    def find(self, name: str, default: str) -> _Found:
        variable = f"HARNESS_{name.upper()}"
        if self.flags.get(name) is not None:
            return _Found(self.flags[name], f"{self.flag_prefix}{name}", self.here)
        if variable in self.environ:
            return _Found(self.environ[variable], variable, self.here)
        if name in self.table:
            return _Found(self.table[name], f"[tool.harness] {name} in {self.file}", self.file.parent)
        return _Found(default, name, self.directory)


def _project_table(directory: Path) -> tuple[Path, Mapping[str, Any]]:
    """The nearest pyproject.toml at or above ``directory`` that has a ``[tool.harness]``, and that table."""
    for folder in (directory, *directory.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            tools = _toml(file).get("tool", {})
            if isinstance(tools, dict) and "harness" in tools:
                return file, _table(tools["harness"], _TABLE, "[tool.harness]", file)
    return directory / "pyproject.toml", {}


def _toml(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}", hint="Mend that line.") from error
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}", hint="Make it readable.") from error


def _table(value: Any, known: Sequence[str], name: str, file: Path | None = None) -> Mapping[str, Any]:
    """A table of the project's file. A name in it that means nothing is most likely one that was mistyped."""
    where = f"{name} in {file}" if file else name
    if not isinstance(value, dict):
        raise SettingsError(f"{where} is not a table.", hint=f"Write {name} on a line of its own.")
    for unknown in value.keys() - set(known):
        raise SettingsError(f"{where}: {unknown!r} is no setting.", hint=f"Use one of: {', '.join(known)}.")
    return value


def _text(found: _Found) -> str:
    if not isinstance(found.value, str | Path):
        raise SettingsError(f"{found.source}: {found.value!r} is not text.", hint="Write it in quotes.")
    if not str(found.value).strip():
        raise SettingsError(f"{found.source} is empty.", hint="Name a place, or leave it out.")
    return str(found.value)


def _place(found: _Found) -> Path:
    return found.base / _text(found)


def _state(found: _Found) -> str | None:
    """None for memory, a URL as it is, or a path from the root."""
    text = _text(found)
    if text == ":memory:":
        return None
    return text if "://" in text else str(found.base / text)


def _upstream(found: _Found) -> str:
    source, text = found.source, str(found.value).strip()
    hint = f"Write it like {DEFAULT_UPSTREAM}, the /v1 included."
    parts = _split(text)
    if parts is None:
        raise SettingsError(f"{source}: {found.value!r} is not a base URL.", hint=hint)
    if "@" in parts.netloc:
        # Not shown: it is most likely a password.
        raise SettingsError(f"{source}: the URL holds a name or a password.", hint="Put the key into OPENAI_API_KEY.")
    if parts.query or parts.fragment:
        raise SettingsError(f"{source}: a base URL ends with its path; {text!r} does not.", hint=hint)
    return text.rstrip("/")


def _split(text: str) -> SplitResult | None:
    """A web address in parts; None for what is none."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_address and not any(map(str.isspace, text)) else None


def _truth(found: _Found) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    word = str(found.value).strip().lower()
    if word not in words:
        raise SettingsError(f"{found.source}: {found.value!r} is neither true nor false.", hint="Use true or false.")
    return words[word]


def _api_key(environ: Mapping[str, str]) -> str | None:
    key = environ.get("OPENAI_API_KEY", "").strip()
    return None if key.lower() in _NO_KEYS else key


def _names(table: Mapping[str, Any]) -> tuple[str, ...]:
    upstreams = table.get("upstreams", {})
    if not isinstance(upstreams, dict):
        raise SettingsError("[tool.harness.upstreams] is not a table.", hint="Write [tool.harness.upstreams.NAME].")
    return tuple(dict.fromkeys(("openai", *upstreams)))


def _parameters(value: Any) -> tuple[str, ...]:
    try:
        return tuple(_word(name) for name in _list(value))
    except TypeError as error:
        raise SettingsError(
            "[tool.harness] upstream_parameters is not a list of names.",
            hint='Write upstream_parameters = ["repetition_penalty"].',
        ) from error


def _match(value: Any) -> Match:
    table = _table(value, ("ignore", "replace"), "[tool.harness.match]")
    try:
        ignore = tuple(_word(path) for path in _list(table.get("ignore", [])))
        rules = _list(table.get("replace", []))
        replace = tuple((_word(rule["pattern"]), _word(rule["placeholder"])) for rule in rules)
    except (KeyError, TypeError) as error:
        raise SettingsError(
            "[tool.harness.match] is not what it should be.",
            hint='Write ignore = ["path"] and replace = [{pattern = "…", placeholder = "…"}].',
        ) from error
    return Match(ignore, replace)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
