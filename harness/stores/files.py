"""Files of recordings: their states, and how one is written whole or not at all."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

STALE_SECONDS = 3600.0
"""How old a temporary file must be before it is taken for the remains of a process that was killed."""

_SIGNED = (1 << 63) - 1


State: TypeAlias = tuple[int, int, int]
"""What tells one content of a file from another without reading it: when it was changed (in nanoseconds), its size, and
which file of the disk it is. One that is replaced within a tick of the clock is still another file."""


def state_of(path: Path | str) -> State | None:
    """The state of a file or folder; None when it is not there."""
    try:
        return _state(os.stat(path))  # noqa: PTH116 - each request asks this: a Path takes longer to make than to look at
    except OSError:
        return None


def _state(status: os.stat_result) -> State:
    return status.st_mtime_ns, status.st_size, status.st_ino & _SIGNED


@dataclass(slots=True)
class Below:
    """What there is in and below a directory, but for what is hidden.

    ``folders`` has each folder's state by what goes before the names in it (the directory itself is an empty text,
    others are like ``chat/``), as it was before it was listed; ``files`` each recording's, by its path without
    ``.json``.
    """

    folders: dict[str, State | None] = field(default_factory=dict)
    files: dict[str, State] = field(default_factory=dict)


def look(directory: Path) -> Below:
    """Look at every recording in and below a directory."""
    below = Below()
    for prefix, entries in _listings(directory, below.folders):
        for entry in entries:
            try:
                below.files[prefix + entry.name[:-5]] = _state(entry.stat())
            except OSError:
                continue  # It went away meanwhile.
    return below


def folders_below(directory: Path) -> list[str]:
    """The folders below a directory, in order, without a look at files."""
    folders: dict[str, State | None] = {}
    for _ in _listings(directory, folders):
        pass
    return sorted(folders.keys() - {""})


def count_below(directory: Path) -> int:
    """How many recordings there are, without a look at them."""
    return sum(len(entries) for _, entries in _listings(directory, {}))


def _listings(directory: Path, folders: dict[str, State | None]) -> Iterator[tuple[str, list["os.DirEntry[str]"]]]:
    """The recordings of each folder; ``folders`` is told each folder's state."""
    prefixes = [""]
    while prefixes:
        prefix = prefixes.pop()
        folders[prefix] = state_of(directory / prefix)
        recordings = []
        with suppress(OSError), os.scandir(directory / prefix) as found:
            for entry in found:
                name = entry.name
                if name[0] == ".":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    prefixes.append(f"{prefix}{name}/")
                elif name[-5:] == ".json":
                    recordings.append(entry)
        yield prefix, recordings


def write_whole(path: Path, data: bytes) -> State:
    """Write a file: a temporary one beside it, flushed to the disk, then renamed. The state that it has then.

    A process that is killed leaves the old file or the new one. Raises OSError, and leaves no file behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem[:16]}-", suffix=".json.tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
            state = _state(os.fstat(file.fileno()))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return state


def sweep_remains(directory: Path) -> None:
    """Remove what processes left behind that were killed while they wrote."""
    for path in directory.glob(".*.json.tmp"):
        try:
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
        except OSError:
            continue  # Another process was quicker, which is as good.
