"""Which recordings are compared with which: by key, fingerprint, test and order, and at last by near miss.

A recording is known by its *card* alone, so that whole sets can be paired without holding what they say.
"""

import heapq
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.key import parse_stem
from harness.recording.model import Json, Request

How: TypeAlias = Literal["key", "fingerprint", "test and order", "near miss"]

_SKETCH = 48
_RARE = 40
"""A feature that more recordings than this have tells none of them from another."""
_ALIKE = 0.5
"""Of the smaller sketch, the part that a near miss must share."""
_CLOSE_LOOK = 60
"""Up to how many recordings of one test are matched by what they ask; beyond, in their order alone."""
_SAID = ("messages", "input", "prompt", "system", "instructions")


@dataclass(frozen=True, slots=True)
class Card:
    """What pairing knows of a recording.

    ``depth`` is how many messages its request holds, which puts the turns of a test in order; ``sketch`` are the lowest
    hashes of what it says, which two requests share as far as they are alike.
    """

    name: str
    scope: str | None
    endpoint: str
    model: str
    fingerprint: str
    depth: int
    sketch: frozenset[int]


@dataclass(frozen=True, slots=True)
class Match:
    """Two recordings that belong together, by name, and by what they were found to."""

    old: str
    new: str
    how: How


@dataclass(frozen=True, slots=True)
class Matching:
    """Everything that was paired, and the names that only one side has."""

    matches: tuple[Match, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


def card(name: str, request: Request, canonicalizer: Canonicalizer) -> Card:
    """The card of a recording."""
    body = request.body if isinstance(request.body, dict) else {}
    said = next((body[field] for field in ("messages", "input") if isinstance(body.get(field), list)), ())
    return Card(
        name,
        request.scope,
        f"{request.method} {endpoint_of(request.path)}",
        request.model,
        canonicalizer.fingerprint(request),
        len(said),
        _sketch(canonicalizer.canonical(request)["body"]),
    )


def by_name(old: Iterable[str], new: Iterable[str]) -> tuple[list[Match], list[str], list[str]]:
    """The recordings that both sides have under one name, which is the key; the others of each side."""
    ours, theirs = set(old), set(new)
    matches = [Match(name, name, "key") for name in sorted(ours & theirs, key=sequence)]
    return matches, sorted(ours - theirs, key=sequence), sorted(theirs - ours, key=sequence)


def by_meaning(old: Iterable[Card], new: Iterable[Card]) -> Matching:
    """Pair by fingerprint within a test, by fingerprint, by test and order, and at last by near miss.

    No recording is used twice; the members of a sequence pair in their order.
    """
    left, right = (sorted(cards, key=lambda one: sequence(one.name)) for cards in (old, new))
    matches: list[Match] = []
    steps: tuple[tuple[How, Callable[[list[Card], list[Card]], Iterable[tuple[Card, Card]]]], ...] = (
        ("fingerprint", lambda ours, theirs: _equal(ours, theirs, lambda one: (one.fingerprint, one.scope))),
        ("fingerprint", lambda ours, theirs: _equal(ours, theirs, lambda one: one.fingerprint)),
        ("test and order", _in_tests),
        ("near miss", _near),
    )
    for how, step in steps:
        found = list(step(left, right))
        matches += [Match(one.name, two.name, how) for one, two in found]
        used = {one.name for one, _ in found}, {two.name for _, two in found}
        left, right = (
            [one for one in side if one.name not in out] for side, out in zip((left, right), used, strict=True)
        )
    return Matching(tuple(matches), tuple(one.name for one in left), tuple(one.name for one in right))


def sequence(name: str) -> tuple[str, str, int]:
    """What names are sorted by: folder, base, number."""
    folder, _, stem = name.rpartition("/")
    return folder, *parse_stem(stem)


def _equal(left: list[Card], right: list[Card], mark: Callable[[Card], Hashable]) -> Iterator[tuple[Card, Card]]:
    """Cards with the same mark, first with first."""
    waiting: dict[Hashable, list[Card]] = defaultdict(list)
    for one in reversed(right):
        waiting[mark(one)].append(one)
    for one in left:
        queue = waiting.get(mark(one))
        if queue:
            yield one, queue.pop()


# By test and order.


def _in_tests(left: list[Card], right: list[Card]) -> Iterator[tuple[Card, Card]]:
    groups: dict[Hashable, tuple[list[Card], list[Card]]] = defaultdict(lambda: ([], []))
    for side, cards in enumerate((left, right)):
        for one in cards:
            if one.scope is not None:
                groups[one.scope, one.endpoint][side].append(one)
    for ours, theirs in groups.values():
        yield from _in_order(ours, theirs)


def _in_order(ours: list[Card], theirs: list[Card]) -> Iterator[tuple[Card, Card]]:
    """The turns of one test: those of one depth first, the most alike of them first; what is left, in order."""
    if len(ours) <= _CLOSE_LOOK and len(theirs) <= _CLOSE_LOOK:
        ranked = sorted(
            (abs(one.depth - two.depth), -alike(one, two), at, there)
            for at, one in enumerate(ours)
            for there, two in enumerate(theirs)
        )
        used: tuple[set[int], set[int]] = (set(), set())
        for _, _, at, there in ranked:
            if at not in used[0] and there not in used[1]:
                used[0].add(at)
                used[1].add(there)
                yield ours[at], theirs[there]
    else:
        in_turn = (sorted(cards, key=lambda one: (one.depth, sequence(one.name))) for cards in (ours, theirs))
        yield from zip(*in_turn, strict=False)


# By near miss.


def _near(left: list[Card], right: list[Card]) -> Iterator[tuple[Card, Card]]:
    """The most alike requests of one endpoint, whatever their test. Features that many share are not looked up."""
    holders: dict[tuple[str, int], list[int]] = defaultdict(list)
    for there, two in enumerate(right):
        for feature in two.sketch:
            holders[two.endpoint, feature].append(there)
    ranked = []
    for at, one in enumerate(left):
        found: set[int] = set()
        for feature in one.sketch:
            having = holders.get((one.endpoint, feature), ())
            if len(having) <= _RARE:
                found.update(having)
        ranked += [(-alike(one, right[there]), at, there) for there in found]
    used: tuple[set[int], set[int]] = (set(), set())
    for unlike, at, there in sorted(ranked):
        if -unlike >= _ALIKE and at not in used[0] and there not in used[1]:
            used[0].add(at)
            used[1].add(there)
            yield left[at], right[there]


def alike(one: Card, two: Card) -> float:
    """How much of what they ask two recordings share, from 0 to 1."""
    smaller = min(len(one.sketch), len(two.sketch))
    return len(one.sketch & two.sketch) / smaller if smaller else float(one.sketch == two.sketch)


def _sketch(body: Json) -> frozenset[int]:
    """The lowest hashes of a request's features, most of them from what is said in it."""
    if not isinstance(body, dict):
        return frozenset(heapq.nsmallest(_SKETCH, set(_features(body, ""))))
    said = {name: value for name, value in body.items() if name in _SAID}
    rest = {name: value for name, value in body.items() if name not in _SAID and name != "model"}
    words, others = ({*_features(part, "")} for part in (said, rest))
    return frozenset([*heapq.nsmallest(_SKETCH, words), *heapq.nsmallest(_SKETCH // 3, others)])


def _features(value: Json, name: str) -> Iterator[int]:
    """Hashes of every three words in a row, and of other values with their names."""
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _features(item, str(inner))
    elif isinstance(value, list):
        for item in value:
            yield from _features(item, name)
    elif isinstance(value, str):
        words = re.findall(r"\w+|[^\w\s]", value)
        for at in range(max(1, len(words) - 2)):
            yield zlib.crc32(" ".join((name, *words[at : at + 3])).encode("utf-8", "surrogatepass"))
    else:
        yield zlib.crc32(f"{name}={json.dumps(value)}".encode())
