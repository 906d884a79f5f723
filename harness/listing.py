"""What is there: recordings of directories described one by one, however many, spread over the processors."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.crew import Crew
from harness.errors import NotHttp, RecordingError
from harness.recording.canonical import Canonicalizer
from harness.recording.description import Description, describe
from harness.recording.model import Exchange
from harness.recording.selection import Selection
from harness.stores.history import commit_times
from harness.stores.reading import Recordings, exchange_of, in_directory

_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be described. ``canonicalizer`` makes one, in every process its own: it is a function that pickles.

    ``ages``: look up how long ago each recording was committed.
    """

    selection: Selection
    canonicalizer: Callable[[], Canonicalizer]
    ages: bool = False


@dataclass(slots=True)
class LeftOut:
    """Files that are no recordings, each with the reason, and how many are of exchanges that no HTTP API had."""

    unreadable: list[str] = field(default_factory=list)
    passed_over: int = 0

    def add(self, path: object, error: RecordingError) -> None:
        if isinstance(error, NotHttp):
            self.passed_over += 1
        else:
            self.unreadable.append(f"{path}: {error.message}")

    def extend(self, others: "LeftOut") -> None:
        self.unreadable += others.unreadable
        self.passed_over += others.passed_over


@dataclass(frozen=True, slots=True)
class Listed:
    """Recordings in the order of their tests, what was left out (``LeftOut``), and how many files there are in all."""

    found: Sequence[Description]
    unreadable: Sequence[str]
    passed_over: int
    count: int


def list_all(places: Sequence[Path], asked: Asked) -> Listed:
    """The recordings in and below directories that were asked for. Raises RecordingError where one is not there."""
    found: list[Description] = []
    left_out = LeftOut()
    count = 0
    for place in places:
        recordings = opened(place)
        count += len(recordings.files)
        for one in _described(recordings, asked):
            if isinstance(one, Description):
                found.append(one)
            else:
                left_out.extend(one)
    found.sort(key=lambda one: (one.test or "", one.endpoint, one.name))
    return Listed(found, left_out.unreadable, left_out.passed_over, count)


def opened(place: Path) -> Recordings:
    """The recordings of a directory. Raises RecordingError where it is not there."""
    if not place.is_dir():
        raise RecordingError(
            f"No recordings: {place} is not a directory.",
            hint="Name a directory of recordings, or record some: HARNESS_MODE=record-if-missing pytest",
        )
    return in_directory(place)


def pick(places: Sequence[Path], selection: Selection, left_out: LeftOut) -> Iterator[tuple[Path, str, Exchange]]:
    """The recordings that were asked for, each with its file and its name, one at a time.

    ``left_out`` is told of those that cannot be. Raises RecordingError for a directory that is not there.
    """
    for place in places:
        recordings = opened(place)
        for name, file in recordings.files.items():
            if not selection.takes_name(name):
                continue
            try:
                exchange = exchange_of(recordings.read(name))
            except RecordingError as error:
                left_out.add(place / file, error)
                continue
            if selection.takes(name, exchange):
                yield place / file, name, exchange


def _described(recordings: Recordings, asked: Asked) -> Iterator[Description | LeftOut]:
    """Each recording, or the file that was left out."""
    names = [name for name in recordings.files if asked.selection.takes_name(name)]
    times = commit_times(Path(recordings.where)) if asked.ages else {}
    now = time.time()
    with Crew(len(names), _set_up, asked) as crew:
        for one in crew.each(_describe_batch, _read(recordings, names)):
            if isinstance(one, LeftOut):
                yield one
            elif one is not None:
                changed = times.get(recordings.files[one.name])
                yield one if changed is None else replace(one, age=int((now - changed) // _DAY))


def _read(recordings: Recordings, names: Iterable[str]) -> Iterator[tuple[str, str, bytes | str]]:
    """Name, path and bytes; in place of the bytes, why there are none."""
    for name in names:
        path = f"{recordings.where}/{recordings.files[name]}"
        try:
            yield name, path, recordings.read(name)
        except RecordingError as error:
            yield name, path, error.message


# What a process works on.

_benches: list[tuple[Selection, Canonicalizer]] = []


def _set_up(asked: Asked) -> None:
    _benches[:] = [(asked.selection, asked.canonicalizer())]


def _describe_batch(batch: list[tuple[str, str, bytes | str]]) -> list[Description | LeftOut | None]:
    """Of each recording its description, None for one that was not asked for, or the file that was left out."""
    selection, canonicalizer = _benches[0]
    return [_one(name, path, data, selection, canonicalizer) for name, path, data in batch]


def _one(
    name: str, path: str, data: bytes | str, selection: Selection, canonicalizer: Canonicalizer
) -> Description | LeftOut | None:
    if isinstance(data, str):
        return LeftOut([f"{path}: {data}"])
    try:
        exchange = exchange_of(data)
    except RecordingError as error:
        left_out = LeftOut()
        left_out.add(path, error)
        return left_out
    return describe(name, path, len(data), exchange, canonicalizer) if selection.takes(name, exchange) else None
