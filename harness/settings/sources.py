"""Where a setting may stand: flags, the environment, the project's pyproject.toml."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import SettingsError

TABLE = (
    *("mode", "mcp_mode", "recordings", "upstream", "strict", "state", "responses", "keep_equal", "cache"),
    *("record_errors", "timings", "speed", "vcr", "mcp_approval"),
    *("upstreams", "upstream_parameters", "mcp_connectors", "match", "redact", "setups"),
)
"""What ``[tool.harness]`` may hold."""


class Found(NamedTuple):
    """A value, where it came from in words, and what it is relative to if it is a path."""

    value: Any
    source: str
    base: Path


@dataclass(frozen=True, slots=True)
class Given:
    """The sources of settings, the first one first."""

    flags: Mapping[str, Any]
    flag_prefix: str
    environ: Mapping[str, str]
    here: Path
    table: Mapping[str, Any]
    file: Path
    directory: Path
    between: Mapping[str, Found]

    def find(self, name: str, default: str) -> Found:
        variable = f"HARNESS_{name.upper()}"
        if self.flags.get(name) is not None:
            return Found(self.flags[name], f"{self.flag_prefix}{name.replace('_', '-')}", self.here)
        if variable in self.environ:
            return Found(self.environ[variable], variable, self.here)
        if name in self.between:
            return self.between[name]
        if name in self.table:
            return Found(self.table[name], f"[tool.harness] {name} in {self.file}", self.file.parent)
        return Found(default, name, self.directory)


def project_table(directory: Path) -> tuple[Path, Mapping[str, Any]]:
    """The nearest pyproject.toml at or above ``directory`` that has a ``[tool.harness]``, and that table."""
    for folder in (directory, *directory.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            tools = _toml(file).get("tool", {})
            if isinstance(tools, dict) and "harness" in tools:
                return file, checked_table(tools["harness"], TABLE, "[tool.harness]", file)
    return directory / "pyproject.toml", {}


def _toml(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}", hint="Mend that line.") from error
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}", hint="Make it readable.") from error


def checked_table(value: Any, known: Sequence[str], name: str, file: Path | None = None) -> Mapping[str, Any]:
    """A table of the project's file. A name in it that means nothing is most likely one that was mistyped."""
    where = f"{name} in {file}" if file else name
    if not isinstance(value, dict):
        raise SettingsError(f"{where} is not a table.", hint=f"Write {name} on a line of its own.")
    for unknown in value.keys() - set(known):
        raise SettingsError(f"{where}: {unknown!r} is no setting.", hint=f"Use one of: {', '.join(known)}.")
    return value


def is_given(name: str, flags: Mapping[str, Any], environ: Mapping[str, str], directory: Path) -> bool:
    """Whether a flag, a variable or ``[tool.harness]`` says anything about a setting."""
    given = flags.get(name) is not None or f"HARNESS_{name.upper()}" in environ
    return given or name in project_table(directory)[1]
