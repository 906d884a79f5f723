"""Recordings as files, for commands that keep them in order: read, mended, renamed, removed."""

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RecordingError
from harness.recording.findings import File
from harness.recording.format import dumps, loads, to_exchange
from harness.recording.key import digest, key, parse_stem, recording_name
from harness.recording.mending import mended
from harness.recording.naming import Naming, naming
from harness.recording.redact import Redactor
from harness.recording.rekey import Renaming
from harness.stores.files import STALE_SECONDS, state_of, write_whole

_OURS = re.compile(r"\..*\.json\.tmp")
_OTHERS = re.compile(r".*\.json(?:~|\.(?:tmp|temp|part|partial|crdownload|bak|backup|old|orig|rej|save|sw[nop]))")
"""What is written in place of a recording for a while: by us, by editors, patches and downloads."""
_NO_TESTS = ("recordings", "node_modules", "__pycache__", "site-packages")


def places(root: Path) -> list[str]:
    """What is called a JSON file in and below a directory, in order; what is hidden or closed is passed over."""
    found = []
    for folder, folders, files in _walk(root):
        found += [folder + name for name in (*folders, *files) if _is_recording_name(name)]
    return sorted(found)


def closed(root: Path) -> list[str]:
    """The folders that may not be looked into, below a directory or that itself (``.``)."""
    if not _is_open(root):
        return ["."]
    return sorted(
        folder + name for folder, folders, _ in _walk(root) for name in folders if not _is_open(root / folder / name)
    )


def _walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder that is open, as it stands before the names in it, with the names of its folders and of its files."""
    for path, folders, files in os.walk(root):
        inside = Path(path).relative_to(root).as_posix()
        seen = [name for name in folders if not name.startswith(".")]
        yield "" if inside == "." else f"{inside}/", seen, files
        folders[:] = sorted(name for name in seen if _is_open(Path(path, name)))


def _is_open(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


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
    # In capitals it is one to its owner, if to no look-up: it is found to be misnamed.
    return name.lower().endswith(".json") and not name.startswith(".")


@dataclass(frozen=True, slots=True)
class Remains:
    """A file that nothing reads. ``is_under_way``: it may be of a write that is not over."""

    place: str
    is_under_way: bool


def remains(root: Path) -> list[Remains]:
    """What killed processes and other tools left in and below a directory beside recordings."""
    old, found = time.time() - STALE_SECONDS, []
    for folder, _, files in _walk(root):
        for name in files:
            is_ours = bool(_OURS.fullmatch(name))
            if is_ours or _OTHERS.fullmatch(name):
                is_young = is_ours and (state_of(root / folder / name) or (0,))[0] > old * 1e9
                found.append(Remains(folder + name, is_young))
    return sorted(found, key=lambda one: one.place)


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
