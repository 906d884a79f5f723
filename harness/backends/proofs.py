"""What upstreams say of the keys that they are asked with: one question at a time about each, and its answer kept."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

About: TypeAlias = tuple[str, str | None]
"""A base URL and the key that goes there."""

_REFUSED_SECONDS = 10.0
"""How long a refusal holds: whoever has mended a key at the provider's asks again soon."""

_UNTOLD_SECONDS = 300.0
"""How long an upstream that gave no answer is not asked again: requests that it answers tell of the key themselves."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a question. ``refusal`` is the status and the text of one; ``failure`` why nothing could be told."""

    refusal: tuple[int, str] | None = None
    failure: Exception | None = None

    @property
    def holds_for(self) -> float:
        """Seconds. A key that was taken once is good for the life of this process."""
        if self.failure is not None:
            return _UNTOLD_SECONDS
        return _REFUSED_SECONDS if self.refusal else float("inf")


@dataclass(frozen=True, slots=True)
class _Question:
    task: asyncio.Task[Verdict]
    asked_at: float

    def is_settled(self, now: float) -> bool:
        """Whether there is no need to ask again, yet."""
        if not self.task.done():
            return True
        is_answered = not self.task.cancelled() and self.task.exception() is None
        return is_answered and now - self.asked_at < self.task.result().holds_for


class Proofs:
    """The verdicts on keys. Who wants one while its question is open waits for that one's answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._questions: dict[About, _Question] = {}

    async def verdict(
        self, about: About, ask: Callable[[], Coroutine[Any, Any, Verdict]], patience: float | None = None
    ) -> Verdict | None:
        """The verdict, by ``ask`` where none is known.

        None when there is none ``patience`` seconds after the question was asked. It stays open then, for those who
        come later.
        """
        now = self._clock()
        question = self._questions.get(about)
        if question is None or not question.is_settled(now):
            question = self._questions[about] = _Question(asyncio.create_task(ask()), now)
        left = None if patience is None else max(0.0, question.asked_at + patience - now)
        done, _ = await asyncio.wait({question.task}, timeout=left)
        return question.task.result() if done and not question.task.cancelled() else None

    async def close(self) -> None:
        """Ask no longer."""
        tasks = [question.task for question in self._questions.values()]
        self._questions = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
