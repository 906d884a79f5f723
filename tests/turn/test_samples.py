"""What OGX asked a model is what is asked here for the same request: so its recordings answer the Responses API."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.api.create_response import parse_create
from harness.api.items import parse_items
from harness.recording.canonical import Canonicalizer
from harness.recording.format import loads, to_exchange
from harness.recording.model import Request
from harness.turn.ids import Ids
from harness.turn.question import chat_body

SAMPLES = Path(__file__).parents[3] / "shared" / "recordings-sample"
SAME_NAME = ("model", "temperature", "top_p", "service_tier", "prompt_cache_key", "safety_identifier", "top_logprobs")


def samples() -> Iterator[Request]:
    """The chat completions that OGX's Responses API made of its requests."""
    for folder in ("chat", "openresponses"):
        for file in sorted((SAMPLES / folder).glob("*.json")):
            request = to_exchange(loads(file.read_text("utf-8"))).request
            if request.path.endswith("/chat/completions"):
                yield request


def asked(body: dict[str, Any]) -> dict[str, Any]:
    """The request of ``responses.create`` that a client made, given the chat completion that came of it.

    ``parallel_tool_calls`` is OGX's own where it is true.
    """
    wanted = {name: body[name] for name in SAME_NAME if name in body}
    if "max_completion_tokens" in body:
        wanted["max_output_tokens"] = body["max_completion_tokens"]
    if "reasoning_effort" in body:
        wanted["reasoning"] = {"effort": body["reasoning_effort"]}
    if "response_format" in body:
        wanted["text"] = {"format": {"type": "json_schema", **body["response_format"]["json_schema"]}}
    if body.get("parallel_tool_calls") is False:
        wanted["parallel_tool_calls"] = False
    if "tools" in body:
        wanted["tools"] = [{**tool["function"], "type": "function"} for tool in body["tools"]]
    return wanted | {"input": [said(message) for message in body["messages"]]}


def said(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, list):
        content = [part(inner, message["role"]) for inner in content]
    return {"role": message["role"], "content": content}


def part(inner: dict[str, Any], role: str) -> dict[str, Any]:
    if inner["type"] == "image_url":
        image = inner["image_url"]
        return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail")}
    return {"type": "output_text" if role == "assistant" else "input_text", "text": inner["text"]}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no ../shared/recordings-sample beside this checkout")
def test_what_ogx_asked_is_asked_here() -> None:
    canonicalizer, count = Canonicalizer(), 0
    wrong: list[Any] = []
    for request in samples():
        body = request.body
        assert isinstance(body, dict)
        wanted = parse_create(asked(body))
        made = chat_body(wanted, parse_items(wanted.input, "input", Ids("seed").new))
        ours = Request("POST", "/v1/chat/completions", json.loads(json.dumps(made)))
        count += 1
        if canonicalizer.fingerprint(ours) != canonicalizer.fingerprint(request):
            wrong.append((made, body))

    assert count > 90
    assert wrong == []
