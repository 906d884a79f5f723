"""New answers put where they belong, each file in one atomic rename: by whole tests, so that all of a test is new."""

from dataclasses import dataclass, field

from harness.recording.key import parse_stem, recording_name
from harness.refresh.wanted import NEW, Outcome
from harness.stores.protocol import RecordingStore
from harness.stores.staging import Staging


@dataclass(slots=True)
class Placed:
    """What came of it: how many files are new, say the same as before, went, and were kept back for their test."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Whole:
    """Steps that only make sense together: the new names, by their places, and the names that they replace."""

    new: dict[str, str] = field(default_factory=dict)
    old: set[str] = field(default_factory=set)


def place(outcome: Outcome, staging: Staging, store: RecordingStore, *, replaces: bool) -> Placed:
    """Put the answers of every whole that is complete into ``store``. Raises RecordingError.

    With ``replaces`` the recorded ones were in that store, and go where a new one has another name.
    """
    placed, wholes = Placed(), []
    for names in outcome.plan.wholes:
        ready = [outcome.done[name] for name in names if name in outcome.done]
        if len(ready) < len(names):
            placed.waiting += len(ready)
            continue
        whole = _Whole(old=set(names))
        for done in ready:
            folder = done.step.name.rpartition("/")[0]
            whole.new[f"{folder}/{done.name}" if folder else done.name] = done.name
        wholes.append(whole)
    for whole in wholes:
        # The first of a sequence goes first: whoever is killed here leaves one without a gap.
        for target, name in sorted(whole.new.items(), key=lambda row: parse_stem(row[0])):
            exchange = staging.load(f"{NEW}/1", name)
            assert exchange is not None
            written = store.save(exchange, target)
            placed.written += written
            placed.unchanged += not written
    if replaces:
        new = {target for whole in wholes for target in whole.new}
        kept = {_placed_as(target, store) for target in new}
        gone = sorted((name for whole in wholes for name in whole.old - kept if store.has(name)), key=parse_stem)
        for name in reversed(gone):
            store.remove(name)
            placed.removed += 1
    return placed


def _placed_as(target: str, store: RecordingStore) -> str:
    """The name under which the store has a recording: it may have its sequence in a folder of its own."""
    base, number = parse_stem(target)
    found = [] if "/" in base else store.find(base)
    return recording_name(parse_stem(found[0])[0], number) if found else target
