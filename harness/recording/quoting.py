"""Which later requests quote which earlier answers: found by ids, by an assistant's message, by a long text.

Within a test, a message that says what an answer said quotes it. Among recordings of no test, which have nothing to do
with each other, it must also stand where that dialogue goes on. What quotes what is free of circles.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from harness.recording.canonical import endpoint_of
from harness.recording.ids import is_brought_by
from harness.recording.model import Exchange, Json, Request
from harness.recording.spoken import Said, Spoken, is_assistants, said, spoken, spoken_items

QUERY_WORD = r"[^=&]+"
"""A name or a value in a URL's query."""

_LONG_TEXT = 40
"""From this length on, a text that stands somewhere in a later request of the test is no coincidence."""

_MANY = 300
"""In tests with more recordings, texts are not looked for everywhere: that takes the square of their number."""

_Signature: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """That a request quotes the answer of the recording ``name``.

    Where it does so as an assistant's message, that is ``start:end`` of its messages or items, of the answer's
    ``choice``; else ``start`` is None: it has its id, or its text somewhere.
    """

    name: str
    start: int | None = None
    end: int = 0
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Spot:
    """What an assistant said before, in a request: ``start:end`` of its messages or items."""

    start: int
    end: int
    spoken: Spoken


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that may be quoted."""

    name: str
    request: Request
    said: Said


def dialogue(body: Json) -> list[Json]:
    """The messages or items of a request; an empty list where it has none."""
    if isinstance(body, dict):
        for field in ("messages", "input"):
            if isinstance(body.get(field), list):
                found: list[Json] = body[field]
                return found
    return []


def spots(items: list[Json]) -> Iterator[Spot]:
    """Where an assistant speaks: single messages of a chat, runs of items of the Responses API."""
    at = 0
    while at < len(items):
        end = at + 1
        if not is_assistants(items[at]):
            at = end
            continue
        while end < len(items) and is_assistants(items[end]) and _are_items(items[at], items[end]):
            end += 1
        run = items[at:end]
        yield Spot(at, end, spoken_items(run) if end > at + 1 or "type" in run[0] else spoken(run[0]))
        at = end


def _are_items(one: Json, other: Json) -> bool:
    return "type" in one or "type" in other


def quotes_of(exchanges: Mapping[str, Exchange]) -> dict[str, tuple[Quote, ...]]:
    """What each request quotes, by the names of the recordings."""
    scopes: dict[str | None, list[_Answer]] = defaultdict(list)
    for name, exchange in exchanges.items():
        scopes[exchange.request.scope].append(_Answer(name, exchange.request, said(exchange.response)))
    found: dict[str, tuple[Quote, ...]] = {}
    for scope, answers in scopes.items():
        found |= _Scope(answers, is_test=scope is not None).quotes()
    return found


class _Scope:
    """The recordings of one test, or those of none."""

    def __init__(self, answers: list[_Answer], *, is_test: bool) -> None:
        self._answers, self._is_test = answers, is_test
        self._by_signature: dict[_Signature, list[tuple[_Answer, int]]] = defaultdict(list)
        self._by_id: dict[str, list[str]] = defaultdict(list)
        self._after: dict[str, set[str]] = defaultdict(set)
        for answer in answers:
            for choice, one in enumerate(answer.said.spoken):
                for signature in _signatures(one):
                    self._by_signature[signature].append((answer, choice))
            # An id that its own request has is told again there, and was brought by another answer.
            known = set(_asked(answer.request))
            calls = (id for one in answer.said.spoken for id in one.ids)
            for id in (*answer.said.ids.values(), *calls):
                if id not in known and (answer.request.method == "POST" or is_brought_by(id, answer.name)):
                    self._by_id[id].append(answer.name)

    def quotes(self) -> dict[str, tuple[Quote, ...]]:
        """What is surest comes first: of two recordings that seem to quote each other, one only does."""
        found: dict[str, list[Quote]] = defaultdict(list)
        ways: tuple[Callable[[_Answer], Iterator[Quote]], ...] = (self._by_messages, self._by_ids, self._by_texts)
        for way in ways:
            for answer in self._answers:
                for quote in way(answer):
                    known = quote.name in self._after[answer.name]
                    if quote.start is None and known:
                        continue
                    if known or not self._comes_before(answer.name, quote.name):
                        self._after[answer.name].add(quote.name)
                        found[answer.name].append(quote)
        return {name: tuple(quotes) for name, quotes in found.items()}

    def _comes_before(self, name: str, other: str) -> bool:
        """Whether ``other`` waits for ``name``, or is it."""
        waiting, seen = [other], {other}
        while waiting:
            if (one := waiting.pop()) == name:
                return True
            waiting += self._after[one] - seen
            seen |= self._after[one]
        return False

    def _by_messages(self, answer: _Answer) -> Iterator[Quote]:
        items = dialogue(answer.request.body)
        for spot in spots(items):
            found = self._quoted(answer, items, spot)
            if found is not None:
                yield Quote(found[0].name, spot.start, spot.end, found[1])

    def _quoted(self, answer: _Answer, items: list[Json], spot: Spot) -> tuple[_Answer, int] | None:
        """The answer that a spot quotes, of those that say the same: best the one whose dialogue goes on here."""
        path, signatures = endpoint_of(answer.request.path), list(_signatures(spot.spoken))
        best, best_rank = None, (0, 0, 0)
        for signature in signatures:
            for row in self._by_signature.get(signature, ()):
                asked = dialogue(row[0].request.body)
                if row[0].name == answer.name or endpoint_of(row[0].request.path) != path:
                    continue
                goes_on = asked == items[: spot.start]
                if goes_on or self._is_test or signature[0] == "ids":
                    same = signatures[-1] in _signatures(row[0].said.spoken[row[1]])
                    rank = (1 + goes_on, int(same), int(len(asked) <= spot.start))
                    if rank > best_rank:
                        best, best_rank = row, rank
        return best

    def _by_ids(self, answer: _Answer) -> Iterator[Quote]:
        for text in dict.fromkeys(_asked(answer.request)):
            holders = self._by_id.get(text, ())
            if holders and not any(name in self._after[answer.name] for name in holders):
                yield Quote(holders[0])

    def _by_texts(self, answer: _Answer) -> Iterator[Quote]:
        if not self._is_test or len(self._answers) > _MANY:
            return
        asked = "\0".join(_strings(answer.request.body))
        for other in self._answers:
            texts = [one.text for one in other.said.spoken if is_long(one.text) and one.text in asked]
            # What only repeats what it was told itself may have come from there.
            told = "\0".join(_strings(other.request.body)) if texts else ""
            if other.name != answer.name and any(text not in told for text in texts):
                yield Quote(other.name)


def is_long(text: str) -> bool:
    """Whether a text is long enough to be known wherever it stands."""
    return len(text) >= _LONG_TEXT


def _signatures(one: Spoken) -> Iterator[_Signature]:
    """What two say alike who say the same; ids of calls, which are nobody else's, go before what was said."""
    if one.ids:
        yield ("ids", one.ids)
    if not one.is_nothing:
        calls = tuple((call.name, json.dumps(call.arguments, sort_keys=True)) for call in one.calls)
        yield ("said", one.text.strip(), calls)


def _asked(request: Request) -> Iterator[str]:
    """Every string in a request that may be an id."""
    yield from _strings(request.body)
    yield from request.path.split("/")
    yield from re.findall(QUERY_WORD, request.query)


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
