"""A refresh as a whole: made of a plan and an upstream, estimated, then asked."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Protocol

from harness.backends.asking import Asked, Asker
from harness.backends.batch import Batches
from harness.backends.protocol import Call, Upstream
from harness.recording.batches import is_batchable
from harness.recording.redact import Redactor
from harness.recording.refresh import Plan
from harness.refresh.recorded import Recordings
from harness.refresh.run import Run, call_of
from harness.refresh.wanted import Means, Outcome, Telling, Wanted
from harness.stores.protocol import RecordingStore
from harness.stores.staging import Staging


class Provable(Upstream, Protocol):
    """An upstream that can be asked beforehand whether it will take requests."""

    async def prove(self, call: Call) -> None:
        """Raises UpstreamError when whoever answers this call is not there, or refuses us."""
        ...


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh, ready to be estimated and to be asked.

    ``source`` is what it reads, ``names`` are prefixes of models and paths, of upstreams. With ``errors`` failures are
    recorded once nothing more is tried, with ``timings`` how long answers took.
    """

    plan: Plan
    source: RecordingStore
    wanted: Wanted
    upstream: Provable
    redactor: Redactor
    staging: Staging
    names: Sequence[str] = ()
    retries: int = 5
    in_batches: bool = False
    errors: bool = False
    timings: bool = False

    def run(self, telling: Telling) -> Run:
        """The plan as it is to be carried out, given what is known from before."""
        batches = Batches(self.upstream, self.staging, self.names, told=telling.note) if self.in_batches else None
        return Run(self.plan, self.wanted, Means(self.upstream, self.redactor, batches), self.staging)

    def upstreams(self) -> list[str]:
        """Who is asked, for each step of the plan."""
        return [self.upstream.provider(call) for call in self._calls()]

    def beside_batches(self) -> int:
        """How many recordings are asked one by one, although batches are wanted."""
        changed = (self.wanted.changes.apply(step.request) for step in self.plan.steps)
        return sum(not is_batchable(request) for request in changed) if self.in_batches else 0

    def _calls(self) -> list[Call]:
        return [call_of(self.wanted.changes.apply(step.request)) for step in self.plan.steps]

    async def ask(self, telling: Telling) -> Outcome:
        """Carry the plan out. Raises UpstreamError, before anything is asked, where one would be in vain."""
        clock = time.monotonic if self.timings else None
        how = Asked(self.retries, random.random, errors=self.errors, clock=clock, waiting=_waiting(telling))
        try:
            for call in {self.upstream.provider(call): call for call in self._calls()}.values():
                await self.upstream.prove(call)
            asker = Asker(self.redactor, Recordings(self.staging, self.source), how)
            return await self.run(telling).ask_all(asker, telling)
        finally:
            await self.upstream.close()


_REASON_LENGTH = 120
_TOLD_SECONDS = 5.0
"""Shorter waits are not worth a sentence."""


def _waiting(telling: Telling) -> Callable[[float, str], None]:
    def told(seconds: float, reason: str) -> None:
        if seconds >= _TOLD_SECONDS:
            why = shorten(reason, _REASON_LENGTH, placeholder=" …")
            telling.note(f"waiting {seconds:.0f} s before one is asked again: {why}")

    return told
