"""What each provider's and each endpoint's noise is, and what beside it is a change."""

from typing import Any

import pytest

from tests.recording.test_diff import chat, compared, of

OTHER_APIS_NOISE: list[tuple[str, Any, Any]] = [
    (
        "a ranking of a machine that rounds otherwise",
        {"id": "rerank-1", "results": [{"index": 1, "relevance_score": 0.9000123, "document": {"text": "Rome"}}]},
        {"id": "rerank-2", "results": [{"index": 1, "relevance_score": 0.9000456, "document": {"text": "Rome"}}]},
    ),
    (
        "a moderation's scores",
        {"id": "modr-1", "results": [{"flagged": False, "category_scores": {"self-harm": 2e-6}}]},
        {"id": "modr-2", "results": [{"flagged": False, "category_scores": {"self-harm": 3e-6}}]},
    ),
    (
        "a search's time and scores",
        {"results": [{"url": "u", "score": 0.86}], "response_time": 1.2},
        {"results": [{"url": "u", "score": 0.8600001}], "response_time": 0.8},
    ),
    (
        "Ollama's models in another order, loaded at another time",
        {"models": [{"model": "a", "digest": "1", "expires_at": "x", "size_vram": 3}, {"model": "b", "digest": "2"}]},
        {"models": [{"model": "b", "digest": "2"}, {"model": "a", "digest": "1", "expires_at": "y", "size_vram": 4}]},
    ),
    (
        "Anthropic's models in another order",
        {"data": [{"type": "model", "id": "a"}, {"type": "model", "id": "b"}], "first_id": "a", "last_id": "b"},
        {"data": [{"type": "model", "id": "b"}, {"type": "model", "id": "a"}], "first_id": "b", "last_id": "a"},
    ),
    (
        "Ollama's embeddings, rounded otherwise",
        {"embeddings": [[0.1, 0.2, 0.3]], "total_duration": 1},
        {"embeddings": [[0.1000001, 0.2, 0.3]], "total_duration": 2},
    ),
    (
        "a file search's scores",
        {"output": [{"type": "file_search_call", "results": [{"text": "t", "score": 0.5}]}]},
        {"output": [{"type": "file_search_call", "results": [{"text": "t", "score": 0.5000001}]}]},
    ),
    (
        "the approval of a call",
        {"output": [{"type": "mcp_call", "name": "t", "approval_request_id": "mcpr_1"}]},
        {"output": [{"type": "mcp_call", "name": "t", "approval_request_id": "mcpr_2"}]},
    ),
]


@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in OTHER_APIS_NOISE], ids=[row[0] for row in OTHER_APIS_NOISE]
)
def test_noise_of_other_apis(old: Any, new: Any) -> None:
    assert compared(of(old, path="/v1/any"), of(new, path="/v1/any"))[0] in ("equal", "usage")


OTHER_APIS_CHANGES: list[tuple[str, Any, Any]] = [
    (
        "a ranking that is another one",
        {"results": [{"index": 1, "relevance_score": 0.9}]},
        {"results": [{"index": 1, "relevance_score": 0.3}]},
    ),
    (
        "a moderation that flags",
        {"results": [{"flagged": False, "category_scores": {"hate": 0.49}}]},
        {"results": [{"flagged": True, "category_scores": {"hate": 0.5}}]},
    ),
    (
        "another model of Anthropic's",
        {"data": [{"type": "model", "id": "a"}]},
        {"data": [{"type": "model", "id": "b"}]},
    ),
    ("one more model of Ollama's", {"models": [{"model": "a"}]}, {"models": [{"model": "a"}, {"model": "b"}]}),
    ("Ollama's embeddings", {"embeddings": [[0.1, 0.9, 0.3]]}, {"embeddings": [[0.9, 0.1, 0.3]]}),
    (
        "a tool that takes an id of another type",
        {"tools": [{"name": "t", "inputSchema": {"properties": {"id": {"type": "string"}}}}]},
        {"tools": [{"name": "t", "inputSchema": {"properties": {"id": {"type": "integer"}}}}]},
    ),
    (
        "the thoughts of Ollama's own API",
        {"model": "m", "done": True, "response": "Rome", "thinking": "They ask."},
        {"model": "m", "done": True, "response": "Rome", "thinking": "They tell."},
    ),
]


@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in OTHER_APIS_CHANGES], ids=[row[0] for row in OTHER_APIS_CHANGES]
)
def test_changes_of_other_apis(old: Any, new: Any) -> None:
    assert compared(of(old, path="/v1/any"), of(new, path="/v1/any"))[0] in ("text", "structure")


def test_reasoning_under_another_name_says_the_same() -> None:
    old = chat(message={"reasoning": "They ask."})
    assert compared(old, chat(message={"reasoning_content": "They ask."}))[0] == "equal"
    assert compared(old, chat(message={"reasoning": "They ask.", "reasoning_content": "They ask."}))[0] == "equal"
    assert compared(old, chat(message={"reasoning_content": "They tell."}))[0] == "text"


def test_what_a_search_found_is_said() -> None:
    found = [chat(body={"search_results": [{"title": title}]}) for title in ("Rome", "Roma")]
    assert compared(*found)[0] == "text"


@pytest.mark.parametrize(
    "message",
    [
        "bad (request id: {}2345678)",
        "Trace ID: {}f1c2d3e4b5a69788796a5b4c3d2e1f0",
        "chatcmpl-abcdefgh{} failed",
        "failed at 2025-09-0{}T17:37:46.12Z",
        "<Image object at 0x7f123456789{}>",
    ],
)
def test_an_error_of_another_call_is_the_same_error(message: str) -> None:
    errors = [of({"error": {"message": message.format(digit)}}, status=400) for digit in "12"]
    assert compared(*errors)[0] == "equal"
    assert compared(errors[0], of({"error": {"message": "x" + message.format(1)}}, status=400))[0] == "error"
