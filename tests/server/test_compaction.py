"""A conversation compacted and continued, through the real client: recorded once, replayed ever after."""

import base64
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
from tests.server.conformance import check_compaction, needs_descriptions

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
SUMMARY = stream(chunk("The sky is "), chunk("blue."), chunk(finish="stop"), chunk(usage=USAGE))
ANSWER = stream(chunk("Blue."), chunk(finish="stop"))
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
SAID: Any = [
    {"role": "user", "content": "Look up."},
    CALL,
    {"type": "function_call_output", "call_id": "c", "output": "blue"},
    {"role": "assistant", "content": "I see."},
    {"role": "user", "content": "Remember it."},
]


@contextmanager
def client_of(settings: Settings) -> Iterator[OpenAI]:
    with ServerThread(settings) as server, OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        yield client


def compact(client: OpenAI, **asked: Any) -> Any:
    """The answer as it comes: the package's own type warns of the user's messages in it."""
    return client.responses.with_raw_response.compact(model="m", **asked).http_response.json()


def compacted_and_continued(client: OpenAI) -> tuple[dict[str, Any], str]:
    compacted = compact(client, input=SAID, instructions="Be exact.")
    more: Any = [*compacted["output"], {"role": "user", "content": "Which colour?"}]
    return compacted, client.responses.create(model="m", input=more).output_text


@needs_descriptions
def test_what_was_compacted_is_told_again_as_a_summary(tmp_path: Path) -> None:
    settings = Settings(mode=Mode.RECORD, recordings=tmp_path)
    with scripted(SUMMARY, ANSWER) as upstream, client_of(replace(settings, upstream=upstream.url)) as client:
        recorded = compacted_and_continued(client)
    with client_of(replace(settings, mode=Mode.REPLAY)) as client:
        assert compacted_and_continued(client) == recorded
    compacted, said = recorded
    check_compaction(compacted)
    assert said == "Blue."
    *kept, item = compacted["output"]
    assert [message["content"][0]["text"] for message in kept] == ["Look up.", "Remember it."]
    assert item["type"] == "compaction"
    assert json.loads(base64.b64decode(item["encrypted_content"]))["summary"] == "The sky is blue."
    assert compacted["usage"]["total_tokens"] == 11
    first, second = (body["messages"] for _, body in upstream.requests)
    assert [message["role"] for message in first] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "user",
    ]
    assert first[-1]["content"].startswith("You are performing a CONTEXT CHECKPOINT COMPACTION.")
    assert [message["content"].split("\n")[-1] for message in second] == [
        "Look up.",
        "Remember it.",
        "The sky is blue.",
        "Which colour?",
    ]


def test_a_compaction_is_continued_by_its_id(tmp_path: Path) -> None:
    with scripted(SUMMARY, ANSWER) as upstream:
        with client_of(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as client:
            compacted = compact(client, input=SAID)
            more = client.responses.create(model="m", input="Which colour?", previous_response_id=compacted["id"])
            assert client.responses.retrieve(compacted["id"]).status == "completed"
            shown: Any = list(client.responses.input_items.list(more.id, order="asc", limit=1))
    texts = [message["content"].split("\n")[-1] for message in upstream.requests[1][1]["messages"]]
    assert texts == ["Look up.", "Remember it.", "The sky is blue.", "Which colour?"]
    assert [item.content[0].text for item in shown] == ["Look up.", "Remember it.", "Which colour?"]


def test_a_chain_is_compacted_and_a_compaction_again(tmp_path: Path) -> None:
    with scripted(ANSWER, SUMMARY) as upstream:
        with client_of(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as client:
            first = client.responses.create(model="m", input="Which colour?")
            once = compact(client, previous_response_id=first.id)
            again = compact(client, input=once["output"])
            client.responses.create(model="m", input=again["output"])
    for asked in (2, 3):
        texts = [message["content"] for message in upstream.requests[asked][1]["messages"]]
        assert texts[0] == "Which colour?"
        assert texts[1].endswith("The sky is blue.")
    assert len(texts) == 2


NONE_OF_OURS = [
    b"not json",
    b"\xff",
    b"[]",
    b"[" * 100_000,
    b'{"harness": 1, "summary": 7}',
    b'{"harness": 2, "summary": ""}',
]
FOREIGN: Any = [
    {"type": "compaction", "encrypted_content": text}
    for text in ("gAAAAA", "é", *(base64.b64encode(data).decode() for data in NONE_OF_OURS))
]


def test_anothers_compaction_is_refused(tmp_path: Path) -> None:
    with client_of(Settings(recordings=tmp_path)) as client:
        for item in FOREIGN:
            with pytest.raises(openai.BadRequestError, match="not made here"):
                client.responses.create(model="m", input=[item])


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"input": "x"}, 400, "missing_required_parameter", "model"),
        ({"model": "m"}, 400, "missing_required_parameter", "input"),
        ({"model": "m", "input": "x", "tools": []}, 400, "unknown_parameter", "tools"),
        ({"model": "m", "input": 7}, 400, "invalid_type", "input"),
        ({"model": "m", "input": [CALL]}, 400, None, "input"),
        (
            {"model": "m", "input": "x", "prompt_cache_options": {"prewarm": True}},
            400,
            "invalid_value",
            "prompt_cache_options.prewarm",
        ),
        ({"model": "m", "previous_response_id": "resp_0"}, 400, "previous_response_not_found", "previous_response_id"),
        ({"model": "m", "input": "x", "prompt_cache_options": None}, 404, "recording_not_found", None),
    ],
)
def test_what_cannot_be_compacted_says_why(tmp_path: Path, body: Any, status: int, code: Any, param: Any) -> None:
    with client_of(Settings(recordings=tmp_path)) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            client.post("/responses/compact", body=body, cast_to=object)
    assert (caught.value.status_code, caught.value.code, caught.value.param) == (status, code, param)


@pytest.mark.parametrize("said", [stream(chunk(finish="stop")), stream(chunk("x"), {"error": {"message": "broken"}})])
def test_a_model_that_gives_no_summary_is_an_error(tmp_path: Path, said: bytes) -> None:
    with scripted(said) as upstream:
        with client_of(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as client:
            with pytest.raises(openai.InternalServerError, match="no summary"):
                client.responses.compact(model="m", input=SAID)


def test_too_long_a_conversation_is_a_bad_request(tmp_path: Path) -> None:
    error = {"error": {"message": "No.", "type": "x", "param": None, "code": "context_length_exceeded"}}
    with scripted(answer(json.dumps(error).encode(), status=400)) as upstream:
        with client_of(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as client:
            with pytest.raises(openai.BadRequestError):
                client.responses.compact(model="m", input=SAID)
