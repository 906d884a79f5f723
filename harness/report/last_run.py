"""What the last whole runs used, kept beside the project for ``harness prune``: one file for each suite or command."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from harness.report.coverage import Coverage

FOLDER = ".harness_cache"
_FORMAT = "last-run.{}.json"
_VERSION = 2

State: TypeAlias = tuple[int, int]
"""When a recording was changed (in nanoseconds), and its size."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """A run in which everything that was asked for was answered, and that passed.

    ``command`` begins it again. ``used`` are, of each directory (relative to the project), the recordings that answered
    or were written; ``files`` all that were there when it ended.
    """

    command: str
    coverage: Coverage
    used: Mapping[str, frozenset[str]] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, State]] = field(default_factory=dict)


def last_run(
    command: str,
    coverage: Coverage,
    root: Path,
    used: Mapping[str, Iterable[str]],
    files: Mapping[str, Mapping[str, State]],
) -> LastRun:
    """A run whose directories are written as seen from ``root``."""
    return LastRun(
        command,
        coverage,
        {_within(place, root): frozenset(names) for place, names in used.items()},
        {_within(place, root): states for place, states in files.items()},
    )


def keep(run: LastRun, root: Path) -> None:
    """Write a run down, in place of the last one of its command. A disk that refuses is no one's failure."""
    known = run.coverage.known
    value = {
        "version": _VERSION,
        "command": run.command,
        "passed": sorted(run.coverage.passed, key=lambda scope: scope or ""),
        "known": None if known is None else sorted(known),
        "used": {place: sorted(names) for place, names in sorted(run.used.items())},
        "files": {place: dict(sorted(states.items())) for place, states in sorted(run.files.items())},
    }
    folder = root / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        (folder / ".gitignore").write_text("*\n", "utf-8")
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
            json.dump(value, file, indent=1)
        Path(file.name).replace(_file(run.command, root))
    except OSError:
        return


def add(command: str, root: Path, used: Mapping[str, Iterable[str]]) -> None:
    """A later run of a part of it used these, too: a test that has come since may need what none needed before."""
    run = _read(_file(command, root))
    if run is None:
        return
    known = dict(run.used)
    for place, names in used.items():
        within = _within(place, root)
        known[within] = known.get(within, frozenset()) | frozenset(names)
    if known != run.used:
        keep(replace(run, used=known), root)


def forget(command: str, root: Path) -> None:
    """A whole run that did not pass is nothing to go by, and nor is the one before it."""
    try:
        _file(command, root).unlink(missing_ok=True)
    except OSError:
        return


def load(root: Path) -> list[LastRun]:
    """The last runs of every command that are known."""
    files = sorted((root / FOLDER).glob(_FORMAT.format("*")))
    return [run for file in files if (run := _read(file)) is not None]


def root_of(here: Path) -> Path | None:
    """The nearest directory from ``here`` upwards in which runs are kept; None for none."""
    return next((folder for folder in (here, *here.parents) if any((folder / FOLDER).glob(_FORMAT.format("*")))), None)


def _file(command: str, root: Path) -> Path:
    return root / FOLDER / _FORMAT.format(sha256(command.encode()).hexdigest()[:12])


def _read(file: Path) -> LastRun | None:
    """A run as it was written; None for what is none, or of another version of this file."""
    try:
        value: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if value["version"] != _VERSION:
            return None
        known = value["known"]
        return LastRun(
            value["command"],
            Coverage(frozenset(value["passed"]), None if known is None else frozenset(known)),
            {place: frozenset(names) for place, names in value["used"].items()},
            {
                place: {name: (state[0], state[1]) for name, state in states.items()}
                for place, states in value["files"].items()
            },
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _within(place: str, root: Path) -> str:
    path = Path(place)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else place
