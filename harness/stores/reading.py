"""Recordings of a directory or a file, for commands that look at whole sets of them: named at once, read one by one."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import RecordingError
from harness.recording.format import loads, to_exchange
from harness.recording.model import Exchange


@dataclass(frozen=True, slots=True)
class Recordings:
    """A set of recordings by their names.

    ``where`` says in words where they are. ``files`` are their paths there, for people; ``read`` gives the bytes of the
    recording of a name, and raises RecordingError where it cannot. ``close`` ends what reading needed.
    """

    where: str
    files: Mapping[str, str]
    read: Callable[[str], bytes]
    close: Callable[[], None] = field(default=lambda: None)


def exchange_of(data: bytes) -> Exchange:
    """What a file's bytes record. Raises RecordingError when they are no recording."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordingError(f"not UTF-8: {error}", hint="Record it again, or restore the file.") from error
    return to_exchange(loads(text))


def named(files: Iterable[str]) -> dict[str, str]:
    """Paths of files, in order, by the names of their recordings.

    The name is the file's, without ``.json``; where several folders have a file of that name it is the path. What is no
    ``.json`` file, hidden or in a hidden folder is passed over.
    """
    seen = sorted(file for file in files if file.endswith(".json") and not _is_hidden(file))
    stems = [file.rpartition("/")[2].removesuffix(".json") for file in seen]
    count = Counter(stems)
    return {
        stem if count[stem] == 1 else file.removesuffix(".json"): file for file, stem in zip(seen, stems, strict=True)
    }


def _is_hidden(file: str) -> bool:
    return any(part.startswith(".") for part in file.split("/"))


def in_directory(path: Path) -> Recordings:
    """The recordings in and below a directory. Raises RecordingError for a folder that cannot be looked into."""
    found = named(file.relative_to(path).as_posix() for file in _files_below(path) if file.is_file())
    return Recordings(str(path), found, lambda name: _bytes(path / found[name]))


def _files_below(path: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise RecordingError(
            f"{error.filename} cannot be looked into: {error.strerror}", hint=f"chmod u+rx {error.filename}"
        ) from error

    for folder, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in files if name.endswith(".json"))


def in_file(path: Path, name: str = "") -> Recordings:
    """One recording, under the name of its file or another."""
    return Recordings(str(path.parent), {name or path.stem: path.name}, lambda _: _bytes(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordingError(error.strerror or str(error), hint="Make it readable.") from error
