"""New answers put where they belong, each file in one atomic rename: by whole tests, so that all of a test is new.

What is to be done is written down first. Whoever is killed in the middle of it leaves that to the next run, which
carries it out before it reads anything.
"""

from dataclasses import asdict, dataclass, field

from harness.recording.flow import Flows
from harness.recording.key import parse_stem, recording_name
from harness.recording.model import Exchange
from harness.refresh.wanted import NEW, Outcome
from harness.stores.protocol import RecordingStore
from harness.stores.staging import Staging


@dataclass(slots=True)
class Placed:
    """What came of it: how many files are new, say the same as before, went, and were kept back for their test.

    ``is_complete`` when every step of the plan is among them.
    """

    written: int = 0
    unchanged: int = 0
    removed: int = 0
    waiting: int = 0
    is_complete: bool = False


@dataclass(slots=True)
class _Work:
    """What is to be placed: names in the staging by where they go, and the names that they replace, if any."""

    targets: dict[str, str] = field(default_factory=dict)
    old: list[str] = field(default_factory=list)
    waiting: int = 0
    is_complete: bool = False


def place(outcome: Outcome, staging: Staging, store: RecordingStore, *, replaces: bool) -> Placed:
    """Put the answers of every whole that is complete into ``store``. Raises RecordingError.

    With ``replaces`` the recorded ones were in that store, and go where a new one has another name. When nothing is
    missing, the staging goes.
    """
    work = _Work(is_complete=outcome.is_complete)
    for names in outcome.plan.wholes:
        ready = [outcome.done[name] for name in names if name in outcome.done]
        if len(ready) < len(names):
            work.waiting += len(ready)
            continue
        work.old += names if replaces else ()
        for done in ready:
            folder = done.step.name.rpartition("/")[0]
            work.targets[f"{folder}/{done.name}" if folder else done.name] = done.name
    staging.keep_placing(asdict(work))
    return _carried_out(work, staging, store)


def finish(staging: Staging, store: RecordingStore) -> Placed | None:
    """Carry out what a run that was killed had begun to place; None where there is no such thing."""
    kept = staging.placing()
    return None if kept is None else _carried_out(_Work(**kept), staging, store)


def _carried_out(work: _Work, staging: Staging, store: RecordingStore) -> Placed:
    placed, flows = Placed(waiting=work.waiting, is_complete=work.is_complete), Flows()
    # The first of a sequence goes first: whoever is killed here leaves one without a gap.
    for target, name in sorted(work.targets.items(), key=lambda row: parse_stem(row[0])):
        exchange = staging.load(f"{NEW}/1", name)
        if exchange is not None:  # Else it was placed before, and the staging was on its way out.
            written = store.save(exchange, target)
            placed.written += written
            placed.unchanged += not written
            _renew(flows, exchange, target, store, written=written)
    kept = {_placed_as(target, store) for target in work.targets}
    for name in sorted(set(work.old) - kept, key=parse_stem, reverse=True):
        if store.has(name):
            store.remove(name)
            placed.removed += 1
    if work.is_complete:
        staging.clear()
    else:
        staging.drop_placing()
    return placed


def _renew(flows: Flows, exchange: Exchange, target: str, store: RecordingStore, *, written: bool) -> None:
    """What stays of a flow of which something is new gets the ids of this refresh."""
    # Whoever was killed here may have written it before.
    is_new = written or (bool(exchange.ids) and store.load(_placed_as(target, store)).ids == exchange.ids)
    renewed = flows.wrote(exchange.ids) if is_new else flows.stayed(target, exchange.ids)
    for name, ids in renewed.items():
        store.renew(name, ids)


def _placed_as(target: str, store: RecordingStore) -> str:
    """The name under which the store has a recording: it may have its sequence in a folder of its own."""
    base, number = parse_stem(target)
    found = [] if "/" in base else store.find(base)
    return recording_name(parse_stem(found[0])[0], number) if found else target
