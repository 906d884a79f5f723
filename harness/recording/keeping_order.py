"""In which order a test asked about what an upstream keeps, as far as its recordings tell: no file says when.

What brings an object comes before whatever tells of it, what ends it behind whatever still has it, and the turns of
one conversation, which quote nothing of each other, one after the other: each has more to read than the one before.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from harness.recording.canonical import CHUNKED, endpoint_of
from harness.recording.figures import figures_of
from harness.recording.ids import is_brought_by
from harness.recording.key import parse_stem
from harness.recording.meaning import settled
from harness.recording.model import Exchange, Json, Request
from harness.recording.pairing import sequence
from harness.recording.quoting import QUERY_WORD

_KEEPS_NOTHING = (*CHUNKED, "/v1/embeddings", "/v1/messages", "/v1/moderations", "/v1/models")
_ENDINGS = ("/cancel", "/delete", "/expire")
_CONVERSATIONS, _TURNS = "/v1/conversations/", "/v1/responses"


@dataclass(slots=True)
class _One:
    """One recording: the strings of its request, those of its answer, and the ids that it was the first to tell."""

    name: str
    request: Request
    asked: frozenset[str]
    told: frozenset[str]
    brings: frozenset[str]
    has_failed: bool
    has_more: bool
    tokens: int


@dataclass(slots=True)
class _Order:
    """What comes behind what; free of circles: of two rules that contradict each other the first holds."""

    behind: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, before: str, after: str) -> None:
        if before != after and not self._is_behind(before, after):
            self.behind[after].add(before)

    def _is_behind(self, one: str, other: str) -> bool:
        waiting, seen = [one], {one}
        while waiting:
            if (name := waiting.pop()) == other:
                return True
            more = self.behind.get(name, set()) - seen
            seen |= more
            waiting += more
        return False


def order_of(exchanges: Mapping[str, Exchange], quoted: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Which recordings each comes behind, beside those that it quotes (``quoted``)."""
    order = _Order()
    for name, others in quoted.items():
        for other in others:
            order.add(other, name)
    scopes: dict[str | None, list[_One]] = defaultdict(list)
    for name in sorted(exchanges, key=sequence):
        if endpoint_of(exchanges[name].request.path) not in _KEEPS_NOTHING:
            scopes[exchanges[name].request.scope].append(_one(name, exchanges[name]))
    for name, follower in _in_sequence(exchanges):
        order.add(name, follower)
    for ones in scopes.values():
        for rule in (_brought_first, _ended_last, _turn_by_turn, _read_before):
            for before, after in rule(ones):
                order.add(before.name, after.name)
    return {name: tuple(sorted(found - {*quoted.get(name, ())})) for name, found in order.behind.items()}


def _in_sequence(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Equal requests of a test, one after the other: their answers' ids are numbered as they come."""
    return (
        (one, two) for one, two in pairwise(sorted(names, key=sequence)) if parse_stem(one)[0] == parse_stem(two)[0]
    )


def _one(name: str, exchange: Exchange) -> _One:
    request, whole = exchange.request, settled(exchange.response)
    asked = frozenset({*_strings(request.body), *request.path.split("/"), *re.findall(QUERY_WORD, request.query)})
    has_failed = whole.status >= 400
    ids = frozenset() if has_failed else frozenset(_ids(whole.body)) - asked
    # What only looks things up may be the first to tell of something, too: of what was said to the model, say.
    brings = frozenset(id for id in ids if request.method == "POST" or is_brought_by(id, name))
    has_more = isinstance(whole.body, dict) and whole.body.get("has_more") is True
    told, tokens = frozenset(_strings(whole.body)), figures_of(whole).input
    return _One(name, request, asked, told, brings, has_failed, has_more, tokens)


def _brought_first(ones: Sequence[_One]) -> Iterator[tuple[_One, _One]]:
    brought = {id: one for one in reversed(ones) for id in one.brings}
    for one in ones:
        for id in sorted((one.asked | one.told) & brought.keys()):
            yield brought[id], one


def _ended_last(ones: Sequence[_One]) -> Iterator[tuple[_One, _One]]:
    known = {id for one in ones for id in one.brings}
    for end in ones:
        target = _ended(end.request, known)
        for other in ones if target else ():
            if target in other.asked and other.has_failed:
                yield end, other
            elif target in other.asked | other.told and _ended(other.request, known) != target:
                yield other, end


def _ended(request: Request, known: set[str]) -> str | None:
    """The object that a request ends, if it ends one."""
    if not ends(request):
        return None
    return next((step for step in reversed(request.path.split("/")) if step in known), None)


def ends(request: Request) -> bool:
    """Whether an upstream no longer has something, or no longer does it, after this request."""
    return request.method == "DELETE" or (request.method == "POST" and request.path.endswith(_ENDINGS))


def _turn_by_turn(ones: Sequence[_One]) -> Iterator[tuple[_One, _One]]:
    for conversation, writers in _writers(ones).items():
        # What is added by hand has no tokens: as a rule it is there before the first turn.
        ordered = sorted(writers, key=lambda one: (one.tokens, _is_turn(one)))
        yield from pairwise(ordered)
        first = next(filter(_is_turn, ordered), None)
        for one in ones:
            # What no answer told of before was said to the model, in a turn; so was what is on another page.
            if first and one.request.method == "GET" and (one.brings or one.has_more) and conversation in one.asked:
                yield first, one


def _is_turn(one: _One) -> bool:
    return endpoint_of(one.request.path) == _TURNS


def _read_before(ones: Sequence[_One]) -> Iterator[tuple[_One, _One]]:
    """A conversation that was read whole comes before what is not in it, unless that was taken out."""
    known = {id for one in ones for id in one.brings}
    gone = {_ended(one.request, known) for one in ones}
    for conversation, writers in _writers(ones).items():
        for read in ones:
            if (
                read.request.method == "GET"
                and read.request.path.endswith(f"/{conversation}/items")
                and _is_whole(read)
            ):
                yield from ((read, one) for one in writers if one.brings and not one.brings & (read.told | gone))


def _is_whole(read: _One) -> bool:
    request = read.request
    return request.method == "GET" and not read.has_failed and not {"after", "limit"} & read.asked


def _writers(ones: Sequence[_One]) -> dict[str, list[_One]]:
    """What adds items to a conversation, by its id."""
    found: dict[str, list[_One]] = defaultdict(list)
    for one in ones:
        endpoint = endpoint_of(one.request.path)
        if one.request.method == "POST" and not one.has_failed:
            if endpoint.startswith(_CONVERSATIONS) and endpoint.endswith("/items"):
                found[endpoint.split("/")[-2]].append(one)
            elif endpoint == _TURNS and (id := _conversation(one.request.body)):
                found[id].append(one)
    return found


def _conversation(body: Json) -> str:
    said = body.get("conversation") if isinstance(body, dict) else None
    return str((said.get("id") if isinstance(said, dict) else said) or "")


def _ids(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str) and (name == "id" or name.endswith("_id")):
                yield item
            elif name != "metadata":
                yield from _ids(item)
    elif isinstance(value, list):
        for item in value:
            yield from _ids(item)


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
