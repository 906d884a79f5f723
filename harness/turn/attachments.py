"""Pictures and files that tools gave: a tool's message holds text alone, so they follow in one of the user's."""

from itertools import groupby
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]
Part: TypeAlias = dict[str, Any]

_POINTER = "What this tool gave is in the next message of the user."


def attach(messages: list[Message]) -> list[Message]:
    """The messages, with what is no text taken out of the tools' and put behind them.

    Nothing may stand between calls and their outputs: what those of one turn gave follows the last of them together,
    each under its number among them (an id would make equal requests differ).
    """
    attached: list[Message] = []
    for is_tool, group in groupby(messages, lambda message: message["role"] == "tool"):
        found = list(group)
        attached += _outputs(found) if is_tool else found
    return attached


def _outputs(messages: list[Message]) -> list[Message]:
    """A run of tools' messages, and the user's with what they cannot hold, where there is such."""
    texts: list[Message] = []
    parts: list[Part] = []
    for number, message in enumerate(messages, 1):
        content = message["content"] if isinstance(message["content"], list) else []
        others = [part for part in content if part["type"] != "text"]
        if not others:
            texts.append(message)
            continue
        said = [part for part in content if part["type"] == "text"]
        texts.append(message | {"content": [*said, _text(_POINTER)] if said else _POINTER})
        parts += [_text(f"Given by tool {number}:"), *others]
    return [*texts, {"role": "user", "content": parts}] if parts else texts


def _text(words: str) -> Part:
    return {"type": "text", "text": words}
