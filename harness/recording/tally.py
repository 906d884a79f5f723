"""What became of everything that was to come in from elsewhere, or to go out."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that did not come in: what, why, and what to do about it."""

    what: str
    reason: str
    hint: str = ""


@dataclass(slots=True)
class Tally:
    """What became of everything.

    ``others`` counts the exchanges that were no model's, by host, ``passed_over`` files of another kind.
    """

    written: list[str] = field(default_factory=list)
    unchanged: int = 0
    passed_over: int = 0
    others: Counter[str] = field(default_factory=Counter)
    skipped: list[Skipped] = field(default_factory=list)
