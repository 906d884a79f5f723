"""Recordings as files, for commands that keep them in order: read, mended, renamed, and how old they are."""

import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import RecordingError
from harness.recording.format import dumps, loads
from harness.recording.redact import Redactor
from harness.recording.rekey import Renaming
from harness.recording.verify import File, in_step, without_secrets
from harness.stores.files import STALE_SECONDS, write_whole


def places(root: Path) -> list[str]:
    """The JSON files in and below a directory, in order; hidden ones are passed over."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(folder).relative_to(root)
        found += [(inside / name).as_posix() for name in files if name.endswith(".json") and not name.startswith(".")]
    return sorted(found)


def remains(root: Path) -> list[str]:
    """Temporary files that killed processes left in and below a directory."""
    old = time.time() - STALE_SECONDS
    found = (path for path in sorted(root.rglob(".*.json.tmp")) if path.is_file() and path.stat().st_mtime < old)
    return [path.relative_to(root).as_posix() for path in found]


def read(root: Path, names: Iterable[str]) -> Iterator[File]:
    """Files as text, byte for byte; one that cannot be read comes with its fault."""
    for place in names:
        try:
            yield File(place, (root / place).read_bytes().decode())
        except UnicodeDecodeError:
            yield File(place, fault="not UTF-8")
        except OSError as error:
            yield File(place, fault=error.strerror or str(error))


def rewrite(path: Path, redactor: Redactor) -> None:
    """Write a recording anew, as it should be written: in our form, in step with itself, without secrets."""
    document = loads(path.read_bytes().decode())
    _written(path, dumps(without_secrets(in_step(document), redactor)))


def _written(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise RecordingError(
            f"{path}: could not be written: {error.strerror}", hint="Make room or mend the permissions."
        ) from error


def rename(root: Path, renamings: Sequence[Renaming]) -> None:
    """Rename files, in whatever order their names free each other; nothing is written over."""
    waiting = [renaming for renaming in renamings if not renaming.hindrance]
    while waiting:
        free = [renaming for renaming in waiting if not (root / renaming.new).exists()]
        if not free:
            raise RecordingError(
                f"{root / waiting[0].new} is there already.", hint="Look at both files, and remove one of them."
            )
        for renaming in free:
            (root / renaming.old).rename(root / renaming.new)
        waiting = [renaming for renaming in waiting if renaming not in free]


def commit_times(root: Path) -> Mapping[str, int]:
    """When each file below a directory was last committed, in seconds since 1970. Files never committed are not there.

    One pass over the history. Raises RecordingError where there is none, or only its end.
    """
    log = _git(root, "log", "--format=%x00%ct", "--name-only", "--relative", "--no-renames", "--", ".")
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise RecordingError(f"{root}: the repository's history is cut off.", hint="git fetch --unshallow")
    times: dict[str, int] = {}
    for commit in log.split("\0")[1:]:
        time_of, _, names = commit.partition("\n")
        for name in names.split("\n"):
            if name:
                times.setdefault(name, int(time_of))
    return times


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours, and no shell reads them
            ["git", "-C", str(root), "-c", "core.quotePath=false", *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise RecordingError("git is not installed: recordings have no age without it.", hint="Install git.") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip()
        raise RecordingError(f"{root}: git says: {words}", hint="Is it in a repository with a commit?") from error
    return done.stdout.decode(errors="replace")
