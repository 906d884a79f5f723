"""Ids that follow from a seed: the same seed gives the same ids, another seed others."""

import hashlib


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
        return f"{prefix}_{digest[:48]}"
