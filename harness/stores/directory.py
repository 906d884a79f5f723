"""Recordings in a directory: one JSON file each, written in one atomic rename."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import RecordingError
from harness.recording import format as file_format
from harness.recording.canonical import Canonicalizer
from harness.recording.key import parse_stem, recording_name
from harness.recording.lookup import Entry
from harness.recording.model import Exchange, Request
from harness.recording.unchanged import is_unchanged
from harness.stores.facts import Facts
from harness.stores.files import State, count_below, folders_below, state_of, sweep_remains, write_whole
from harness.stores.index import Index


class DirectoryStore:
    """A RecordingStore over a directory and the folders below it.

    New recordings go into the directory itself; what is recorded again stays in its folder. Looking a recording up by
    its key touches its file alone. The index is built on the first need and follows what other processes do here; with
    ``facts`` it is kept between runs. With ``keep_equal`` an old recording stays where the new one brings only noise.
    ``begun`` is when the run began that this store is opened for, in nanoseconds since 1970: by default now.
    """

    def __init__(
        self,
        directory: Path,
        canonicalizer: Canonicalizer,
        *,
        keep_equal: bool = True,
        facts: Facts | None = None,
        begun: int | None = None,
    ) -> None:
        self.where, self.is_remote = str(directory), False
        self._begun = time.time_ns() if begun is None else begun
        self._saved: set[str] = set()
        self._directory, self._keep_equal = directory, keep_equal
        self._index = Index(directory, canonicalizer, self._request, facts)
        self._folders: list[str] | None = None
        self._folder_states: list[State | None] = []
        self._rests: dict[str, dict[str, State]] = {}
        self._swept = False

    def find(self, key: str) -> list[str]:
        names = list(self._sequence(key))
        for folder in () if names else self._known_folders():
            names = list(self._sequence(folder + key))
            if names:
                break
        return names

    def beginning(self, digits: str) -> list[str]:
        folders = ("", *self._known_folders())
        return sorted(
            folder + path.stem for folder in folders for path in (self._directory / folder).glob(f"{digits}*.json")
        )

    def _sequence(self, base: str, first: int = 1) -> Iterator[str]:
        number = first
        while self.has(recording_name(base, number)):
            yield recording_name(base, number)
            number += 1

    def _known_folders(self) -> list[str]:
        """The folders below, as they are now: listing them is repeated when one of them has changed."""
        if self._folders is None or self._folder_states != self._states_of_folders(self._folders):
            self._folders = folders_below(self._directory)
            self._folder_states = self._states_of_folders(self._folders)
        return self._folders

    def _states_of_folders(self, folders: Sequence[str]) -> list[State | None]:
        return [state_of(f"{self.where}/{folder}") for folder in ("", *folders)]

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def has(self, name: str) -> bool:
        return os.path.isfile(f"{self.where}/{name}.json")  # noqa: PTH113 - each request asks this: see state_of

    def is_older(self, name: str) -> bool:
        # A disk's clock ticks slowly: what was just written may look older than it is.
        state = None if name in self._saved else state_of(self._path(name))
        return state is not None and state[0] < self._begun

    def count(self) -> int:
        return count_below(self._directory)

    def load(self, name: str) -> Exchange:
        path = f"{self.where}/{name}.json"
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - as above
                text = file.read().decode()
            return file_format.to_exchange(file_format.loads(text))
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}", hint="Record it again.") from error
        except UnicodeDecodeError as error:
            raise RecordingError(f"{path}: not UTF-8", hint="Record it again, or restore the file.") from error
        except RecordingError as error:
            raise type(error)(f"{path}: {error.message}", hint=error.hint) from error

    def _request(self, name: str) -> Request:
        return self.load(name).request

    def save(self, exchange: Exchange, name: str) -> bool:
        name = self._placed(name)
        self._note_rest(name)
        if self._keep_equal and self._says_the_same(name, exchange):
            return False
        self._write(name, exchange)
        self._saved.add(name)
        return True

    def renew(self, name: str, ids: Mapping[str, str]) -> None:
        name = self._placed(name)
        old = self.load(name)
        if old.ids != ids:
            self._write(name, replace(old, ids=ids))

    def _write(self, name: str, exchange: Exchange) -> None:
        path = self._path(name)
        try:
            if not self._swept:
                self._swept = True
                sweep_remains(self._directory)
            write_whole(path, file_format.dumps(file_format.to_document(exchange)).encode())
        except OSError as error:
            raise RecordingError(
                f"{path}: could not be written: {error.strerror}", hint="Make room or mend the permissions."
            ) from error

    def _placed(self, name: str) -> str:
        """The name with the folder before it in which its sequence already is."""
        base, number = parse_stem(name)
        found = [] if "/" in base else self.find(base)
        return recording_name(parse_stem(found[0])[0], number) if found else name

    def _says_the_same(self, name: str, exchange: Exchange) -> bool:
        try:
            return self.has(name) and is_unchanged(self.load(name), exchange)
        except RecordingError:
            return False

    def _note_rest(self, name: str) -> None:
        """When a sequence begins to be recorded: what else there is of it. Only that is ever trimmed."""
        base, number = parse_stem(name)
        if number == 1:
            rest = {old: state_of(self._path(old)) for old in self._sequence(base, 2)}
            self._rests[base] = {old: state for old, state in rest.items() if state is not None}

    def trim(self, base: str, count: int) -> list[str]:
        base = parse_stem(self._placed(base))[0]
        rest = sorted(self._rests.pop(base, {}).items(), key=lambda row: -parse_stem(row[0])[1])
        left = [name for name, state in rest if parse_stem(name)[1] > count and state_of(self._path(name)) == state]
        # The last one first: whoever is killed here leaves a sequence without a gap.
        for name in left:
            self.remove(name)
        return left[::-1]

    def remove(self, name: str) -> None:
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RecordingError(
                f"{path}: could not be removed: {error.strerror}", hint="Mend the permissions."
            ) from error

    def entries(self) -> Sequence[Entry]:
        return self._index.entries()

    def sharing(self, fingerprint: str) -> Sequence[Entry]:
        self._known_folders()
        return self._index.sharing(fingerprint)

    def nearest(self, request: Request, at_most: int) -> Sequence[Entry]:
        return self._index.nearest(request, at_most)

    def broken(self) -> Sequence[str]:
        return self._index.faults()

    def passed_over(self) -> int:
        return self._index.passed_over()

    def stamp(self, names: Sequence[str]) -> object:
        if self._folders is None:
            self._known_folders()
        return *self._states_of_folders(self._folders or ()), *(state_of(f"{self.where}/{name}.json") for name in names)
