"""Recordings as files, for commands that keep them in order: read, mended, renamed, removed."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.errors import RecordingError
from harness.recording.findings import File
from harness.recording.format import dumps, loads, to_exchange
from harness.recording.key import digest, key, parse_stem, recording_name
from harness.recording.mending import mended
from harness.recording.naming import Naming, naming
from harness.recording.redact import Redactor
from harness.recording.rekey import Renaming
from harness.stores.files import STALE_SECONDS, write_whole

_NO_TESTS = ("recordings", "node_modules", "__pycache__", "site-packages")


def places(root: Path) -> list[str]:
    """What is called a JSON file in and below a directory, in order; what is hidden is passed over."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(folder).relative_to(root)
        found += [(inside / name).as_posix() for name in (*folders, *files) if _is_recording_name(name)]
    return sorted(found)


def folders_of_tests(root: Path) -> list[Path]:
    """The folders called ``recordings`` below a project that stand beside its tests.

    Other projects in it (with a pyproject.toml of their own), environments and hidden folders are passed over.
    """
    found = []
    for folder, folders, files in os.walk(root):
        if Path(folder) != root and {"pyproject.toml", "pyvenv.cfg"} & set(files):
            folders.clear()
            continue
        if "recordings" in folders and Path(folder) != root:
            found.append(Path(folder) / "recordings")
        folders[:] = sorted(name for name in folders if name not in _NO_TESTS and not name.startswith("."))
    return found


def _is_recording_name(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def remains(root: Path) -> list[str]:
    """Temporary files that killed processes left in and below a directory."""
    old = time.time() - STALE_SECONDS
    found = (path for path in sorted(root.rglob(".*.json.tmp")) if path.is_file() and path.stat().st_mtime < old)
    return [path.relative_to(root).as_posix() for path in found]


def read(root: Path, names: Iterable[str]) -> Iterator[File]:
    """Files as text, byte for byte; one that cannot be read comes with its fault."""
    for place in names:
        path = root / place
        try:
            yield File(place, path.read_bytes().decode(), is_link=path.is_symlink())
        except UnicodeDecodeError:
            yield File(place, fault="not UTF-8")
        except IsADirectoryError:
            yield File(place, fault="a directory", remedy=("mv", place.removesuffix(".json")))
        except PermissionError:
            yield File(place, fault="may not be read", remedy=("chmod u+r",))
        except OSError as error:
            yield File(place, fault=_why(path, error), remedy=("rm",) if path.is_symlink() else ())


def _why(path: Path, error: OSError) -> str:
    if path.is_symlink():
        return f"a link to {path.readlink()}, which is not there"
    return error.strerror or str(error)


def rewrite(path: Path, redactor: Redactor) -> None:
    """Write a recording anew, as it should be written: in our form, in step with itself, without secrets.

    Where a secret was part of its name, it gets the name of what it holds without it, if no file has that.
    """
    document = loads(path.read_bytes().decode())
    clean = mended(document, redactor)
    _written(path, dumps(clean))
    base, number = parse_stem(path.stem)
    # What is no exchange over HTTP has no key; OGX named it for its request.
    is_http = "url" in clean["request"]
    holds = key(to_exchange(clean).request, redactor) if is_http else digest(clean["request"])
    new = path.with_name(f"{recording_name(holds, number)}.json")
    unnamed = (Naming.NONE, Naming.ANSWER)
    was_named = naming(base, document, holds) not in unnamed
    if was_named and naming(base, clean, holds) in unnamed and not new.exists():
        _renamed(path, new)


def _renamed(path: Path, new: Path) -> None:
    try:
        path.rename(new)
    except OSError as error:
        raise RecordingError(f"{path}: could not be renamed: {error.strerror}", hint="Mend the permissions.") from error


def _written(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise RecordingError(
            f"{path}: could not be written: {error.strerror}", hint="Make room or mend the permissions."
        ) from error


def remove(path: Path) -> None:
    """Remove a file, or a link and not what it leads to. Raises RecordingError."""
    try:
        path.unlink()
    except OSError as error:
        raise RecordingError(f"{path}: could not be removed: {error.strerror}", hint="Mend the permissions.") from error


def rename(root: Path, renamings: Sequence[Renaming]) -> None:
    """Rename files, in whatever order their names free each other; nothing is written over. Raises RecordingError."""
    waiting = [(root / one.old, root / one.new) for one in renamings if not one.hindrance]
    while waiting:
        free = [(old, new) for old, new in waiting if not new.exists()]
        if not free:
            old, new = waiting[0]
            if new not in [other for other, _ in waiting]:
                raise RecordingError(f"{new} is there already.", hint="Look at both files, and remove one of them.")
            # Each waits for the name of another: one steps aside, under a name that verify would find.
            free = [(old, aside := old.with_name(f"moving-{old.name}"))]
            waiting.append((aside, new))
        for old, new in free:
            _renamed(old, new)
        waiting = [one for one in waiting if one not in free and one[0].exists()]
