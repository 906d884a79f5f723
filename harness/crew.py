"""Work on batches in other processes when there is much to do, else in this one."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_BATCH = 12
_WORTH_A_POOL = 240
"""From how many recordings on, other processes are quicker than they take to start."""


class Crew(AbstractContextManager["Crew"]):
    """Works on batches of ``amount`` recordings; a few batches wait at most.

    ``set_up`` is called with ``needed`` in every process that works (in this one, when no other does); both must
    pickle. ``processes`` is how many work at once, by default as many as there are processors.
    """

    def __init__(self, amount: int, set_up: Callable[[Any], None], needed: Any, processes: int | None = None) -> None:
        count = processes or _processors()
        self._pool: ProcessPoolExecutor | None = None
        self._waiting = 2 * count + 1
        if count > 1 and amount >= _WORTH_A_POOL:
            # Spawned, for a process with threads (a progress bar has one) must not fork.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=set_up, initargs=(needed,))
        else:
            set_up(needed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def work(self, function: Callable[[list[T]], R], items: Iterable[T]) -> Iterator[R]:
        """What ``function`` makes of every batch, in order."""
        batches = _batched(items)
        if self._pool is None:
            yield from map(function, batches)
            return
        running: deque[Future[R]] = deque()
        for batch in batches:
            with _spared_from_interrupts():
                running.append(self._pool.submit(function, batch))
            if len(running) >= self._waiting:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def each(self, function: Callable[[list[T]], list[R]], items: Iterable[T]) -> Iterator[R]:
        """What ``function`` makes of every item, in order."""
        for batch in self.work(function, items):
            yield from batch


@contextmanager
def _spared_from_interrupts() -> Iterator[None]:
    """Processes that are begun in here never hear of Ctrl-C, which a terminal sends to all: their parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows has no such masks.
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _processors() -> int:
    """How many processors this process may use, which the system does not tell everywhere."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batched(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch
