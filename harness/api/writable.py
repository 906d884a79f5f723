"""Which JSON values can be written again: not all that Python reads as JSON is JSON, or ends."""

import math
from collections.abc import Iterator
from typing import Any

from harness.api.errors import invalid_value
from harness.api.validation import path_of

MAX_DEPTH = 100
"""How deep a value may be nested; deeper ones could not be written down again."""


def check_writable(value: Any, path: str = "") -> None:
    """Refuse what Python's JSON reads and cannot write again, or not so that others read it.

    That is nesting without end, numbers past all bounds (``1e999``), and halves of surrogate pairs. ``path`` is the
    path of ``value`` in the request. Raises InvalidRequest.
    """
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while pending:
        steps, inner = pending.pop()
        if len(steps) > MAX_DEPTH:
            param = path or str(steps[0])
            raise invalid_value(param, f"Invalid '{param}': nested more than {MAX_DEPTH} levels deep.")
        if not _writable(inner):
            param = path_of(steps, path)
            raise invalid_value(param, f"Invalid value for '{param}': it cannot be written as JSON in UTF-8.")
        pending.extend(((*steps, step), deeper) for step, deeper in _inside(inner))


def _writable(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    texts = list(value) if isinstance(value, dict) else [value]
    return all(_encodes(text) for text in texts if isinstance(text, str))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
