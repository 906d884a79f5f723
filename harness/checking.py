"""Recordings looked at one by one, however many, spread over the processors."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from harness.crew import Crew
from harness.recording.verify import Checked, File, Verifier

_verifiers: list[Verifier] = []


def check_all(files: Iterable[File], count: int, make: Callable[[], Verifier]) -> list[Checked]:
    """What there is to say of each of ``count`` files alone, in order, without their texts.

    ``make`` makes a verifier, in every process its own: it is a function that pickles.
    """
    with Crew(count, _set_up, make) as crew:
        return list(crew.each(_check_batch, files))


def _set_up(make: Callable[[], Verifier]) -> None:
    _verifiers[:] = [make()]


def _check_batch(batch: list[File]) -> list[Checked]:
    checked = [_verifiers[0].check(file) for file in batch]
    return [replace(one, file=replace(one.file, text="")) for one in checked]
