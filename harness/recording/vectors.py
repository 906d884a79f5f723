"""Embeddings as numbers: both spellings read, and how near two vectors are."""

import base64
import binascii
import math
import struct
from collections.abc import Sequence

from harness.recording.model import Json

SAME_DIRECTION = 0.999
"""The cosine from which two vectors of one text say the same: machines that add in another order stay far above it."""


def vector(value: Json) -> Json:
    """An embedding as a list of numbers, also where the wire has them as base64 (little-endian, four bytes each).

    What is neither comes back as it is.
    """
    if not isinstance(value, str):
        return value
    try:
        raw = base64.b64decode(value, validate=True)
        return [_shortest(number) for number in struct.unpack(f"<{len(raw) // 4}f", raw)]
    except (binascii.Error, struct.error, ValueError):
        return value


def _shortest(number: float) -> float:
    """A number of four bytes as it is written in decimals: the few digits that tell it from its neighbours."""
    return float(f"{number:.9g}")


def is_vector(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) in (int, float) for item in value)


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine between two vectors of one length, from -1 to 1; 0 where one is nothing but zeros."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0
