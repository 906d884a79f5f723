"""What a refresh asks again, in which order, and what it leaves: the plan, made of recordings alone.

A refresh needs no test run, for recordings hold their requests. Left alone is what cannot be sent (of files and bytes
a digest alone is kept), what nobody answered in the first place, and what would do more than answer: calls of MCP
servers' tools, the beginning of jobs, the deletion of what the refresh did not make itself.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.errors import RecordingError
from harness.recording.author import AUTHORED
from harness.recording.bodies import sent_body
from harness.recording.canonical import endpoint_of
from harness.recording.keeping_order import order_of
from harness.recording.key import parse_stem, recording_name
from harness.recording.model import Exchange, Request
from harness.recording.pairing import sequence
from harness.recording.quoting import Quote, quotes_of
from harness.recording.redact import PLACEHOLDER

_JOBS = ("/v1/batches", "/v1/fine_tuning", "/v1/evals", "/v1/uploads", "/v1/messages/batches")
_ASKING = ("GET", "HEAD", "POST")
_ENDINGS = ("/cancel", "/delete", "/expire")


@dataclass(frozen=True, slots=True)
class Step:
    """One recording to be asked again: its name, what it holds, and which earlier answers its request quotes.

    ``behind`` are others that it is asked after, whatever they are answered.
    """

    name: str
    exchange: Exchange
    quotes: tuple[Quote, ...] = ()
    behind: tuple[str, ...] = ()

    @property
    def request(self) -> Request:
        return self.exchange.request

    @property
    def after(self) -> tuple[str, ...]:
        """The recordings whose new answers it needs."""
        return tuple(dict.fromkeys(quote.name for quote in self.quotes))

    @property
    def is_redacted(self) -> bool:
        """Whether its request held a secret, whose place will be sent."""
        return PLACEHOLDER in json.dumps(self.request.body) or PLACEHOLDER in self.request.query


@dataclass(frozen=True, slots=True)
class Left:
    """A recording that is not asked again, and why."""

    name: str
    scope: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` in an order in which they can be asked: what is quoted comes before what quotes it."""

    steps: tuple[Step, ...]
    left: tuple[Left, ...] = ()
    frozen: bool = False

    @property
    def later_turns(self) -> int:
        """How many steps quote an earlier answer."""
        return sum(bool(step.quotes) for step in self.steps)

    @property
    def wholes(self) -> list[list[str]]:
        """The names of steps that only make sense together: those of a test, of a sequence, of a dialogue."""
        joined: dict[str, str] = {}

        def root(one: str) -> str:
            while joined.setdefault(one, one) != one:
                one = joined[one]
            return one

        for step in self.steps:
            scope = step.request.scope
            for other in (*step.after, parse_stem(step.name)[0] if scope is None else f"test {scope}"):
                joined[root(step.name)] = root(other)
        found: dict[str, list[str]] = defaultdict(list)
        for step in self.steps:
            found[root(step.name)].append(step.name)
        return list(found.values())


def plan(exchanges: Mapping[str, Exchange], *, frozen: bool = False) -> Plan:
    """The plan for the recordings that were selected, by their names. With ``frozen`` nothing waits for anything."""
    quotes = quotes_of(exchanges)
    left: dict[str, Left] = {}
    steps: dict[str, Step] = {}
    for name in sorted(exchanges, key=sequence):
        exchange = exchanges[name]
        reason = _hindrance(exchange, quotes.get(name, ()), frozen=frozen)
        if reason:
            left[name] = Left(name, exchange.request.scope, reason)
        else:
            steps[name] = Step(name, exchange, quotes.get(name, ()))
    behind = order_of(exchanges, {name: step.after for name, step in steps.items()})
    asked = {
        name: replace(
            step,
            quotes=tuple(quote for quote in step.quotes if quote.name in steps),
            behind=tuple(other for other in behind.get(name, ()) if other in steps),
        )
        for name, step in steps.items()
    }
    return Plan(tuple(_in_order(asked)), tuple(left.values()), frozen)


def _hindrance(exchange: Exchange, quotes: Sequence[Quote], *, frozen: bool) -> str:
    """Why a recording is not asked again; empty where it is."""
    request, endpoint = exchange.request, endpoint_of(exchange.request.path)
    if request.path.startswith("/mcp/"):
        return "a call of an MCP server's tools may do something"
    if exchange.metadata is not None and AUTHORED.items() <= exchange.metadata.items():
        return "written by hand"
    if request.method == "POST" and endpoint.startswith(_JOBS):
        return "a job would begin at the provider"
    acts = request.method not in _ASKING or endpoint.endswith(_ENDINGS)
    if acts and (frozen or not quotes):
        return f"{request.method} {endpoint} changes what this refresh did not make"
    try:
        sent_body(request.body, request.media_type)
    except RecordingError as error:
        return error.message
    return ""


def _in_order(steps: Mapping[str, Step]) -> Iterator[Step]:
    """Steps by their names, each behind those that it needs; there are no circles among them."""
    done: set[str] = set()
    for first in steps:
        waiting = [first]
        while waiting:
            name = waiting[-1]
            needed = [other for other in (*steps[name].after, *steps[name].behind) if other not in done]
            if name in done or not needed:
                waiting.pop()
                if name not in done:
                    done.add(name)
                    yield steps[name]
            else:
                waiting += needed


@dataclass(slots=True)
class Names:
    """Gives new recordings their names: the number in their sequence stays, unless another took it."""

    taken: set[str] = field(default_factory=set)

    def next(self, key: str, number: int) -> str:
        while (name := recording_name(key, number)) in self.taken:
            number += 1
        self.taken.add(name)
        return name
