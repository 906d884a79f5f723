"""How many tokens a chat completion's prompt has, as far as its text says.

OpenAI's own recipe: each message costs its role, its texts and three tokens around them, the beginning of the answer
three more. What a template makes of tools and of schemas is not known; they are counted as the JSON that they are.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

_AROUND = 3


def prompt_tokens(body: dict[str, Any], count: Callable[[str], int]) -> int | None:
    """The tokens of what ``body`` sends, by ``count``; None where it sends what is no text."""
    if any(part["type"] not in ("text", "refusal") for part in _parts(body)):
        return None
    messages = sum(_AROUND + sum(map(count, _texts(message))) for message in body["messages"])
    described = [body[name] for name in ("tools", "response_format") if name in body]
    return messages + _AROUND + sum(count(json.dumps(value, ensure_ascii=False)) for value in described)


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
