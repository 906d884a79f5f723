"""``truncation: "auto"`` through the real client: recorded over an upstream that refuses, then replayed without it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import chunk, scripted, stream
from tests.scripted_upstream import http as answer

LLAMA = {
    "code": 400,
    "message": "the request exceeds the available context size, try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 9000,
    "n_ctx": 8192,
}
REFUSALS = [
    (400, {"error": {"message": "No.", "type": "invalid_request_error", "code": "context_length_exceeded"}}),
    (400, {"error": LLAMA}),
    (400, {"error": {"message": "prompt is too long: 208310 tokens > 200000 maximum", "type": "x"}}),
    (400, {"object": "error", "message": "This model's maximum context length is 5 tokens.", "code": 400}),
    (413, {"error": "Input is too long for this model."}),
]
HISTORY: Any = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "One."},
    {"role": "user", "content": "Two?"},
]


@contextmanager
def client_of(settings: Settings) -> Iterator[OpenAI]:
    with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("status", "error"), REFUSALS)
def test_the_oldest_items_are_dropped_until_the_request_fits(
    tmp_path: Path, status: int, error: dict[str, Any], *, streamed: bool
) -> None:
    settings = Settings(mode=Mode.RECORD, recordings=tmp_path)

    def said(client: OpenAI) -> tuple[str, str, int]:
        conversation = client.conversations.create(items=HISTORY[:2])
        wanted: Any = {"model": "m", "truncation": "auto", "conversation": conversation.id, "input": HISTORY[2:]}
        if streamed:
            (*_, last) = client.responses.create(stream=True, **wanted)
            response = last.response
        else:
            response = client.responses.create(**wanted)
        items = client.conversations.items.list(conversation.id)
        return response.output_text, response.truncation, len(items.data)

    refusal = answer(json.dumps(error).encode(), status=status)
    with scripted(refusal, stream(chunk("Two."), chunk(finish="stop"))) as upstream:
        with client_of(replace(settings, upstream=upstream.url)) as client:
            assert said(client) == ("Two.", "auto", 4)
    asked = [[message["content"] for message in body["messages"]] for _, body in upstream.requests]
    assert asked == [["One?", "One.", "Two?"], ["Two?"]]
    if status == 400:
        with client_of(replace(settings, mode=Mode.REPLAY)) as client:
            assert said(client) == ("Two.", "auto", 4)


@pytest.mark.parametrize("truncation", [None, "disabled", "auto"])
def test_what_cannot_be_made_to_fit_is_a_bad_request(tmp_path: Path, truncation: Any) -> None:
    with scripted(answer(json.dumps({"error": LLAMA}).encode(), status=400)) as upstream:
        with client_of(Settings(mode=Mode.LIVE, recordings=tmp_path, upstream=upstream.url)) as client:
            with pytest.raises(openai.BadRequestError, match="exceeds the available context size") as caught:
                client.responses.create(model="m", input=HISTORY, truncation=truncation)
    assert caught.value.code == "context_length_exceeded"
    assert len(upstream.requests) == (2 if truncation == "auto" else 1)


def test_a_real_upstreams_context_is_enough(tmp_path: Path, upstream_url: str) -> None:
    """A conversation far longer than the context of a real server, recorded and replayed."""
    settings = Settings(mode=Mode.RECORD, recordings=tmp_path, upstream=upstream_url)
    turns: Any = [{"role": role, "content": "what is the weather " * 200} for role in ("user", "assistant")] * 20
    wanted: Any = {"model": "tiny", "input": [*turns, HISTORY[0]], "max_output_tokens": 16, "temperature": 0}
    said = []
    for mode in (Mode.RECORD, Mode.REPLAY):
        with client_of(replace(settings, mode=mode)) as client:
            said.append(client.responses.create(**wanted, truncation="auto").output_text)
            with pytest.raises(openai.BadRequestError) as caught:
                client.responses.create(**wanted)
            assert caught.value.code == "context_length_exceeded"
    assert said[0]
    assert said[0] == said[1]
