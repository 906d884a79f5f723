"""Copies of an object store's recordings on this machine: files in the cache directory, each with its object's etag."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from harness.errors import RecordingError
from harness.stores.facts import Facts
from harness.stores.files import State, look, state_of, write_whole

COLUMNS = ("etag",)


class Copies:
    """The copies in ``directory``. Several processes may share them: a copy counts for whoever knows its file's state.

    Safe for threads.
    """

    def __init__(self, directory: Path, facts: Facts) -> None:
        self.directory = directory
        self._facts, self._lock = facts, threading.Lock()
        self._unwritten: dict[str, tuple[State, tuple[str]]] = {}
        here = look(directory).files
        known = {name: (state, str(etag)) for name, (state, (etag,)) in facts.load().items() if here.get(name) == state}
        self._known: dict[str, tuple[State, str]] = known
        self.forget(here.keys() - known.keys())

    @property
    def etags(self) -> dict[str, str]:
        """The etag of what was copied, for each name."""
        with self._lock:
            return {name: etag for name, (_, etag) in self._known.items()}

    def has(self, name: str, etag: str) -> bool:
        """Whether the copy of this name is of the object with this etag."""
        state, copied = self._known.get(name, (None, None))
        return copied == etag and state_of(self._file(name)) == state

    def _file(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def put(self, name: str, data: bytes, etag: str) -> None:
        """Copy an object. Raises RecordingError when the disk refuses."""
        try:
            state = write_whole(self._file(name), data)
        except OSError as error:
            raise RecordingError(
                f"{self._file(name)}: no copy could be written: {error.strerror}",
                hint="Make room, or name another place: HARNESS_CACHE=DIR",
            ) from error
        with self._lock:
            self._known[name] = state, etag
            self._unwritten[name] = state, (etag,)

    def forget(self, names: Iterable[str]) -> None:
        """Remove the copies of objects that are no more, or others now."""
        gone = list(names)
        for name in gone:
            with suppress(OSError):
                self._file(name).unlink(missing_ok=True)
        with self._lock:
            for name in gone:
                self._known.pop(name, None)
                self._unwritten.pop(name, None)
        if gone:
            self._facts.update({}, gone)

    def remember(self) -> None:
        """Write down, for the next run, what was copied."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
        if unwritten:
            self._facts.update(unwritten)
