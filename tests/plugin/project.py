"""The project that the plugin's tests run: an application that asks a model, and recordings written by hand."""

import json
from pathlib import Path

import pytest

from harness.recording.author import author
from harness.recording.format import dumps, to_document
from harness.recording.key import key
from harness.recording.model import Json, Request

APP = """
    from openai import OpenAI

    def ask(question, *, http_client=None, **more):
        with OpenAI(max_retries=0, http_client=http_client) as client:
            messages = [{"role": "user", "content": question}]
            answer = client.chat.completions.create(**{"model": "m", "messages": messages, **more})
        return answer.choices[0].message.content
"""
HELLO = """
    from app import ask

    def test_hello(harness_base_url):
        assert ask("Say hello") == "Hello!"
"""


def record(
    pytester: pytest.Pytester,
    question: str,
    answer: str,
    scope: str | None = None,
    *,
    model: str = "m",
    below: str = "recordings",
) -> Path:
    """A recording, by hand, of what ``app.ask`` asks."""
    body: dict[str, Json] = {"messages": [{"role": "user", "content": question}], "model": model}
    request = Request("POST", "/v1/chat/completions", body, scope)
    path = pytester.path / below / f"{key(request)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(to_document(author(request, answer))))
    return path


def recordings(pytester: pytest.Pytester) -> list[Path]:
    return sorted((pytester.path / "recordings").glob("*.json"))


def completion(text: str) -> bytes:
    """The body of an upstream's answer."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "x", "model": "m", "choices": [choice]}).encode()
