"""The first line of what an answer says, for lists of recordings."""

import json
from collections.abc import Iterator

from harness.recording.meaning import answer
from harness.recording.model import Json, Response

_LENGTH = 100
_SPEAKING = ("content", "text", "refusal", "reasoning_content", "message")


def first_line(response: Response) -> str:
    """The first line of the text, else the first call of a tool, else the JSON; at most a hundred characters.

    Of a text that is empty, and no call beside it: two quotes.
    """
    said = answer(response)
    texts = list(_texts(said.value))
    found = next(filter(str.strip, texts), None) or next(_calls(said.value), None)
    found = found or ('""' if texts else json.dumps(said.value))
    line = next((line.strip() for line in found.splitlines() if line.strip()), "")
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"


def _texts(value: Json) -> Iterator[str]:
    """Every text that somebody says, in order."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in _SPEAKING and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)


def _calls(value: Json) -> Iterator[str]:
    """Every call of a function, in order, as it would be written."""
    if isinstance(value, list):
        for item in value:
            yield from _calls(item)
    elif isinstance(value, dict):
        name, arguments = value.get("name"), value.get("arguments", value.get("input"))
        if isinstance(name, str) and arguments is not None:
            yield f"{name}({json.dumps(arguments, ensure_ascii=False)})"
        for item in value.values():
            yield from _calls(item)
