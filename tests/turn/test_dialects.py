"""What upstreams say in ways of their own: where they put reasoning, calls, log probabilities, errors, usage."""

import base64
import json
from typing import Any

import pytest

from harness.api.items import parse_items
from harness.turn.commands import Ask, Begin, Chunk, Kept, Refuse
from tests.server.conformance import check_event, check_stream, needs_descriptions
from tests.turn.script import chunk, feed, function, new_turn, play

LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Hi", "logprob": -0.5}]}
SHOWN_LOGPROB = LOGPROB | {"top_logprobs": [{"token": "Hi", "logprob": -0.5, "bytes": []}]}


@pytest.mark.parametrize(
    "data",
    [
        {"choices": 7},
        {"choices": ["a"]},
        {"choices": [{"delta": "a"}]},
        {"usage": 7},
        chunk(content=["a"]),
        chunk(content={"type": "text", "text": "a"}),
        chunk(content=[{"type": "image_url", "image_url": {"url": "data:,"}}]),
        chunk(tool_calls=[{"function": "f"}]),
        chunk(tool_calls=[{"index": "a"}]),
        chunk(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": {}}}]),
        chunk(logprobs={"content": [7]}),
        {"choices": [{"delta": {}, "finish_reason": {}}]},
    ],
)
def test_what_is_no_chunk_is_the_upstreams_failure(data: dict[str, Any]) -> None:
    played = feed(new_turn(), [Begin(), Chunk(chunk(content="Hel")), Chunk(data), Kept()])

    assert played.lines[-1] == "failed"
    assert "no chunk of a chat completion" in played.final["error"]["message"]
    check_stream(played.events)


@pytest.mark.parametrize("data", [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"delta": None}]}, chunk()])
def test_a_chunk_may_say_nothing(data: dict[str, Any]) -> None:
    assert play([chunk(content="a"), data]).final["output"][0]["content"][0]["text"] == "a"


@pytest.mark.parametrize("reasoning", ["reasoning_content", "reasoning"])
def test_reasoning_is_found_where_upstreams_put_it(reasoning: str) -> None:
    said: Any = {reasoning: "Hm."}
    (item, _) = play([chunk(**said), chunk(content="Yes.")]).final["output"]

    assert item == {
        "id": item["id"],
        "type": "reasoning",
        "summary": [],
        "status": "completed",
        "content": [{"type": "reasoning_text", "text": "Hm."}],
    }


def test_reasoning_says_all_of_itself_where_the_client_keeps_it() -> None:
    turn = new_turn(include=["reasoning.encrypted_content"], store=False)
    played = play([chunk(reasoning_content="H"), chunk(reasoning_content="m."), chunk("stop", content="Yes.")], turn)
    reasoning, message = played.final["output"]

    assert json.loads(base64.b64decode(reasoning["encrypted_content"])) == {"harness": 1, "reasoning": "Hm."}
    assert "encrypted_content" not in message
    assert parse_items([reasoning], "input", str) == [reasoning]


@needs_descriptions
def test_a_summary_is_one_for_both_descriptions() -> None:
    chunks = [chunk(reasoning_content="Hm."), chunk("stop", content="Yes.")]
    check_stream(play(chunks, new_turn(reasoning={"summary": "auto"})).events)


@pytest.mark.parametrize("asked", [{"summary": "auto"}, {"generate_summary": "detailed"}])
def test_reasoning_is_shown_as_the_summary_that_was_asked_for(asked: dict[str, str]) -> None:
    chunks = [chunk(reasoning_content="H"), chunk(reasoning_content="m."), chunk("stop", content="Yes.")]
    played = play(chunks, new_turn(reasoning=asked))
    item = played.final["output"][0]
    place = {"item_id": item["id"], "output_index": 0, "summary_index": 0}

    assert item == {
        "id": item["id"],
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Hm."}],
        "status": "completed",
    }
    kinds = ("part.added", "text.delta", "text.delta", "text.done", "part.done")
    events = played.events[3:8]
    assert [event["type"] for event in events] == [f"response.reasoning_summary_{kind}" for kind in kinds]
    assert all(place.items() <= event.items() for event in events)
    assert [event.get("delta", event.get("text", event.get("part"))) for event in events] == [
        *({"type": "summary_text", "text": ""}, "H", "m.", "Hm."),
        {"type": "summary_text", "text": "Hm."},
    ]
    assert parse_items([item], "input", str) == [item]


def test_a_content_in_parts_is_text_and_reasoning() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me"}, {"type": "reference"}]}
    parts = [{"type": "text", "text": "He"}, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "y"}]

    reasoning, message = play([chunk(content=[thinking]), chunk("stop", content=parts)]).final["output"]

    assert reasoning["content"] == [{"type": "reasoning_text", "text": "Let me"}]
    assert message["content"][0]["text"] == "Hey"


def test_a_call_in_the_older_way_is_a_call() -> None:
    empty = {"name": "", "arguments": ""}
    older = [
        chunk(function_call={"name": "f", "arguments": ""}),
        chunk(function_call={"arguments": '{"a":'}),
        chunk(function_call={"arguments": "1}"}),
        chunk("function_call", function_call=empty),
    ]
    (call,) = play(older).final["output"]
    (beside,) = play([chunk(**function(0, "{}", id="call_1", name="g"), function_call=empty)]).final["output"]

    assert (call["type"], call["name"], call["arguments"], call["status"]) == (
        "function_call",
        "f",
        '{"a":1}',
        "completed",
    )
    assert call["call_id"]
    assert (beside["name"], beside["call_id"]) == ("g", "call_1")


@pytest.mark.parametrize("error", [None, {"message": "The provider is down.", "code": 503}])
def test_an_answer_that_ends_in_an_error_has_failed(error: dict[str, Any] | None) -> None:
    last = chunk("error")
    last["choices"][0]["error"] = error

    played = feed(new_turn(), [Begin(), Chunk(chunk(content="Hel")), Chunk(last), Kept()])
    at_once = feed(new_turn(), [Begin(), Chunk(chunk(role="assistant", content="")), Chunk(last)])

    assert (played.lines[-1], played.final["status"]) == ("failed", "failed")
    assert ("down" in played.final["error"]["message"]) == (error is not None)
    assert [type(command) for command in at_once.commands] == [Ask, Refuse]


@needs_descriptions
def test_what_a_model_cites_is_an_annotation_of_its_text() -> None:
    cited = {"start_index": 0, "end_index": 2, "url": "https://a.example/", "title": "A"}
    citation = {"type": "url_citation", "url_citation": cited}
    played = play(
        [chunk(content="It", annotations=[citation]), chunk("stop", annotations=[citation, {"type": "file"}])]
    )
    (message,) = played.final["output"]

    assert message["content"][0]["annotations"] == [{"type": "url_citation", **cited}] * 2
    added = [event for event in played.events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation_index"] for event in added] == [0, 1]
    check_stream(played.events)
    for event in played.events:
        check_event(event)


def test_log_probabilities_stand_with_their_text() -> None:
    played = play([chunk(content="Hi", logprobs={"content": [LOGPROB]}), chunk(logprobs={"content": [LOGPROB]})])

    deltas = [event["logprobs"] for event in played.events if event["type"] == "response.output_text.delta"]
    assert deltas == [[SHOWN_LOGPROB], [SHOWN_LOGPROB]]
    (done,) = [event for event in played.events if event["type"] == "response.output_text.done"]
    assert done["logprobs"] == [SHOWN_LOGPROB] * 2
    assert played.final["output"][0]["content"][0]["logprobs"] == [SHOWN_LOGPROB] * 2


def test_log_probabilities_of_a_call_make_no_message() -> None:
    data = chunk(logprobs={"content": [LOGPROB]}, **function(0, "{}", id="call_1", name="f"))

    assert [item["type"] for item in play([data]).final["output"]] == ["function_call"]


def test_calls_keep_the_ids_that_the_model_gave_them() -> None:
    (given_id, made_id) = play(
        [
            chunk(**function(0, id="call_1", name="f")),
            chunk(**function(1, name="g")),
        ]
    ).final["output"]

    assert (given_id["call_id"], given_id["name"]) == ("call_1", "f")
    assert made_id["call_id"].startswith("call_")
    assert made_id["id"].startswith("fc_")


def test_usage_and_service_tier_come_from_the_last_chunk_that_has_them() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}

    final = play([chunk(content="a"), {"choices": [], "usage": usage, "service_tier": "flex"}]).final

    assert final["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    }
    assert final["service_tier"] == "flex"


def test_a_service_tier_of_an_upstreams_own_is_not_shown() -> None:
    assert play([{"choices": [], "service_tier": "on_demand"}]).final["service_tier"] == "default"
