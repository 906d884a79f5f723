"""Gemini's streams, put together and compared by what they say."""

from typing import Any

import pytest

from harness.recording.diff import diff
from harness.recording.model import Exchange, Request, Response


def gemini(*texts: str, at: str = "1", call: str = "", tokens: int = 5) -> Exchange:
    parts: list[list[dict[str, Any]]] = [[{"text": text}] for text in texts]
    if call:
        parts.append([{"function_call": {"name": call, "args": {}}}])
    pieces: list[dict[str, Any]] = [
        {"candidates": [{"content": {"parts": part, "role": "model"}}], "create_time": at, "response_id": at}
        for part in parts
    ]
    pieces[-1]["usage_metadata"] = {"total_token_count": tokens}
    body = {"model": "gemini", "contents": "?"}
    return Exchange(Request("POST", "/generate_content_stream", body), Response(pieces, is_streaming=True))


@pytest.mark.parametrize(
    ("new", "cls"),
    [
        (gemini("Ro", "me.", at="2"), "equal"),
        (gemini("Rome.", tokens=6), "usage"),
        (gemini("Ro", "ma."), "text"),
        (gemini("Rome.", call="look"), "structure"),
    ],
)
def test_geminis_streams_are_put_together(new: Exchange, cls: str) -> None:
    [pair] = diff({"a": gemini("Rome.")}, {"a": new}).pairs
    assert pair.cls == cls
