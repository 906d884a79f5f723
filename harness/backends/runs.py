"""What the run of each scope has recorded: which member of its sequence comes next, what is left over at its end."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from harness.backends.journal import Journal, Line, Outcome
from harness.errors import HarnessError, RecordingError, RecordingNotSent
from harness.recording.flow import Flows
from harness.recording.key import recording_name
from harness.recording.model import Exchange, Request
from harness.stores.protocol import RecordingStore

_Turn: TypeAlias = tuple[str | None, str]
"""A scope and a key: what identical requests are counted by."""


class _Asked(NamedTuple):
    """What the journal says of a request. Requests themselves are not kept: they may be large, and a run long."""

    scope: str | None
    path: str
    model: str


def _asked(request: Request) -> _Asked:
    return _Asked(request.scope, request.path, request.model)


@dataclass(slots=True)
class _Sequence:
    """A sequence that is being recorded: its request, how many members it has, whether its last one failed."""

    asked: _Asked
    count: int = 0
    is_broken: bool = False
    is_abandoned: bool = False


class Runs:
    """Saves exchanges under the names of their sequences, and tells the journal.

    The n-th identical request of a scope's run gets the n-th name. When the run has ended well, a sequence that was
    recorded is replaced as a whole: with ``trims``, what an earlier run left behind it goes.
    """

    def __init__(self, store: RecordingStore, journal: Journal, *, trims: bool) -> None:
        self._store, self._journal, self._trims = store, journal, trims
        self._sequences: dict[_Turn, _Sequence] = {}
        self._flows = Flows()

    async def save(self, key: str, exchange: Exchange) -> str:
        """Save an exchange under the next name of its key; the name. Raises HarnessError when it is not kept."""
        sequence, asked = self._sequence(key, exchange.request), _asked(exchange.request)
        sequence.count += 1
        number = sequence.count
        name = recording_name(key, number)
        try:
            # A disk may be slow, and an object store is.
            is_new = await asyncio.to_thread(self._store.save, exchange, name)
        except RecordingNotSent as error:
            self._note(Outcome.FAILED, asked, name, error)
        except HarnessError:
            sequence.count -= sequence.count == number
            raise
        else:
            self._note(Outcome.RECORDED if is_new else Outcome.UNCHANGED, asked, name)
            await self._renew(name, exchange, is_new=is_new)
        sequence.is_broken = False
        return name

    async def _renew(self, name: str, exchange: Exchange, *, is_new: bool) -> None:
        """What stayed of a flow of which something is new gets the ids of this run."""
        flows = self._flows
        renewed = flows.wrote(exchange.ids) if is_new else flows.stayed(name, exchange.ids)
        for other, ids in renewed.items():
            try:
                await asyncio.to_thread(self._store.renew, other, ids)
            except HarnessError as error:
                self._note(Outcome.FAILED, _asked(exchange.request), other, error)

    def failed(self, key: str, request: Request) -> None:
        """A request brought nothing to record: unless it is asked again, its sequence is not complete."""
        self._sequence(key, request).is_broken = True

    def _sequence(self, key: str, request: Request) -> _Sequence:
        return self._sequences.setdefault((request.scope, key), _Sequence(_asked(request)))

    def end(self, scope: str | None) -> None:
        """The run of a scope has ended well, unless it was abandoned; the next one begins its sequences anew."""
        for turn in [turn for turn in self._sequences if turn[0] == scope]:
            sequence = self._sequences.pop(turn)
            if self._trims and sequence.count and not (sequence.is_broken or sequence.is_abandoned):
                self._trim(turn[1], sequence)

    def end_all(self) -> None:
        for scope in {scope for scope, _ in self._sequences}:
            self.end(scope)

    def abandon(self, scopes: Collection[str | None] | None = None) -> None:
        """The runs of these scopes (None: all) were broken off: what is left of earlier ones stays beside them."""
        for (scope, _), sequence in self._sequences.items():
            sequence.is_abandoned |= scopes is None or scope in scopes

    def _trim(self, key: str, sequence: _Sequence) -> None:
        try:
            for name in self._store.trim(key, sequence.count):
                self._note(Outcome.REMOVED, sequence.asked, name)
        except RecordingError as error:
            self._note(Outcome.FAILED, sequence.asked, None, error)

    def _note(self, outcome: Outcome, asked: _Asked, name: str | None, error: HarnessError | None = None) -> None:
        self._journal.write(Line(outcome, *asked, recording=name, error=error))
