"""What asking recorded requests again will take: requests, tokens and cost, by what they took before."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from harness.recording.canonical import endpoint_of
from harness.recording.figures import NOTHING, Figures, figures_of
from harness.recording.meaning import settled
from harness.recording.model import Exchange, Json, Request, Response
from harness.recording.prices import Prices
from harness.recording.selection import deployment_of

BATCH_SHARE = 0.5
"""What providers take for a request in a batch, of its price."""

_CHARACTERS_PER_TOKEN = 4
_USUAL_OUTPUT = 500
_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_FREE = ("/v1/models",)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request takes, or took. ``is_guessed`` where the recording does not say its tokens.

    ``what`` is the endpoint and the model; ``figures.cost`` is None where no price is known for it.
    """

    what: tuple[str, str]
    figures: Figures
    is_guessed: bool = False
    is_free: bool = False


def cost_of(request: Request, recorded: Exchange, prices: Prices | None, share: float = 1.0) -> Cost:
    """What asking ``request`` may take, by what its recording took. ``share`` is the part of the price that is paid."""
    response = settled(recorded.response)
    model = request.model or deployment_of(request.path)
    used = figures_of(response)
    is_free = request.method != "POST" or endpoint_of(request.path) in _FREE
    tokens_in, tokens_out, is_guessed = used.input, _within_limit(used.output, recorded.request, request), False
    if not is_free and not (used.input or used.output):
        (tokens_in, tokens_out), is_guessed = _guessed(request.body, response), True
    cost = None
    if prices is not None and (tokens_in or tokens_out):
        cost = prices.cost(model, input=tokens_in, output=tokens_out, cached=used.cached)
    figures = replace(
        NOTHING,
        input=tokens_in,
        output=tokens_out,
        cached=used.cached,
        cost=None if cost is None else cost * share,
    )
    is_guessed |= tokens_out > used.output
    return Cost((endpoint_of(request.path), model), figures, is_guessed, is_free)


def _within_limit(output: int, before: Request, now: Request) -> int:
    """The tokens that an answer may take under another limit than the one that it was recorded with."""
    old, new = _limit(before.body), _limit(now.body)
    if new is not None and output > new:
        return new
    if old is not None and output >= old and new != old:
        # It was cut off then.
        return max(output, _USUAL_OUTPUT) if new is None else new
    return output


def _limit(body: Json) -> int | None:
    limits = [body[name] for name in _LIMITS if isinstance(body, dict) and type(body.get(name)) is int]
    return min(limits, default=None)


def spent_on(exchange: Exchange, expected: Cost, prices: Prices | None, share: float = 1.0) -> float:
    """What an answer cost as far as there is a price; by what was expected where it does not say its tokens."""
    request = exchange.request
    model = request.model or deployment_of(request.path)
    figures = figures_of(settled(exchange.response), model=model, prices=prices)
    if exchange.response.status < 400 and not (figures.input or figures.output):
        return expected.figures.cost or 0.0
    return (figures.cost or 0.0) * share


def _guessed(body: Json, response: Response) -> tuple[int, int]:
    """Tokens in and out of an exchange that tells none."""
    asked = len(json.dumps(body, ensure_ascii=False)) // _CHARACTERS_PER_TOKEN
    limit = _limit(body)
    said = len(json.dumps(response.body, ensure_ascii=False)) // _CHARACTERS_PER_TOKEN
    usual = said if response.status < 400 and said else _USUAL_OUTPUT
    return asked, usual if limit is None else min(usual, limit)


@dataclass(slots=True)
class Row:
    """The requests to one endpoint for one model."""

    requests: int = 0
    figures: Figures = NOTHING
    guessed: int = 0


@dataclass(slots=True)
class Estimate:
    """All requests, by endpoint and model. ``unpriced`` are models that have no price in the table."""

    rows: dict[tuple[str, str], Row] = field(default_factory=lambda: defaultdict(Row))
    unpriced: set[str] = field(default_factory=set)

    def add(self, costs: Iterable[Cost]) -> None:
        for cost in costs:
            row = self.rows[cost.what]
            row.requests += 1
            row.figures += cost.figures
            row.guessed += cost.is_guessed
            if cost.figures.cost is None and not cost.is_free:
                self.unpriced.add(cost.what[1])

    @property
    def requests(self) -> int:
        return sum(row.requests for row in self.rows.values())

    @property
    def guessed(self) -> int:
        return sum(row.guessed for row in self.rows.values())

    @property
    def total(self) -> Figures:
        return sum((row.figures for row in self.rows.values()), start=NOTHING)
