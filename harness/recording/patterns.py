"""Regular expressions that a user wrote: checked when they are read, and given up on when they take too long.

An expression like ``(a+)+$`` takes time that doubles with each letter. The standard library cannot be told to give up;
``regex`` can. It is imported where there is such an expression, for it takes a while.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Protocol

from harness.errors import SettingsError

_SECONDS = 2.0
_FAR = 1 << 62


class Match(Protocol):
    """What an expression found: the part of a match that is asked for here."""

    def __getitem__(self, group: int | str, /) -> str: ...

    def start(self) -> int: ...

    def end(self) -> int: ...

    def span(self, group: int | str, /) -> tuple[int, int]: ...


class Compiled(Protocol):
    """An expression, the standard library's or ours."""

    @property
    def groupindex(self) -> Mapping[str, int]:
        """The numbers of the groups that have names."""
        ...

    def finditer(self, text: str, start: int = ..., end: int = ..., /) -> Iterator[Match]: ...


class Pattern:
    """One expression of the user's. ``where`` is the setting that holds it, for messages.

    Raises SettingsError when it is not a regular expression, and later when it takes too long for a text.
    """

    def __init__(self, pattern: str, where: str, *, seconds: float = _SECONDS) -> None:
        self._pattern, self._where, self._seconds = pattern, where, seconds
        try:
            self.groupindex = re.compile(pattern).groupindex
        except (re.error, RecursionError, OverflowError) as error:
            raise SettingsError(
                f"{where}: {pattern!r} is not a regular expression: {error}",
                hint="Change the pattern in pyproject.toml.",
            ) from error

    @cached_property
    def _finditer(self) -> Callable[..., Iterator[Match]]:
        import regex  # type: ignore[import-untyped]  # its types are a package of their own

        finditer: Callable[..., Iterator[Match]] = regex.compile(self._pattern).finditer
        return finditer

    def finditer(self, text: str, start: int = 0, end: int = _FAR) -> Iterator[Match]:
        try:
            yield from self._finditer(text, start, min(end, len(text)), timeout=self._seconds)
        except TimeoutError:
            raise self._too_slow(len(text)) from None

    def _too_slow(self, length: int) -> SettingsError:
        return SettingsError(
            f"{self._where}: {self._pattern!r} takes more than {self._seconds:g} s for a text of {length} characters.",
            hint="Write it without a repetition inside a repetition, such as (a+)+ or (a|b*)*.",
        )
