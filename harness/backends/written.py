"""A request as it would be written down: worked out once for a call, and handed on with it."""

from typing import NamedTuple

from harness.recording.key import key_of_clean
from harness.recording.model import Request


class Written(NamedTuple):
    """A request without secrets, and its key."""

    request: Request
    key: str


def written(clean: Request) -> Written:
    """A request that has no secrets (any more), with its key."""
    return Written(clean, key_of_clean(clean))
