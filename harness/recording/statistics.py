"""Sums over recordings: by test, by model and the like, and what was asked more than once."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.recording.description import Description
from harness.recording.model import Json

NO_TEST = "(no test)"


@dataclass(frozen=True, slots=True)
class Sum:
    """Some recordings together; ``name`` says which. Sizes are in bytes."""

    name: str
    recordings: int
    size: int
    tokens_in: int
    tokens_out: int

    def as_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "recordings": self.recordings,
            "bytes": self.size,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
        }


@dataclass(frozen=True, slots=True)
class Repeated:
    """A question that several recordings hold, by their files; ``is_same``: and all of them the same answer."""

    files: Sequence[str]
    is_same: bool


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything that is summed up; each list begins with what takes the most space."""

    total: Sum
    by_test: Sequence[Sum]
    by_model: Sequence[Sum]
    by_endpoint: Sequence[Sum]
    by_content: Sequence[Sum]
    largest: Sequence[Description]
    repeated: Sequence[Repeated]

    def as_json(self) -> dict[str, Json]:
        """All of it; of single recordings the ten largest."""
        return {
            "total": self.total.as_json(),
            "by_test": [one.as_json() for one in self.by_test],
            "by_model": [one.as_json() for one in self.by_model],
            "by_endpoint": [one.as_json() for one in self.by_endpoint],
            "by_content": [one.as_json() for one in self.by_content],
            "largest": [{"file": one.file, "bytes": one.size} for one in self.largest],
            "repeated": [{"files": list(one.files), "same_answer": one.is_same} for one in self.repeated],
        }


_LARGEST = 10


def statistics(found: Sequence[Description]) -> Statistics:
    """The sums. An answer that has several kinds of content counts with each of them."""
    return Statistics(
        _sum("total", found),
        _by(found, lambda one: [one.test or NO_TEST]),
        _by(found, lambda one: [one.model or "(no model)"]),
        _by(found, lambda one: [one.endpoint]),
        _by(found, lambda one: one.content),
        sorted(found, key=lambda one: (-one.size, one.file))[:_LARGEST],
        _repeated(found),
    )


def _sum(name: str, some: Sequence[Description]) -> Sum:
    return Sum(
        name,
        len(some),
        sum(one.size for one in some),
        sum(one.tokens_in for one in some),
        sum(one.tokens_out for one in some),
    )


def _by(found: Iterable[Description], names: Callable[[Description], Iterable[str]]) -> list[Sum]:
    groups: defaultdict[str, list[Description]] = defaultdict(list)
    for one in found:
        for name in names(one):
            groups[str(name)].append(one)
    sums = [_sum(name, some) for name, some in groups.items()]
    return sorted(sums, key=lambda one: (-one.size, one.name))


def _repeated(found: Iterable[Description]) -> list[Repeated]:
    """Questions of equal fingerprints, those that were asked most often first."""
    groups: defaultdict[str, list[Description]] = defaultdict(list)
    for one in found:
        groups[one.question].append(one)
    repeated = [
        Repeated([one.file for one in some], len({one.answer for one in some}) == 1)
        for some in groups.values()
        if len(some) > 1
    ]
    return sorted(repeated, key=lambda one: (-len(one.files), one.files))
