"""``context_management``: a context that grows too long is made short in the middle of a turn."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from harness.backends.tokens import TokenCounter
from harness.settings import Mode, Settings
from tests.mcp_server import mcp_server
from tests.scripted_upstream import chunk, scripted, stream
from tests.server.conformance import check_event, check_response, check_stream, needs_descriptions
from tests.server.test_compaction import SUMMARY, client_of
from tests.server.test_mcp import ADD, calls, says, tool

ANSWER = stream(chunk("Blue."), chunk(finish="stop"), chunk(usage={"prompt_tokens": 5, "total_tokens": 6}))
LONG: Any = [
    {"role": "user", "content": "Look up."},
    {"role": "assistant", "content": "I see " + "clouds " * 1500},
    {"role": "user", "content": "Which colour?"},
]
TRIGGER: Any = {"type": "compaction_trigger"}
ADD_FUNCTION: Any = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}
ABOVE_1000: Any = [{"type": "compaction", "compact_threshold": 1000}]


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer in which every word is a token."""
    monkeypatch.setattr(TokenCounter, "counter", lambda *_: lambda text: len(text.split()))


def streamed(client: OpenAI, **asked: Any) -> list[dict[str, Any]]:
    wanted: Any = {"model": "m", "stream": True, "context_management": ABOVE_1000} | asked
    events = [event.model_dump(mode="json", exclude_unset=True) for event in client.responses.create(**wanted)]
    check_stream(events)
    return events


def asked(upstream: Any, number: int) -> list[str]:
    return [message["content"].split("\n")[-1] for message in upstream.requests[number][1]["messages"]]


@needs_descriptions
@pytest.mark.usefixtures("words")
def test_a_context_that_is_too_long_is_made_short_before_the_model_answers(tmp_path: Path) -> None:
    def run(client: OpenAI) -> list[list[dict[str, Any]]]:
        first = streamed(client, input=LONG, instructions="Be exact.")
        return [first, streamed(client, input="Sure?", previous_response_id=first[-1]["response"]["id"])]

    settings = Settings(mode=Mode.RECORD, recordings=tmp_path)
    with scripted(SUMMARY, ANSWER, ANSWER) as upstream:
        with client_of(replace(settings, upstream=upstream.url)) as client:
            recorded = run(client)
    with client_of(replace(settings, mode=Mode.REPLAY)) as client:
        assert run(client) == recorded

    first, second = recorded
    response = first[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["compaction", "message"]
    assert response["usage"]["total_tokens"] == 11 + 6
    assert [event["type"] for event in first[:4]] == [
        *("response.created", "response.in_progress", "response.output_item.added", "response.output_item.done"),
    ]
    assert first[3]["item"] == response["output"][0]
    assert asked(upstream, 0)[:2] == ["Be exact.", "Look up."]
    assert "CHECKPOINT COMPACTION" in upstream.requests[0][1]["messages"][-1]["content"]
    assert asked(upstream, 1) == ["Be exact.", "Look up.", "The sky is blue.", "Which colour?"]
    assert [item["type"] for item in second[-1]["response"]["output"]] == ["message"]
    assert asked(upstream, 2) == ["Look up.", "Which colour?", "The sky is blue.", "Blue.", "Sure?"]
    for event in [*first, *second]:
        check_event(event)
    check_response(response)


@needs_descriptions
@pytest.mark.parametrize("stream", [True, False])
def test_an_input_that_ends_in_a_trigger_is_made_short_and_not_answered(tmp_path: Path, *, stream: bool) -> None:
    def run(client: OpenAI) -> list[Any]:
        conversation_id = client.conversations.create().id
        brought: Any = {"type": "additional_tools", "role": "developer", "tools": [ADD_FUNCTION]}
        wanted: Any = {"model": "m", "input": [brought, *LONG, TRIGGER], "conversation": conversation_id}
        if stream:
            events = streamed(client, context_management=None, tools=[ADD_FUNCTION], **wanted)
            response = events[-1]["response"]
        else:
            response = client.responses.create(**wanted).model_dump(mode="json", exclude_unset=True)
            check_response(response)
        answer = client.responses.create(model="m", input="Sure?", conversation=conversation_id)
        return [response["output"], response["usage"], answer.output_text]

    settings = Settings(mode=Mode.RECORD, recordings=tmp_path)
    with scripted(SUMMARY, ANSWER) as upstream:
        with client_of(replace(settings, upstream=upstream.url)) as client:
            recorded = run(client)
    with client_of(replace(settings, mode=Mode.REPLAY)) as client:
        assert run(client) == recorded

    [made], usage, _ = recorded
    assert made["type"] == "compaction"
    assert usage["total_tokens"] > 0
    assert "tools" not in upstream.requests[0][1]
    assert asked(upstream, 0)[:3] == [message["content"].split("\n")[-1] for message in LONG]
    told = [message["content"] for message in upstream.requests[1][1]["messages"]]
    assert [told[0], told[1], told[-1]] == ["Look up.", "Which colour?", "Sure?"]
    assert len(told) == 4


def test_a_trigger_has_to_come_last(tmp_path: Path) -> None:
    with client_of(Settings(recordings=tmp_path)) as client, pytest.raises(openai.BadRequestError, match="last item"):
        client.responses.create(model="m", input=[TRIGGER, *LONG])


@pytest.mark.usefixtures("words")
def test_what_tools_said_meanwhile_may_be_too_long(tmp_path: Path) -> None:
    spoken = says("Let me see. " * 400)[: -len("data: [DONE]\n\n")] + calls(ADD)
    with mcp_server() as served, scripted(spoken, SUMMARY, ANSWER) as upstream:
        with client_of(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as client:
            events = streamed(client, input="1 + 2?", tools=[tool(served)])
    kinds = [item["type"] for item in events[-1]["response"]["output"]]
    assert kinds == ["mcp_list_tools", "message", "mcp_call", "compaction", "message"]
    assert upstream.requests[1][1]["messages"][2]["role"] == "tool"
    assert asked(upstream, 2) == ["The sky is blue.", "1 + 2?"]


@pytest.mark.usefixtures("words")
def test_what_users_said_may_be_too_long_by_itself(tmp_path: Path) -> None:
    with scripted(SUMMARY, ANSWER) as upstream:
        with client_of(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as client:
            events = streamed(client, input="word " * 2000)
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["compaction", "message"]


@pytest.mark.usefixtures("words")
def test_a_model_that_gives_no_summary_is_an_error(tmp_path: Path) -> None:
    with scripted(stream(chunk(finish="stop"))) as upstream:
        with client_of(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as client:
            with pytest.raises(openai.InternalServerError, match="no summary"):
                streamed(client, input=LONG)


def test_a_short_context_needs_no_tokenizer_and_a_long_one_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with scripted(ANSWER) as upstream:
        with client_of(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as client:
            assert streamed(client, input="Hello!")[-1]["response"]["output"][0]["type"] == "message"
            with pytest.raises(openai.APIStatusError, match="tiktoken, which is not installed") as caught:
                streamed(client, input=LONG)
    assert (caught.value.status_code, caught.value.code) == (501, "tokens_unavailable")


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ([{"type": "compaction", "compact_threshold": 100}], "integer_below_min_value", "[0].compact_threshold"),
        ([{"type": "compaction"}], "missing_required_parameter", "[0].compact_threshold"),
        ([{"type": "forgetting", "compact_threshold": 1000}], "invalid_value", "[0].type"),
        ([{"type": "compaction", "compact_threshold": 1000, "most": 1}], "unknown_parameter", "[0].most"),
        ([], "array_below_min_length", ""),
    ],
)
def test_what_is_no_threshold_says_so(tmp_path: Path, given: Any, code: str, param: str) -> None:
    with client_of(Settings(recordings=tmp_path)) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="m", input="Hi", context_management=given)
    assert (caught.value.code, caught.value.param) == (code, f"context_management{param}"), json.dumps(given)
