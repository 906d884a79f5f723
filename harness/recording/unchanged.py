"""Whether recording an exchange again brought anything new, or noise alone."""

import re
from collections.abc import Iterator

from harness.recording.differences import differences
from harness.recording.format import to_document
from harness.recording.meaning import OPAQUE
from harness.recording.model import Exchange, Json, Response
from harness.recording.streams import whole

_QUOTED = (
    *("id", "call_id", "item_id", "response_id", "conversation_id", "file_id", "container_id"),
    *("signature", "thought_signature", "encrypted_content", "approval_request_id"),
)
"""What a client sends back as it came. The requests that follow are found by it, so it is no noise here."""
_NAMES = ("reasoning", "reasoning_content")
"""Two names of one thing, of which a client reads the one that it knows."""


_NOISE = re.compile(r"ratelimit|request-id|processing-ms|version")
"""Headers that say who asked, and on which day."""


def is_unchanged(old: Exchange, new: Exchange) -> bool:
    """Whether ``old`` can stay where ``new`` was recorded: whoever replays it is told the same.

    Who asked and who answered, the status, texts, structure and usage must be equal, and so must every id that a client
    may quote, and the position, where the new one says it. Times, padding, the cuts of chunks and the order of keys may
    differ.
    """
    return (
        _asked(old) == _asked(new)
        and new.position in (None, old.position)
        and _outside(old.response) == _outside(new.response)
        and not differences(old, new)
        and list(_quoted(_said(old.response))) == list(_quoted(_said(new.response)))
    )


def _asked(exchange: Exchange) -> Json:
    """Who asked what of whom, as a file has it: there an address of this machine has no port."""
    document = to_document(exchange)
    return document["test_id"], document["request"]


def _outside(response: Response) -> tuple[object, ...]:
    """What there is of an answer beside its body. Timings count by being there: whoever asks for them wants them."""
    told = {name: value for name, value in response.headers.items() if not _NOISE.search(name)}
    return response.status, response.is_streaming, response.media_type, told, bool(response.timings)


def _said(response: Response) -> Json:
    """An answer with its stream put together, without the id that no request ever quotes."""
    try:
        body = whole(response.body) if response.is_streaming else response.body
    except (AttributeError, KeyError, TypeError, ValueError):
        return response.body
    if isinstance(body, dict) and ("choices" in body or body.get("type") == "message"):
        return {name: value for name, value in body.items() if name != "id"}
    return body


def _quoted(value: Json) -> Iterator[Json]:
    """Everything in an answer that a client may quote, or reads by its name, in the order of the names."""
    if isinstance(value, dict):
        for name in sorted(value):
            if name in _NAMES and value[name]:
                yield name
            if name in _QUOTED or (name == "data" and str(value.get("type")) in OPAQUE):
                yield value[name]
            else:
                yield from _quoted(value[name])
    elif isinstance(value, list):
        for item in value:
            yield from _quoted(item)
