"""In which order the recordings of one test were asked for, as far as they tell."""

import json
from collections.abc import Mapping

from harness.recording.key import parse_stem
from harness.recording.model import Exchange


def in_asking_order(exchanges: Mapping[str, Exchange]) -> list[str]:
    """The names of one scope's recordings in order: by the positions that they have, those without one behind them.

    Of these the shorter requests come first: in a dialogue the longer ones go on from them. Identical requests keep the
    order of their sequence.
    """

    def place(name: str) -> tuple[bool, int, int, str, int]:
        exchange = exchanges[name]
        known = exchange.position is not None
        length = 0 if known else len(json.dumps(exchange.request.body))
        return not known, exchange.position or 0, length, *parse_stem(name)

    return sorted(exchanges, key=place)
