"""Ids that follow from a seed: the same seed gives the same ids, another seed others."""

import hashlib
import re

_DIGITS = 48
_MADE = re.compile(rf"[a-z]+_[0-9a-f]{{{_DIGITS}}}")


class Ids:
    """Hands out ids: a prefix and 48 hex digits of a digest of the seed and a counter.

    Everything that one request makes takes its ids from one instance, so that requests that run at once do not change
    each other's.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def new(self, prefix: str) -> str:
        """The next id, ``msg_…`` for the prefix ``msg``."""
        self._count += 1
        digest = hashlib.sha256(f"{self._seed}/{self._count}".encode()).hexdigest()
        return f"{prefix}_{digest[:_DIGITS]}"


def looks_made(some_id: str) -> bool:
    """Whether an id can be one of ours: nobody thinks up one like it for something else."""
    return _MADE.fullmatch(some_id) is not None
