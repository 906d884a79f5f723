"""What an answer used: tokens by any API's names, time where it was recorded, cost by a table of prices."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.recording.model import Json, Response
from harness.recording.prices import Prices


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one answer, or the sum of many. ``seconds`` and ``first_byte`` are None where not recorded.

    ``cached`` tokens are part of ``input``; ``cost`` is None without a price for the model.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    seconds: float | None = None
    first_byte: float | None = None
    cost: float | None = None

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            _sum(self.seconds, other.seconds),
            _sum(self.first_byte, other.first_byte),
            _sum(self.cost, other.cost),
        )


NOTHING = Figures()
"""No figures at all: what sums begin with."""


def figures_of(response: Response, *, model: str = "", prices: Prices | None = None) -> Figures:
    """The figures of a whole answer (of a stream, when it was put together)."""
    body = response.body
    usage = body.get("usage") if isinstance(body, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    used_in = _count(usage, "prompt_tokens") or _count(usage, "input_tokens")
    cached = _cached(usage)
    # Anthropic counts what it read from its cache beside the input, OpenAI within.
    used_in += _count(usage, "cache_read_input_tokens") + _count(usage, "cache_creation_input_tokens")
    used_out = _count(usage, "completion_tokens") or _count(usage, "output_tokens")
    first, seconds = _times(response.timings)
    known = prices is not None and (used_in or used_out)
    cost = prices.cost(model, input=used_in, output=used_out, cached=cached) if prices and known else None
    return Figures(used_in, used_out, cached, seconds, first, cost)


def _count(usage: dict[str, Json], name: str) -> int:
    value = usage.get(name)
    return value if type(value) is int and value > 0 else 0


def _cached(usage: dict[str, Json]) -> int:
    for name in ("prompt_tokens_details", "input_tokens_details"):
        details = usage.get(name)
        if isinstance(details, dict):
            return _count(details, "cached_tokens")
    return _count(usage, "cache_read_input_tokens")


def _times(timings: Mapping[str, Json] | None) -> tuple[float | None, float | None]:
    """Seconds to the first byte and to the end; a chunk's time is its delay after what came before it."""
    if timings is None:
        return None, None
    first, chunks = timings.get("first_byte"), timings.get("chunks")
    if isinstance(first, bool) or not isinstance(first, int | float):
        return None, None
    delays = [delay for delay in chunks if type(delay) in (int, float)] if isinstance(chunks, list) else []
    return float(first), first + sum(delays)


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other
