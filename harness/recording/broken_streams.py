"""What is wrong with a stream by itself: an end that is missing, an event that is none, chunks of two answers."""

import json
from collections.abc import Iterator

from harness.recording.canonical import CHUNKED
from harness.recording.ids import COMPLETION
from harness.recording.model import Json
from harness.recording.streams import choices_of

_ENDS = {
    "message_start": ("message_stop", "error"),
    "response.created": ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "error"),
}
"""The events that end a stream which began with one: Anthropic's, and those of the Responses API."""
_DATA, _DONE = "data:", "[DONE]"


def is_cut_off(response: dict[str, Json], endpoint: str) -> bool:
    """Whether a stream's end is missing, of which nothing says that it broke off.

    Of chunks that is a finish reason, of Ollama's lines the one that is done, of events the last one.
    """
    body = response.get("body")
    if not (response.get("is_streaming") and isinstance(body, list)) or response.get("is_broken"):
        return False
    if body and all(isinstance(item, str) for item in body):
        kinds = {event.get("type") for event in _events(body) if isinstance(event, dict)}
        return any(first in kinds and kinds.isdisjoint(ends) for first, ends in _ENDS.items())
    chunks = _chunks(body)
    says_done = [chunk["done"] for chunk in chunks if isinstance(chunk.get("done"), bool)]
    if says_done:
        return not any(says_done)
    if endpoint not in CHUNKED or len(chunks) < len(body) or any(chunk.get("error") for chunk in chunks):
        return False
    return not any(choice.get("finish_reason") for chunk in chunks for choice in choices_of(chunk))


def stream_faults(response: dict[str, Json]) -> Iterator[str]:
    """What of a stream does not belong in it, each fault once."""
    body = response.get("body")
    if not response.get("is_streaming") or not isinstance(body, list):
        return
    ids = dict.fromkeys(str(chunk["id"]) for chunk in _chunks(body) if chunk.get("id") and "choices" in chunk)
    if len(ids) > 1 and any(id.startswith(COMPLETION) for id in ids):
        # Some upstreams name each chunk differently; what was normalized has one name.
        yield f"its chunks are of several answers: {', '.join(ids)}"
    if all(isinstance(item, str) for item in body):
        events = list(_events(body))
        if None in events and any(isinstance(event, dict) and event.get("type") in _ENDS for event in events):
            yield "an event whose data is not JSON"


def _chunks(body: list[Json]) -> list[dict[str, Json]]:
    pieces = [item.get("__data__", item) for item in body if isinstance(item, dict)]
    return [piece for piece in pieces if isinstance(piece, dict)]


def _events(lines: list[str]) -> Iterator[Json]:
    """The data of a stream's events, that of what is not JSON as None; each has one line of it."""
    for line in "\n".join(lines).split("\n"):
        data = line.removeprefix(_DATA).strip()
        if line.startswith(_DATA) and data != _DONE:
            try:
                yield json.loads(data)
            except ValueError:
                yield None
