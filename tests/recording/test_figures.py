"""Tokens, times and costs."""

import pytest

from harness.errors import SettingsError
from harness.recording.figures import NOTHING, Figures, figures_of
from harness.recording.model import Response
from harness.recording.prices import Price, Prices, parse_prices

PRICES = Prices({"gpt-4o": Price(2.5, 10, 1.25), "gpt-4o-mini": Price(0.15, 0.6), "llama*": Price(0, 0)})


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}, (5, 2, 3)),
        ({"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 3}}, (5, 2, 3)),
        ({"input_tokens": 2, "output_tokens": 2, "cache_read_input_tokens": 3}, (5, 2, 3)),
        (None, (0, 0, 0)),
        ({"prompt_tokens": "many", "completion_tokens": True}, (0, 0, 0)),
    ],
)
def test_every_apis_names_are_read(usage: object, expected: tuple[int, int, int]) -> None:
    found = figures_of(Response({"usage": usage}))
    assert (found.input, found.output, found.cached) == expected


def test_times_are_delays_put_together() -> None:
    found = figures_of(Response({}, timings={"first_byte": 0.5, "chunks": [0.25, 0.25]}))
    assert (found.first_byte, found.seconds) == (0.5, 1.0)
    assert figures_of(Response([], timings={"chunks": "no"})) == NOTHING


def test_cost_follows_from_the_table() -> None:
    usage = {
        "prompt_tokens": 1_000_000,
        "completion_tokens": 100_000,
        "prompt_tokens_details": {"cached_tokens": 400_000},
    }
    assert figures_of(Response({"usage": usage}), model="gpt-4o", prices=PRICES).cost == pytest.approx(1.5 + 0.5 + 1.0)
    assert figures_of(Response({"usage": usage}), model="unheard-of", prices=PRICES).cost is None
    assert figures_of(Response({"usage": usage})).cost is None


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gpt-4o-2024-08-06", 2.5),
        ("openai/gpt-4o", 2.5),
        ("gpt-4o-mini-2024-07-18", 0.15),
        ("llama3.2:3b", 0),
        ("gpt-4o-audio", None),
    ],
)
def test_a_model_has_the_price_of_its_name(model: str, price: float | None) -> None:
    found = PRICES.price(model)
    assert (found.input if found else None) == price


def test_sums_keep_what_is_unknown_unknown() -> None:
    assert Figures(1, 2, cost=0.5) + Figures(1, 1, seconds=2.0) == Figures(2, 3, seconds=2.0, cost=0.5)


def test_a_table_is_read_with_and_without_its_heading() -> None:
    rows = {"gpt-4o": {"input": 2.5, "output": 10}}
    assert parse_prices(rows, "p") == parse_prices({"prices": rows, "currency": "USD"}, "p")
    assert parse_prices({"prices": rows, "currency": "EUR"}, "p").currency == "EUR"


@pytest.mark.parametrize(
    "table", [[], {}, {"m": 3}, {"m": {}}, {"m": {"input": -1}}, {"m": {"input": True}}, {"m": {"input": 1, "in": 2}}]
)
def test_what_is_no_table_of_prices_is_named(table: object) -> None:
    with pytest.raises(SettingsError, match=r"prices\.toml"):
        parse_prices(table, "prices.toml")
