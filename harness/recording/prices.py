"""What tokens cost, by a table that the user gives."""

import fnmatch
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import SettingsError
from harness.recording.model import Json

_HINT = 'Write, per million tokens:  [prices."gpt-4o"]  input = 2.5  output = 10  cached_input = 1.25'
_KINDS = ("input", "output", "cached_input")
_DATED = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest)$")
_PER = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """One model's prices per million tokens, in whatever currency the table is in."""

    input: float
    output: float = 0.0
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by the model's name; a name may hold ``*``."""

    models: Mapping[str, Price]
    currency: str = "USD"

    def price(self, model: str) -> Price | None:
        """The price of a model: by its name, then without its upstream's prefix, without its date, by ``*``."""
        bare = model.rpartition("/")[2]
        for name in (model, bare, _DATED.sub("", bare)):
            if name in self.models:
                return self.models[name]
        patterns = [name for name in self.models if "*" in name and fnmatch.fnmatchcase(bare, name)]
        return self.models[max(patterns, key=len)] if patterns else None

    def cost(self, model: str, *, input: int, output: int, cached: int = 0) -> float | None:
        """What an answer cost; None for a model that has no price. ``cached`` tokens are part of ``input``."""
        price = self.price(model)
        if price is None:
            return None
        for_cached = price.input if price.cached_input is None else price.cached_input
        return ((input - cached) * price.input + cached * for_cached + output * price.output) / _PER


def parse_prices(table: Json, source: str) -> Prices:
    """A table as TOML or JSON gives it: ``{"prices": {MODEL: {"input", "output", "cached_input"}}, "currency"}``.

    The models may also stand at the top. Raises SettingsError, naming ``source``, for anything else.
    """
    if not isinstance(table, dict):
        raise SettingsError(f"{source} is not a table of prices.", hint=_HINT)
    currency = table.get("currency", "USD")
    rows = table.get("prices", {name: row for name, row in table.items() if name != "currency"})
    if not isinstance(currency, str) or not isinstance(rows, dict) or not rows:
        raise SettingsError(f"{source} holds no prices.", hint=_HINT)
    return Prices({name: _price(row, f"{source}: {name}") for name, row in rows.items()}, currency)


def _price(row: Json, where: str) -> Price:
    if not isinstance(row, dict) or "input" not in row:
        raise SettingsError(f'{where} has no "input" price.', hint=_HINT)
    for name, value in row.items():
        if name not in _KINDS:
            raise SettingsError(f"{where}: {name!r} is no price.", hint=f"Use: {', '.join(_KINDS)}.")
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise SettingsError(f"{where}: {name} = {value!r} is not a price.", hint=_HINT)
    return Price(**{name: float(value) for name, value in row.items()})
