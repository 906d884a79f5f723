"""Where new objects get their ids and times from: counted in every mode that must repeat itself, else at random."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.stores.protocol import StateStore
from harness.turn.ids import Ids

EPOCH = 1_735_689_600
"""The first second of 2025 in UTC: where the counted clock begins."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What one request that creates something gets: a source of ids, and the time in whole Unix seconds."""

    ids: Ids
    now: int


class Identity(Protocol):
    """Gives an origin to each request that creates something."""

    async def origin(self, scope: str | None) -> Origin: ...

    def end(self, origin: Origin) -> int:
        """When what began at ``origin`` ends: now, by the same clock."""
        ...


class CountedIdentity:
    """Ids and times from the scope and a counter that is kept with the state.

    A run repeated on fresh state gets the same ones, and no two objects of one state ever share an id.
    """

    def __init__(self, state: StateStore) -> None:
        self._state = state

    async def origin(self, scope: str | None) -> Origin:
        number = await self._state.count(scope or "")
        return Origin(Ids(f"{scope or ''}/{number}"), EPOCH + number)

    def end(self, origin: Origin) -> int:
        return origin.now


class RandomIdentity:
    """Ids and times as a live service has them. ``random`` gives a fresh seed, ``clock`` Unix seconds."""

    def __init__(self, random: Callable[[], str], clock: Callable[[], float]) -> None:
        self._random, self._clock = random, clock

    async def origin(self, scope: str | None) -> Origin:
        return Origin(Ids(self._random()), int(self._clock()))

    def end(self, origin: Origin) -> int:
        return int(self._clock())
