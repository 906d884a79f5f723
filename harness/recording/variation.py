"""Whether a difference is larger than a model's own: asked the same thing again, a model does not say the same either.

The measure of a pair is its class, and within one class how unlike the texts are. A difference counts as larger when
every new answer is farther from every old one than any two answers of one side are from each other. Answers of one and
the same model fall apart like that by chance, too, the more often the fewer they are: that is said with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TypeAlias

from harness.recording.classes import CLASSES, rank
from harness.recording.diff import Pair
from harness.recording.model import Exchange

Measure: TypeAlias = tuple[int, float]
"""How far two answers are from each other: their class (0 is equal), and how unlike their texts are, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Variation:
    """What was found out about one recording. ``old`` and ``new`` say how many answers of each side were compared.

    ``own`` is the class of the largest difference within one side, ``between`` that of the smallest between the sides.
    """

    is_larger: bool
    old: int
    new: int
    own: str
    between: str

    @property
    def words(self) -> str:
        answers = f"{self.old} old, {self.new} new answers"
        if self.is_larger:
            chance = f"by chance at most 1 time in {one_in(self.old, self.new)}"
            return f"larger than the variation of its own ({answers}: {chance})"
        who = "the model" if self.old < 2 else "either model"
        return f"no larger than what {who} shows against itself ({answers})"


def one_in(old: int, new: int) -> int:
    """In how many cases at most one is taken for larger although both sides are answers of the same model.

    Of all ways to deal so many answers out to two sides, one at most keeps the sides apart (two, where they are of one
    size and can be swapped); all are as likely, when nothing tells the sides apart.
    """
    ways = comb(old + new, new)
    return ways // 2 if old == new else ways


def measure(pair: Pair) -> Measure:
    """How far the two answers of a pair are from each other."""
    unlike = 0.0 if pair.similarity is None else 1 - pair.similarity
    return len(CLASSES) - 1 - rank(pair.cls), unlike


def variation(
    old: Sequence[Exchange], new: Sequence[Exchange], compared: Callable[[Exchange, Exchange], Pair]
) -> Variation:
    """The differences between two sets of answers to one request, against those within each."""
    within = [measure(compared(*two)) for side in (old, new) for two in combinations(side, 2)]
    between = [measure(compared(one, two)) for one in old for two in new]
    own, least = max(within, default=(0, 0.0)), min(between)
    return Variation(least > own, len(old), len(new), _class_of(own), _class_of(least))


def _class_of(found: Measure) -> str:
    return CLASSES[len(CLASSES) - 1 - found[0]]
