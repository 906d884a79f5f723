"""JSON as bodies carry it: bytes to an object, a value to compact text."""

import json
import re
from collections.abc import Iterable
from typing import Any

from harness.errors import InvalidRequest

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode

_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")

_BETWEEN = "\x1e"
"""Stands between values that are encoded together, and is escaped there: a record separator is rare in texts."""
_BETWEEN_ENCODED = f",{_compact(_BETWEEN)},"


def parse_object(raw: bytes) -> dict[str, Any]:
    """Bytes as a JSON object; nothing is an empty one. Raises InvalidRequest when they are neither."""
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"We could not parse the JSON body of your request: {error}", code="invalid_json"
        ) from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body of the request must be a JSON object.", code="invalid_type")
    return body


def compact(value: Any) -> str:
    """JSON as compact as OpenAI sends it, text unescaped.

    A model's stream may cut a character in two, half a surrogate pair in each chunk. UTF-8 has no bytes for a half, so
    such a value is escaped.
    """
    text = _compact(value)
    return json.dumps(value, separators=(",", ":")) if _has_half_character(text) else text


def compact_each(values: Iterable[Any]) -> list[str]:
    """The same of several values, such as the chunks of a stream: encoded together, which is much quicker."""
    values = list(values)
    together = _compact([item for value in values for item in (value, _BETWEEN)][:-1])
    texts = together[1:-1].split(_BETWEEN_ENCODED)
    # A value may hold what stands between values.
    is_whole = len(texts) == len(values) and not _has_half_character(together)
    return texts if is_whole else list(map(compact, values))


def _has_half_character(text: str) -> bool:
    return not text.isascii() and _HALF_CHARACTER.search(text) is not None
