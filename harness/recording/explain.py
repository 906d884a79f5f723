"""What a look-up makes of a request: rule by rule, down to the recording that answers it or comes nearest.

The same functions as in a run, in the same order: secrets out, key, fingerprint, look-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from harness.recording.canonical import Canonicalizer, Step, fingerprint_of
from harness.recording.key import key
from harness.recording.lookup import Entry, select
from harness.recording.model import Json, Request
from harness.recording.near_miss import NearMiss, near_miss
from harness.recording.places import ABSENT, Place, aligned_places
from harness.recording.redact import Redactor

_LIKELY = 50
"""How many recordings are compared with a request that none answers, as in a run."""


class Way(StrEnum):
    """By what a recording was found."""

    KEY = "key"
    SCOPE = "fingerprint in scope"
    SHARED = "fingerprint, shared"
    OTHER = "fingerprint in another scope"
    NONE = "none"


class Recordings(Protocol):
    """What is asked of a store."""

    def find(self, key: str) -> list[str]:
        """The names of the sequence that ``key`` names."""
        ...

    def sharing(self, fingerprint: str) -> Sequence[Entry]:
        """The recordings with this fingerprint."""
        ...

    def entries(self) -> Sequence[Entry]:
        """All recordings, as they are now."""
        ...

    def nearest(self, request: Request, at_most: int) -> Sequence[Entry]:
        """At most so many recordings that are like a request, as of the last look at all."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """What answers a request: the names of a sequence, whose scope, and what is not the same in what was recorded.

    ``put_back`` are texts of the recorded request and those that stand for them now, in the answer as well. With
    ``Way.NONE`` there are no names, and ``nearest`` is what comes closest, if anything does.
    """

    way: Way
    names: Sequence[str] = ()
    scope: str | None = None
    places: Sequence[Place] = ()
    put_back: Sequence[tuple[str, str]] = ()
    nearest: NearMiss | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A request (without secrets), what each rule changed, what it comes to, and what answers it.

    ``redacted`` are the paths of what was taken out for being secret; the values themselves are nowhere in here.
    """

    request: Request
    redacted: Sequence[str]
    steps: Sequence[Step]
    canonical: dict[str, Json]
    key: str
    fingerprint: str
    hit: Hit

    def as_json(self) -> dict[str, Json]:
        """The same for programs; a side of a difference that is absent has no key."""
        hit = self.hit
        return {
            "request": {
                "method": self.request.method,
                "path": self.request.path,
                "query": self.request.query,
                "scope": self.request.scope,
            },
            "redacted": list(self.redacted),
            "rules": [{"rule": step.rule, "changed": _rows(changes(step))} for step in self.steps],
            "canonical": self.canonical,
            "key": self.key,
            "fingerprint": self.fingerprint,
            "hit": {
                "by": None if hit.way is Way.NONE else hit.way.value,
                "recordings": list(hit.names),
                "scope": hit.scope,
                "differences": _rows(hit.places),
                "put_back": [{"recorded": old, "present": new} for old, new in hit.put_back],
                "nearest": hit.nearest.as_json() if hit.nearest else None,
            },
        }


def explain(
    asked: Request, recordings: Recordings, canonicalizer: Canonicalizer, redactor: Redactor, *, strict: bool = False
) -> Explanation:
    """Everything that a replay would find out about a request as a client sends it. ``strict``: by key alone."""
    request = redactor.request(asked)
    canonical, name = canonicalizer.canonical(request), key(asked, redactor)
    fingerprint = fingerprint_of(canonical)
    names = recordings.find(name)
    if names:
        hit = Hit(Way.KEY, names, request.scope)
    else:
        entries = [] if strict else select(request, recordings.sharing(fingerprint))
        hit = _by_meaning(request, entries, canonicalizer) if entries else _miss(request, recordings, canonicalizer)
    before, after = ({"path": one.path, "query": one.query, "body": one.body} for one in (asked, request))
    # A secret may be the name of a field, too.
    redacted = dict.fromkeys(redactor.redact([place.path for place in aligned_places(before, after)]))
    return Explanation(request, [*redacted], canonicalizer.steps(request), canonical, name, fingerprint, hit)


def changes(step: Step) -> list[Place]:
    """What a rule changed, place by place."""
    return aligned_places(step.before, step.after)


def _by_meaning(request: Request, entries: Sequence[Entry], canonicalizer: Canonicalizer) -> Hit:
    first = entries[0]
    way = Way.SHARED if first.scope is None else Way.SCOPE if first.scope == request.scope else Way.OTHER
    before, after = (
        {"method": one.method, "path": one.path, "query": one.query, "body": one.body}
        for one in (first.request, request)
    )
    return Hit(
        way,
        [entry.name for entry in entries],
        first.scope,
        aligned_places(before, after),
        list(canonicalizer.placeholders(first.request, request).items()),
    )


def _miss(request: Request, recordings: Recordings, canonicalizer: Canonicalizer) -> Hit:
    likely = recordings.nearest(request, _LIKELY) if recordings.entries() else ()
    return Hit(Way.NONE, nearest=near_miss(request, likely, canonicalizer))


def _rows(places: Sequence[Place]) -> list[dict[str, Json]]:
    return [
        {"path": place.path}
        | {side: value for side, value in (("old", place.old), ("new", place.new)) if value is not ABSENT}
        for place in places
    ]
