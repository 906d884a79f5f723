"""Files of a batch: lines of JSON, each a request on its way up or a result on its way down.

They are the one kind of file whose content an upstream reads and writes as it does requests and answers; any other file
is its owner's.
"""

import json
from collections.abc import Callable

from harness.api.body import compact
from harness.recording.model import Json

_REQUEST = {"custom_id", "body"}, {"custom_id", "params"}
_RESULT = {"custom_id", "response"}, {"custom_id", "result"}
"""What every line says: OpenAI's, Anthropic's."""


def edited_requests(data: bytes, change: Callable[[Json], Json]) -> bytes:
    """The file of a batch's requests with each of them changed; the same bytes for any other file."""
    return _edited(data, _REQUEST, change)


def edited_results(data: bytes, change: Callable[[Json], Json]) -> bytes:
    """The file of a batch's results with each of them changed; the same bytes for any other file."""
    return _edited(data, _RESULT, change)


def _edited(data: bytes, kinds: tuple[set[str], ...], change: Callable[[Json], Json]) -> bytes:
    if b'"custom_id"' not in data:
        return data
    lines = data.split(b"\n")
    try:
        values = [json.loads(line) if line.strip() else None for line in lines]
    except (ValueError, RecursionError):
        return data
    said = [value for value in values if value is not None]
    if not all(isinstance(value, dict) and any(kind <= value.keys() for kind in kinds) for value in said):
        return data
    changed = [value if value is None else change(value) for value in values]
    rows = zip(lines, values, changed, strict=True)
    return b"\n".join(line if new is old else compact(new).encode() for line, old, new in rows)
