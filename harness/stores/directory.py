"""Recordings in a directory: one JSON file each, written in one atomic rename."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RecordingError
from harness.recording import format as file_format
from harness.recording.canonical import Canonicalizer
from harness.recording.key import recording_name
from harness.recording.lookup import Entry
from harness.recording.model import Exchange

_STALE_SECONDS = 3600.0
"""How old a temporary file must be before it is taken for the remains of a process that was killed."""


@dataclass(frozen=True, slots=True)
class _Indexed:
    """What the index knows of a file, and the state of the file when it was read."""

    state: tuple[int, int]
    entry: Entry | None
    fault: str = ""


class DirectoryStore:
    """A RecordingStore over a directory and the folders below it; new recordings go into the directory itself.

    Looking a recording up by its key touches its file alone. The index is built on the first need; each time it is
    asked for, files that came, went or changed since are read again, so another process may write here at any time.
    """

    def __init__(self, directory: Path, canonicalizer: Canonicalizer) -> None:
        self.where = str(directory)
        self._directory = directory
        self._canonicalizer = canonicalizer
        self._index: dict[str, _Indexed] = {}
        self._folders: list[Path] | None = None
        self._swept = False

    def find(self, key: str) -> list[str]:
        for folder in self._known_folders():
            prefix = folder.relative_to(self._directory).as_posix()
            base = key if prefix == "." else f"{prefix}/{key}"
            names = list(self._sequence(base))
            if names:
                return names
        return []

    def _sequence(self, base: str) -> Iterator[str]:
        number = 1
        while self._path(recording_name(base, number)).is_file():
            yield recording_name(base, number)
            number += 1

    def _known_folders(self) -> list[Path]:
        if self._folders is None:
            found = [Path(folder) for folder, _, _ in os.walk(self._directory)]
            self._folders = found or [self._directory]
        return self._folders

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def load(self, name: str) -> Exchange:
        path = self._path(name)
        try:
            return file_format.to_exchange(file_format.loads(path.read_text("utf-8")))
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}", hint="Record it again.") from error
        except UnicodeDecodeError as error:
            raise RecordingError(f"{path}: not UTF-8", hint="Record it again, or restore the file.") from error
        except RecordingError as error:
            raise RecordingError(f"{path}: {error.message}", hint=error.hint) from error

    def save(self, exchange: Exchange, name: str) -> None:
        """Write a recording: a temporary file beside it, flushed to the disk, then renamed.

        A process that is killed leaves the old file or the new one. Raises RecordingError when the disk refuses.
        """
        text = file_format.dumps(file_format.to_document(exchange))
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sweep()
            _write(path, text.encode())
        except OSError as error:
            raise RecordingError(
                f"{path}: could not be written: {error.strerror}", hint="Make room or mend the permissions."
            ) from error

    def _sweep(self) -> None:
        """Remove, once, what killed processes left behind."""
        if self._swept:
            return
        self._swept = True
        for path in self._directory.glob(".*.json.tmp"):
            try:
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink()
            except OSError:
                continue  # Another process was quicker, which is as good.

    def entries(self) -> Sequence[Entry]:
        self._refresh()
        return [indexed.entry for _, indexed in sorted(self._index.items()) if indexed.entry is not None]

    def broken(self) -> Sequence[str]:
        return [f"{name}.json ({indexed.fault})" for name, indexed in sorted(self._index.items()) if indexed.fault]

    def _refresh(self) -> None:
        fresh: dict[str, _Indexed] = {}
        folders = []
        for folder, _, files in os.walk(self._directory):
            folders.append(Path(folder))
            for file in files:
                if file.endswith(".json") and not file.startswith("."):
                    path = Path(folder, file)
                    name = path.relative_to(self._directory).as_posix().removesuffix(".json")
                    state = _state(path)
                    if state is not None:
                        known = self._index.get(name)
                        fresh[name] = known if known and known.state == state else self._read(name, state)
        self._index, self._folders = fresh, sorted(folders) or [self._directory]

    def _read(self, name: str, state: tuple[int, int]) -> _Indexed:
        try:
            request = self.load(name).request
        except RecordingError as error:
            return _Indexed(state, None, error.message.partition(": ")[2] or error.message)
        return _Indexed(state, Entry(name, request, self._canonicalizer.fingerprint(request)))

    def stamp(self, names: Sequence[str]) -> object:
        paths = [*self._known_folders(), *(self._path(name) for name in names)]
        return tuple(_state(path) for path in paths)


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem[:16]}-", suffix=".json.tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
