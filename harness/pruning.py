"""Recordings that the last whole runs did not use: which they are, and their end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.recording.canonical import endpoint_of
from harness.recording.key import parse_stem
from harness.recording.lookup import Entry
from harness.report.coverage import Coverage, unused
from harness.report.last_run import LastRun, State
from harness.stores.files import look
from harness.stores.protocol import RecordingStore

_NOT_JOURNALED = "/v1/models"
"""A listing answers without a line in the journal."""
_TOLD = 3
_AGAIN = "pytest"
"""What makes a run to go by where there is none."""


class NothingToGoBy(HarnessError):
    """There is no run that says what is unused, or not of the recordings as they are."""


@dataclass(frozen=True, slots=True)
class Unused:
    """A recording that no run used: the store that has it, its name in there, its scope, its file and its size."""

    store: RecordingStore
    name: str
    scope: str | None
    file: Path
    size: int


def states_of(directory: Path) -> dict[str, State]:
    """The recordings in and below a directory, each with what tells whether it was changed."""
    return {name: state[:2] for name, state in look(directory).files.items()}


def unused_in(store: RecordingStore, used: Sequence[str], coverage: Coverage, root: Path) -> list[Entry]:
    """The recordings of a store that a run would have used if anything needed them. ``root`` is the suite's."""

    def is_file(file: str) -> bool:
        return (root / file).is_file()

    covered = [
        entry
        for entry in store.entries()
        if endpoint_of(entry.path) != _NOT_JOURNALED and coverage.covers(entry.scope, is_file)
    ]
    going = set(unused([entry.name for entry in covered], used))
    return [entry for entry in covered if entry.name in going]


def find(runs: Sequence[LastRun], stores: Mapping[str, RecordingStore], root: Path, *, shared: bool) -> list[Unused]:
    """What no run used, in directories as the runs name them, each with its store.

    A run that did not see the recordings as they are covers none of them; what it used is used all the same.
    ``shared``: also of what belongs to no test, if a run asked for such. Raises NothingToGoBy where no run saw a
    directory as it is.
    """
    found = []
    for place, store in stores.items():
        now = states_of(root / place)
        known = [run for run in runs if place in run.files]
        used = [name for run in known for name in run.used.get(place, ())]
        for entry in _going(store, used, _fresh(place, known, now), root, shared=shared):
            file = root / place / f"{entry.name}.json"
            found.append(Unused(store, entry.name, entry.scope, file, now[entry.name][1]))
    return found


def _going(
    store: RecordingStore, used: Sequence[str], runs: Sequence[LastRun], root: Path, *, shared: bool
) -> list[Entry]:
    """The recordings that some run covered and none used."""
    found: dict[str, Entry] = {}
    for run in runs:
        coverage = run.coverage if shared else Coverage(run.coverage.passed - {None}, run.coverage.known)
        found |= {entry.name: entry for entry in unused_in(store, used, coverage, root)}
    return [entry for _, entry in sorted(found.items())]


def _fresh(place: str, runs: Sequence[LastRun], now: Mapping[str, State]) -> list[LastRun]:
    """The runs that saw every recording as it is. Raises NothingToGoBy for none."""
    changed = {
        run.command: [name for name, state in now.items() if run.files[place].get(name) != state] for run in runs
    }
    fresh = [run for run in runs if not changed[run.command]]
    if fresh:
        return fresh
    again = f"{'; '.join(changed) or _AGAIN}; harness prune"
    if not runs:
        raise NothingToGoBy(
            f"No whole run that passed is known to have used {place}.", hint=f"Run all of it first: {again}"
        )
    names = sorted(
        set.intersection(*map(set, changed.values())) or {name for some in changed.values() for name in some}
    )
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    told = ", ".join(name.rpartition("/")[2][:12] for name in names[:_TOLD])
    raise NothingToGoBy(
        f"Recordings in {place} came or changed after the last whole run: {told}{more}.",
        hint=f"Run all of it again: {again}",
    )


def delete(found: Sequence[Unused]) -> None:
    """Delete recordings, of a sequence the last one first: whoever is killed here leaves none with a gap.

    Raises RecordingError.
    """
    for one in sorted(found, key=lambda one: parse_stem(one.name), reverse=True):
        one.store.remove(one.name)
