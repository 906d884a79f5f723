"""How many tokens a chat completion's prompt has, as far as its text says.

OpenAI's own recipe: each message costs its role, its texts and three tokens around them, the beginning of the answer
three more. What a template makes of tools and of schemas is not known; they are counted as the JSON that they are.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_AROUND = 3
_COUNTED = ("text", "refusal")


@dataclass(frozen=True, slots=True)
class Threshold:
    """So many tokens, as ``count`` counts them; what is no text counts for nothing."""

    most: int
    count: Callable[[str], int]

    def is_passed(self, body: dict[str, Any]) -> bool:
        """Whether a chat completion sends more. Raises what ``count`` raises, but not for a short text.

        No token is shorter than a byte, so there is no need to count where not even the bytes are too many.
        """
        text = _text_alone(body)
        return self._is_passed(text, _bytes) and self._is_passed(text, self.count)

    def _is_passed(self, text: dict[str, Any], count: Callable[[str], int]) -> bool:
        return (prompt_tokens(text, count) or 0) > self.most


def prompt_tokens(body: dict[str, Any], count: Callable[[str], int]) -> int | None:
    """The tokens of what ``body`` sends, by ``count``; None where it sends what is no text."""
    if any(part["type"] not in _COUNTED for part in _parts(body)):
        return None
    messages = sum(_AROUND + sum(map(count, _texts(message))) for message in body["messages"])
    described = [body[name] for name in ("tools", "response_format") if name in body]
    return messages + _AROUND + sum(count(json.dumps(value, ensure_ascii=False)) for value in described)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _text_alone(body: dict[str, Any]) -> dict[str, Any]:
    """A chat completion without its images, sound and files."""

    def told(message: dict[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        if not isinstance(content, list):
            return message
        return message | {"content": [part for part in content if part["type"] in _COUNTED]}

    return body | {"messages": [told(message) for message in body["messages"]]}


def _parts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for message in body["messages"]:
        if isinstance(message.get("content"), list):
            yield from message["content"]


def _texts(message: dict[str, Any]) -> Iterator[str]:
    yield message["role"]
    content = message.get("content") or ""
    yield from [content] if isinstance(content, str) else (part["text"] for part in content)
    yield message.get("refusal") or ""
    for call in message.get("tool_calls") or ():
        yield from (str(text) for text in call[call["type"]].values())
