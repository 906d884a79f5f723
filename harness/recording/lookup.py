"""The fall-back look-up: which recording answers a request that no file is named for. DESIGN's order, as a function."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from harness.recording.cassette_names import is_of
from harness.recording.key import parse_stem
from harness.recording.model import Request
from harness.recording.places import places

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """What an index knows of one recording: the name of its file (without ``.json``), its request, its fingerprint.

    An index may read the request when it is first asked for; what it knows beforehand needs no look at the file.
    """

    name: str
    request: Request
    fingerprint: str

    @property
    def scope(self) -> str | None:
        return self.request.scope

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def model(self) -> str:
        return self.request.model

    @property
    def base(self) -> str:
        """The name without the number of a sequence."""
        return parse_stem(self.name)[0]

    @property
    def number(self) -> int:
        return parse_stem(self.name)[1]


class Reach(Enum):
    """How far from its own scope the recording of a request is looked for.

    ``EARLIER_RUNS`` is for a run that records: of other scopes, only what was there before it. Which test was the first
    to ask, in which process, then does not decide what is recorded.
    """

    OWN_SCOPE = "own scope"
    EARLIER_RUNS = "earlier runs"
    EVERYWHERE = "everywhere"


def select(request: Request, candidates: Iterable[Entry], reach: Reach = Reach.EVERYWHERE) -> list[Entry]:
    """The sequence that answers ``request``, in order, from entries that share its fingerprint; empty for none.

    First the request's own scope, in a cassette's spelling as well; then, where ``reach`` is wider, what is shared, the
    same test with another parameter or none, any other scope. Among several, the one whose raw request differs in the
    fewest places wins, then the lower name.
    """
    entries = list(candidates)
    groups = _own(request.scope, entries) if reach is Reach.OWN_SCOPE else _by_scope(request.scope, entries)
    for group in groups:
        if group:
            best = min(group, key=lambda entry: (distance(request, entry.request), entry.base, entry.number))
            return in_order(entry for entry in group if entry.base == best.base)
    return []


def _own(scope: str | None, entries: list[Entry]) -> Iterator[list[Entry]]:
    yield [entry for entry in entries if entry.scope == scope]
    if scope is not None:
        yield [entry for entry in entries if is_of(entry.scope, scope)]


def _by_scope(scope: str | None, entries: list[Entry]) -> Iterator[list[Entry]]:
    """Entries in groups, those of the nearest scopes first."""
    yield from _own(scope, entries)
    yield [entry for entry in entries if entry.scope is None]
    if scope is not None:
        test = scope.partition("[")[0]
        yield [entry for entry in entries if (entry.scope or "").partition("[")[0] == test]
    yield entries


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """A sequence by its numbers."""
    return sorted(entries, key=lambda entry: entry.number)


def distance(one: Request, other: Request) -> int:
    """In how many places two raw requests differ."""
    beside = (one.path != other.path, one.method != other.method, one.query != other.query)
    return len(places(other.body, one.body)) + sum(beside)


def nth(sequence: Sequence[T], number: int) -> T:
    """The ``number``-th of a sequence, counted from 1; past the last, the last again."""
    return sequence[min(number, len(sequence)) - 1]
