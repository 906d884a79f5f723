"""What a run covered: of these tests it asked for everything that they need, and whatever else is theirs is unused."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from harness.recording.cassette_names import cassette_of
from harness.recording.key import parse_stem


@dataclass(frozen=True)
class Coverage:
    """``passed`` are the scopes that asked for all they ask for; ``known``, of a whole suite, those of all its tests.

    Without ``known`` a run can tell of no test that it is gone.
    """

    passed: frozenset[str | None]
    known: frozenset[str] | None = None

    def without(self, scopes: Iterable[str | None]) -> "Coverage":
        """The same, but of these scopes nothing is known."""
        return replace(self, passed=self.passed.difference(scopes))

    def covers(self, scope: str | None, is_file: Callable[[str], bool]) -> bool:
        """Whether a recording of this scope that was not used is not needed: its test passed, or is gone.

        A test is gone when it was in no whole run; not so when its file is there (``is_file``, of its path from the
        suite's root) and was not looked into.
        """
        if scope in self.passed:
            return True
        if self.known is None or scope is None or "::" not in scope or cassette_of(scope) in self._cassettes:
            return False
        file = scope.partition("::")[0]
        return not is_file(file) or any(known.startswith(f"{file}::") for known in self.known)

    @cached_property
    def _cassettes(self) -> frozenset[str]:
        """The suite's tests as their cassettes name them, which is how a recording that was imported may name one."""
        return frozenset(map(cassette_of, self.known or ()))


def unused(candidates: Iterable[str], used: Iterable[str]) -> list[str]:
    """Of names that may go, those that do: not used themselves, and no part of a sequence of which a later one is."""
    last: dict[str, int] = {}
    for base, number in map(parse_stem, used):
        last[base] = max(number, last.get(base, 0))
    return [name for name in candidates if parse_stem(name)[1] > last.get(parse_stem(name)[0], 0)]
