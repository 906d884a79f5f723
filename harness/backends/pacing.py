"""The time that answers take: measured while they are recorded, kept to when they are replayed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

from harness.recording.answer import Rendered
from harness.recording.model import Json

_DIGITS = 4
"""Tenths of a millisecond: what comes closer together came at once."""


@dataclass(slots=True)
class Stopwatch:
    """Started with the request, pressed at each piece of the answer. ``clock`` gives seconds."""

    clock: Callable[[], float]
    _laps: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self._laps = [self.clock()]

    def lap(self) -> None:
        self._laps.append(self.clock())

    def timings(self) -> dict[str, Json]:
        """Seconds to the first piece, and from each piece to the next; the first came with the first byte."""
        start, *laps = self._laps
        delays = [round(later - earlier, _DIGITS) for earlier, later in pairwise(laps)]
        return {"first_byte": round((laps or [start])[0] - start, _DIGITS), "chunks": [0.0, *delays] if laps else []}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast recorded answers go out: ``speed`` times as fast as they came, at once where no one knows how."""

    speed: float
    sleep: Callable[[float], Awaitable[None]]

    async def pieces(self, rendered: Rendered) -> AsyncIterator[bytes]:
        """The body of an answer, each piece in its time."""
        timings = rendered.timings or {}
        pieces = rendered.pieces()
        chunks = timings.get("chunks")
        delays = [delay for delay in chunks if isinstance(delay, int | float)] if isinstance(chunks, list) else []
        first = timings.get("first_byte")
        await self._wait(first if isinstance(first, int | float) else 0)
        for number, piece in enumerate(pieces):
            if number < len(delays):
                await self._wait(delays[number])
            yield piece

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            await self.sleep(seconds / self.speed)
