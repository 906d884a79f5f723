"""Recordings to refresh, and an upstream's answers, for the tests of this folder."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from harness.cli.main import cli
from harness.recording.chunks import split
from harness.recording.format import dumps, to_document
from harness.recording.key import key, recording_name
from harness.recording.model import Exchange, Request, Response
from tests.scripted_upstream import http

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


class NothingRecorded:
    """Recordings that no request quotes."""

    def beginning(self, digits: str) -> list[str]:
        return []

    def load(self, name: str) -> Exchange:
        raise KeyError(name)


def completion(text: str, model: str = "m", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice],
            "usage": USAGE}  # fmt: skip


def answered(text: str, **options: Any) -> bytes:
    """A completion over HTTP."""
    return http(json.dumps(completion(text)).encode(), **options)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def write(folder: Path, exchange: Exchange, number: int = 1) -> str:
    """Write a recording as the harness would; its name."""
    name = recording_name(key(exchange.request), number)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(dumps(to_document(exchange)))
    return name


def record(
    folder: Path, messages: list[dict[str, Any]], answer: str, scope: str | None = None, number: int = 1, **more: Any
) -> str:
    """Write a recording of a chat; its name."""
    body = {"model": "m", "messages": messages, **more}
    whole = completion(answer)
    said = Response(split(whole), is_streaming=True) if more.get("stream") else Response(whole)
    return write(folder, Exchange(Request("POST", "/v1/chat/completions", body, scope), said), number)


def texts(folder: Path) -> list[str]:
    """What the recordings of a folder say, in order."""
    documents = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(
        document["response"]["body"]["__data__"]["choices"][0]["message"]["content"] for document in documents
    )


def refresh(url: str, *arguments: Path | str) -> Result:
    """The command, against the upstream at ``url``, in the working directory."""
    given = ["refresh", "--upstream", url, *map(str, arguments)]
    return CliRunner().invoke(cli, given, standalone_mode=True)
