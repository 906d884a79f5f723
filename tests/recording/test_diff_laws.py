"""Laws of the diff: noise is never taken for a change, and no changed word for noise, whatever API answered."""

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.chunks import split
from harness.recording.differences import differences
from harness.recording.format import loads, to_document, to_exchange
from harness.recording.model import Exchange, Request, Response
from tests.recording.changes import with_noise, with_other_words

QUIET = ("equal", "usage")


def recorded(path: str, body: Any, *, stream: bool = False) -> dict[str, Any]:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Weather in Rome?"}]}
    return to_document(Exchange(Request("POST", path, asked), Response(body, is_streaming=stream)))


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome", "days": 3}'}}
LOGPROBS = {"content": [{"token": "Sunny", "logprob": -0.1, "bytes": [83], "top_logprobs": []}], "refusal": None}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "system_fingerprint": "fp_1",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Sunny",
                "refusal": None,
                "reasoning_content": "They ask for Rome.",
                "tool_calls": [CALL, {**CALL, "id": "call_2"}],
                "annotations": [],
            },
            "logprobs": LOGPROBS,
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
}
LEGACY = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
          "choices": [{"index": 0, "text": " sunny, as ever", "finish_reason": "stop", "logprobs": None}]}  # fmt: skip
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "They ask for Rome.", "signature": "abc"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 9},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Let me see."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1,
     "content_block": {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ' "Rome"}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]  # fmt: skip
CITATION = {"type": "container_file_citation", "container_id": "cntr_1", "file_id": "file_1", "start_index": 0}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "instructions": "Be brief.",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "They ask for Rome."}],
         "encrypted_content": "x"},
        {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "weather", "status": "completed",
         "arguments": '{"city": "Rome"}'},
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "Sunny.", "annotations": [CITATION], "logprobs": []}]},
    ],
    "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12},
}  # fmt: skip
RESPONSE_EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "status": "in_progress", "output": []}},
    {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "output_index": 2,
     "content_index": 0, "delta": "Sunny.", "obfuscation": "abc"},
    {"type": "response.completed", "sequence_number": 2, "response": RESPONSE},
]  # fmt: skip


OLLAMA: dict[str, Any] = {
    "model": "llama3.2:3b",
    "created_at": "2025-09-03T17:37:46Z",
    "done": True,
    "done_reason": "stop",
    "total_duration": 3370,
    "message": {"role": "assistant", "content": "Sunny",
                "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Rome"}}}]},
}  # fmt: skip


def lines(events: list[dict[str, Any]]) -> list[str]:
    return [line for event in events for line in (f"event: {event['type']}", f"data: {json.dumps(event)}", "")]


RECORDED = {
    "chat": recorded("/v1/chat/completions", CHAT),
    "chat stream": recorded("/v1/chat/completions", split(CHAT), stream=True),
    "legacy": recorded("/v1/completions", LEGACY),
    "message": recorded("/v1/messages", MESSAGE),
    "message stream": recorded("/v1/messages", lines(EVENTS), stream=True),
    "response": recorded("/v1/responses", RESPONSE),
    "response stream": recorded("/v1/responses", lines(RESPONSE_EVENTS), stream=True),
    "response events": recorded("/v1/responses", RESPONSE_EVENTS, stream=True),
    "ollama": recorded("/api/chat", OLLAMA),
    "ollama stream": recorded(
        "/api/chat",
        [{**OLLAMA, "message": {"role": "assistant", "content": word}, "done": False} for word in ("Sun", "ny")]
        + [{**OLLAMA, "message": {**OLLAMA["message"], "content": ""}}],
        stream=True,
    ),
    "unknown": recorded("/v1/rerank", {"id": "r", "results": [{"index": 0, "text": "Rome is sunny."}], "created": 1}),
}


def worst(old: dict[str, Any], new: dict[str, Any]) -> str:
    found = differences(to_exchange(old), to_exchange(new))
    return found[0].cls if found else "equal"


@pytest.mark.parametrize("kind", RECORDED)
@given(draw=st.randoms(use_true_random=True))
def test_noise_is_no_change_and_another_word_is_one(kind: str, draw: Random) -> None:
    document = RECORDED[kind]
    noisy = with_noise(document, draw)
    changed = with_other_words(document, draw)
    assert worst(document, noisy) in QUIET
    assert changed is not None
    assert worst(document, changed) in ("structure", "text")
    assert worst(noisy, changed) in ("structure", "text")


@pytest.mark.parametrize("cut", [1, 3, 20])
def test_the_events_of_responses_say_what_their_last_one_says(cut: int) -> None:
    whole, text = RECORDED["response"], "Sunny."
    deltas = [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": part}
        for part in (text[start : start + cut] for start in range(0, len(text), cut))
    ]  # fmt: skip
    broken_off = recorded("/v1/responses", [RESPONSE_EVENTS[0], *deltas], stream=True)
    spoken = recorded("/v1/responses", {**RESPONSE, "status": "in_progress", "output": [
        {"content": [{"type": "output_text", "text": text}]}]})  # fmt: skip
    assert worst(RECORDED["response stream"], whole) == "equal"
    assert worst(broken_off, spoken) == "equal"


def test_ollamas_pieces_say_what_the_whole_says() -> None:
    assert worst(RECORDED["ollama"], RECORDED["ollama stream"]) == "equal"


def test_real_recordings_with_noise_and_with_other_words(samples: list[Path]) -> None:
    found: Counter[str] = Counter()
    for file in samples[::3]:
        document = loads(file.read_text("utf-8"))
        draw = Random(file.name)  # noqa: S311, nothing is secret here
        assert worst(document, with_noise(document, draw)) in QUIET, file
        changed = with_other_words(document, draw)
        if changed is not None:
            found["changed"] += 1
            assert worst(document, changed) in ("structure", "text"), file
    assert found["changed"] > 50
