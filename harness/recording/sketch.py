"""Sketches: a request as a few hundred bytes, by which a large index finds those that may be alike.

A sketch holds one number for each leaf of a JSON value: a checksum of its path and of what stands there. Two values
differ in about half as many places as their sketches have numbers of their own.
"""

import json
import zlib
from array import array
from collections.abc import Callable, Iterator

from harness.recording.model import Json

_MOST_LEAVES = 256
"""Requests with more leaves (long conversations, vectors) are sketched by the smallest of their checksums."""


def sketch(value: Json) -> bytes:
    """The sketch of a JSON value; the same value gives the same bytes every time, on one kind of machine."""
    return array("I", sorted(_checksums(value, ""))[:_MOST_LEAVES]).tobytes()


def unlike(one: bytes) -> Callable[[bytes], int]:
    """A function that tells of another sketch how many leaves only one of the two has."""
    numbers = frozenset(array("I", one))
    return lambda other: len(numbers.symmetric_difference(array("I", other)))


def _checksums(value: Json, path: str) -> Iterator[int]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _checksums(item, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _checksums(item, f"{path}[{index}]")
    else:
        yield zlib.crc32(f"{path}={json.dumps(value)}".encode())
