"""Two sets of recordings compared, however many: read one by one, paired by their cards, spread over the processors.

What is held is one small card for each recording without a namesake and the outcome of each pair, never the recordings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from harness.crew import Crew
from harness.errors import NotHttp, RecordingError
from harness.recording.canonical import Canonicalizer
from harness.recording.diff import Diff, Pair, Single, compare, dialogue_of, sorted_pairs
from harness.recording.drift import Wire, drift
from harness.recording.pairing import Card, Match, Matching, by_meaning, by_name, card
from harness.recording.prices import Prices
from harness.recording.rules import ignoring
from harness.stores.reading import Recordings, exchange_of

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many of it are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How to compare. ``canonicalizer`` makes one, in every process its own (so it is a function that pickles).

    ``models`` compares the recordings of one model in OLD with those of another in NEW: the model is then no part of
    what makes requests equal. ``processes`` is how many work at once, by default as many as there are processors.
    """

    canonicalizer: Callable[[], Canonicalizer]
    prices: Prices | None = None
    dialogues: bool = False
    models: tuple[str, str] | None = None
    processes: int | None = None

    def make(self) -> Canonicalizer:
        """The canonicalizer that this comparison pairs by."""
        made = self.canonicalizer()
        return replace(made, rules=(*made.rules, ignoring("model"))) if self.models else made


class _Unreadable(NamedTuple):
    side: int
    name: str
    reason: str
    is_other: bool = False
    """Not broken, but no exchange over HTTP."""


class _Job(NamedTuple):
    match: Match
    old: bytes
    new: bytes


@dataclass(slots=True)
class _Outcome:
    pairs: list[Pair] = field(default_factory=list)
    singles: list[tuple[int, Single]] = field(default_factory=list)
    unreadable: list[_Unreadable] = field(default_factory=list)
    wires: tuple[Wire, Wire] = field(default_factory=lambda: (Wire(), Wire()))


def compare_all(old: Recordings, new: Recordings, asked: Asked, progress: Progress = lambda *_: None) -> Diff:
    """Pair the recordings of two sets and compare every pair. Files that are no recordings are in ``unreadable``."""
    try:
        work = 2 * max(len(old.files), len(new.files))
        with Crew(work, _set_up, asked, asked.processes) as crew:
            return _compared(old, new, asked, crew, progress)
    finally:
        old.close()
        new.close()


def _compared(old: Recordings, new: Recordings, asked: Asked, crew: Crew, progress: Progress) -> Diff:
    sides = (old, new)
    total = _Outcome()
    keyed, matching, scopes = _paired(sides, asked, crew, progress, total)
    matches = [*keyed, *matching.matches]
    jobs = _jobs(sides, matches, total)
    for outcome in crew.work(_compare_batch, jobs):
        total.pairs += outcome.pairs
        total.singles += outcome.singles
        total.unreadable += outcome.unreadable
        for ours, theirs in zip(total.wires, outcome.wires, strict=True):
            ours.merge(theirs)
        progress("comparing", len(total.pairs), len(matches))
    singles = [
        *((0, Single(name, scopes[0][name])) for name in matching.removed),
        *((1, Single(name, scopes[1][name])) for name in matching.added),
        *total.singles,
    ]
    removed, added = (
        tuple(sorted((one for at, one in singles if at == side), key=lambda one: one.name)) for side in (0, 1)
    )
    return Diff(
        sorted_pairs(total.pairs),
        added,
        removed,
        drift(*total.wires),
        tuple(_told(sides, fault) for fault in sorted(set(total.unreadable)) if not fault.is_other),
        asked.prices.currency if asked.prices else "USD",
        sum(fault.is_other for fault in set(total.unreadable)),
    )


Scopes: TypeAlias = tuple[Mapping[str, str | None], Mapping[str, str | None]]


def _paired(
    sides: tuple[Recordings, Recordings], asked: Asked, crew: Crew, progress: Progress, total: _Outcome
) -> tuple[list[Match], Matching, Scopes]:
    """The pairs by name, the others by their cards, and the scopes of those that were read for it."""
    keyed: list[Match] = []
    rest = [list(side.files) for side in sides]
    if not asked.models:
        keyed, *rest = by_name(*rest)
    cards: list[list[Card]] = [[], []]
    amount = sum(map(len, rest))
    jobs = ((at, name, data) for at, side in enumerate(sides) for name, data in _read(side, rest[at], at, total))
    for number, (at, found) in enumerate(crew.each(_card_batch, jobs), 1):
        progress("reading", number, amount)
        if isinstance(found, _Unreadable):
            total.unreadable.append(found)
        elif asked.models is None or _is_model(found.model, asked.models[at]):
            cards[at].append(found)
    scopes = {one.name: one.scope for one in cards[0]}, {one.name: one.scope for one in cards[1]}
    return keyed, by_meaning(*cards), scopes


def _is_model(model: str, wanted: str) -> bool:
    return model == wanted or model.endswith(f"/{wanted}")


def _read(side: Recordings, names: Iterable[str], at: int, total: _Outcome) -> Iterator[tuple[str, bytes]]:
    for name in names:
        try:
            data = side.read(name)
        except RecordingError as error:
            total.unreadable.append(_Unreadable(at, name, error.message))
        else:
            yield name, data


def _jobs(sides: Sequence[Recordings], matches: Iterable[Match], total: _Outcome) -> Iterator[_Job]:
    for match in matches:
        names = (match.old, match.new)
        data = [found for at in (0, 1) for _, found in _read(sides[at], [names[at]], at, total)]
        if len(data) == 2:
            yield _Job(match, *data)


def _told(sides: Sequence[Recordings], fault: _Unreadable) -> str:
    side = sides[fault.side]
    return f"{side.where}/{side.files[fault.name]}: {fault.reason}"


# What a process works on.


@dataclass(slots=True)
class _Bench:
    """What a process needs for every batch, made once."""

    asked: Asked
    canonicalizer: Canonicalizer


_benches: list[_Bench] = []


def _set_up(asked: Asked) -> None:
    _benches[:] = [_Bench(asked, asked.make())]


def _card_batch(batch: list[tuple[int, str, bytes]]) -> list[tuple[int, Card | _Unreadable]]:
    found: list[tuple[int, Card | _Unreadable]] = []
    for at, name, data in batch:
        try:
            found.append((at, card(name, exchange_of(data).request, _benches[0].canonicalizer)))
        except RecordingError as error:
            found.append((at, _unreadable(at, name, error)))
    return found


def _unreadable(at: int, name: str, error: RecordingError) -> _Unreadable:
    return _Unreadable(at, name, error.message, isinstance(error, NotHttp))


def _compare_batch(batch: list[_Job]) -> _Outcome:
    outcome = _Outcome()
    for job in batch:
        _compare_one(job, outcome)
    return outcome


def _compare_one(job: _Job, outcome: _Outcome) -> None:
    bench = _benches[0]
    sides = []
    for at, (name, data) in enumerate(((job.match.old, job.old), (job.match.new, job.new))):
        try:
            sides.append((at, name, exchange_of(data)))
        except RecordingError as error:
            outcome.unreadable.append(_unreadable(at, name, error))
    if len(sides) < 2:
        outcome.singles += [(at, Single(name, exchange.request.scope)) for at, name, exchange in sides]
        return
    old, new = sides[0][2], sides[1][2]
    for wire, exchange in zip(outcome.wires, (old, new), strict=True):
        wire.observe(exchange)
    pair = compare(job.match, old, new, bench.canonicalizer, prices=bench.asked.prices)
    if bench.asked.dialogues and pair.cls != "equal":
        pair = replace(pair, dialogue=dialogue_of(old, new))
    outcome.pairs.append(pair)
