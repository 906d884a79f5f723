"""What the last whole runs used, kept beside the project for ``harness prune``: one of each kind."""

import json
import tempfile
from pathlib import Path
from typing import Any

from harness.report.run_log import RunLog

FOLDER = ".harness_cache"
_FILES = "last-run.{}.json"


def keep(log: RunLog, root: Path, *, kind: str, directories: list[str]) -> None:
    """Write down which recordings a run used, of those in ``directories``, in place of the last run of its ``kind``.

    A disk that refuses is no one's failure. Places inside ``root`` are written relative to it.
    """
    used = log.used()
    value = {
        "version": 1,
        "mode": log.mode,
        "tests": sorted(log.tests),
        "used": {_within(place, root): used.get(place, []) for place in sorted({*directories, *used})},
    }
    folder = root / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        (folder / ".gitignore").write_text("*\n", "utf-8")
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
            json.dump(value, file, indent=2)
        Path(file.name).replace(folder / _FILES.format(kind))
    except OSError:
        return


def load(root: Path) -> dict[str, Any] | None:
    """The last runs of every kind together; None when none is known.

    ``used``: of each directory, relative to ``root``, the names of the recordings that answered; ``tests``: node ids.
    """
    found = [value for file in sorted((root / FOLDER).glob(_FILES.format("*"))) if (value := _read(file)) is not None]
    if not found:
        return None
    used: dict[str, set[str]] = {}
    for place, names in (row for value in found for row in value["used"].items()):
        used.setdefault(place, set()).update(names)
    tests = sorted({test for value in found for test in value["tests"]})
    return {"tests": tests, "used": {place: sorted(names) for place, names in used.items()}}


def _read(file: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and value.get("version") == 1 else None


def _within(place: str, root: Path) -> str:
    path = Path(place)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else place
