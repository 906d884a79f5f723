"""Stored chat completions (``store: true``): what is kept of one, and what clients are shown.

Source: OpenAI's description of ``/chat/completions/{completion_id}`` and its example.
"""

from typing import Any

from pydantic import ConfigDict

from harness.api.closed import Deferred
from harness.api.conversations import Metadata
from harness.api.validation import parse

_ECHOED = {
    "request_id": None,
    "tool_choice": None,
    "seed": None,
    "top_p": 1.0,
    "temperature": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "input_user": None,
    "tools": None,
    "response_format": None,
}
"""What a stored completion shows of its request, where the request says nothing."""


class UpdateCompletion(Deferred):
    """The body of ``POST /v1/chat/completions/{completion_id}``: the metadata that replaces the old; null is none."""

    model_config = ConfigDict(extra="forbid")

    metadata: Metadata | None


class _Stored(Deferred):
    """What a chat completion's request says about being stored."""

    metadata: Metadata | None = None


def check_metadata(request: dict[str, Any]) -> None:
    """Raises InvalidRequest for metadata that cannot be kept: better before the model is asked than after."""
    parse(_Stored, {"metadata": request.get("metadata")})


def stored_completion(request: dict[str, Any], completion: dict[str, Any]) -> dict[str, Any]:
    """A whole completion as it is kept: with what its request said, and its metadata."""
    said = {name: request.get(name, default) for name, default in _ECHOED.items()}
    said["input_user"] = request.get("user")
    return {**said, **completion, "metadata": request.get("metadata") or {}}


def stored_messages(request: dict[str, Any], completion_id: str) -> list[dict[str, Any]]:
    """The messages of a request as the API lists them, oldest first: each with an id, its text and its parts."""
    messages = request.get("messages")
    rows = [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    return [_message(row, f"{completion_id}-{number}") for number, row in enumerate(rows)]


def _message(message: dict[str, Any], message_id: str) -> dict[str, Any]:
    content = message.get("content")
    parts = content if isinstance(content, list) else None
    if parts is not None:
        texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
        content = "".join(texts)
    return {"name": None, "refusal": None, **message, "id": message_id, "content": content, "content_parts": parts}


def deleted_completion(completion_id: str) -> dict[str, Any]:
    """The body of an answer that says that a completion is gone."""
    return {"object": "chat.completion.deleted", "id": completion_id, "deleted": True}
