"""Pictures and files that tools gave: a tool's message holds text alone, so they follow in one of the user's."""

from itertools import groupby
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]
Part: TypeAlias = dict[str, Any]

_STAND_INS = {"image_url": "[image]", "file": "[file]", "input_audio": "[audio]"}
"""What a tool's message says where it has nothing else to say; the first is OGX's word."""


def attach(messages: list[Message]) -> list[Message]:
    """The messages, with what is no text taken out of the tools' and put behind them.

    Nothing may stand between calls and their outputs: what those of one turn gave follows the last of them together.
    Where several gave something, it stands under their numbers (an id would make equal requests differ).
    """
    attached: list[Message] = []
    for is_tool, group in groupby(messages, lambda message: message["role"] == "tool"):
        found = list(group)
        attached += _outputs(found) if is_tool else found
    return attached


def _outputs(messages: list[Message]) -> list[Message]:
    """A run of tools' messages, and the user's with what they cannot hold, where there is such."""
    texts: list[Message] = []
    given: list[tuple[int, list[Part]]] = []
    for number, message in enumerate(messages, 1):
        content = message["content"] if isinstance(message["content"], list) else []
        others = [part for part in content if part["type"] != "text"]
        if not others:
            texts.append(message)
            continue
        said = [part for part in content if part["type"] == "text"]
        texts.append(message | {"content": said or [_text(_STAND_INS[others[0]["type"]])]})
        given.append((number, others))
    parts = [part for number, others in given for part in (_text(f"Given by tool {number}:"), *others)]
    if len(given) == 1:
        # There is nobody else it could be from; so OGX asks, and its recordings answer.
        parts = given[0][1]
    return [*texts, {"role": "user", "content": parts}] if parts else texts


def _text(words: str) -> Part:
    return {"type": "text", "text": words}
