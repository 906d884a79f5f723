"""What is volatile in an answer becomes stable; what the model said is not touched."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.chunks import aggregate, split
from harness.recording.ids import AnswerIds, completion_id
from harness.recording.normalize import normalizer

LAW = settings(deadline=None)
KEY, OTHER = "a" * 64, "b" * 64

ids = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4, unique=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def whole(call_ids: list[str], completion: str = "chatcmpl-1", created: int = 1_700_000_000) -> dict[str, Any]:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}} for name in call_ids]
    message = {"role": "assistant", "content": "call_1 at 1700000000", "tool_calls": calls}
    return {
        "id": completion,
        "object": "chat.completion",
        "created": created,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"total_tokens": 3},
    }


def calls_of(value: dict[str, Any]) -> list[str]:
    return [call["id"] for call in value["choices"][0]["message"]["tool_calls"]]


@LAW
@given(ids)
def test_a_whole_and_its_stream_get_the_same_ids(call_ids: list[str]) -> None:
    normalize = normalizer(AnswerIds(KEY))

    streamed = [normalize(chunk) for chunk in split(whole(call_ids))]

    assert aggregate(streamed) == normalizer(AnswerIds(KEY))(whole(call_ids))
    assert {chunk["id"] for chunk in streamed} == {completion_id(KEY)}


@LAW
@given(ids, ids)
def test_two_runs_of_the_upstream_come_out_alike(one: list[str], other: list[str]) -> None:
    count = min(len(one), len(other))

    assert normalizer(AnswerIds(KEY))(whole(one[:count], "x", 1)) == normalizer(AnswerIds(KEY))(
        whole(other[:count], "y", 2)
    )


@LAW
@given(ids)
def test_calls_stay_apart_and_keys_stay_apart(call_ids: list[str]) -> None:
    normalized = calls_of(normalizer(AnswerIds(KEY))(whole(call_ids)))

    assert len(set(normalized)) == len(call_ids)
    assert not set(normalized) & set(calls_of(normalizer(AnswerIds(OTHER))(whole(call_ids))))


def test_what_the_model_said_stays() -> None:
    before = whole(["call_1"])
    value = copy.deepcopy(before)

    normalized = normalizer(AnswerIds(KEY))(value)

    assert value == before
    assert normalized == {
        **before,
        "id": "rec-aaaaaaaaaaaa",
        "created": 0,
        "choices": [{**before["choices"][0], "message": normalized["choices"][0]["message"]}],
    }
    assert normalized["choices"][0]["message"]["content"] == "call_1 at 1700000000"


def test_padding_and_timings_of_the_upstreams_machine_go() -> None:
    chunk = {"id": "1", "choices": [], "obfuscation": "xyz", "timings": {"prompt_ms": 12.5}}

    assert normalizer(AnswerIds(KEY))(chunk) == {"id": "rec-aaaaaaaaaaaa", "choices": [], "timings": {"prompt_ms": 0}}
    embedded = {"model": "m", "embeddings": [[0.5]], "total_duration": 7, "load_duration": 1, "prompt_eval_count": 2}
    assert normalizer(AnswerIds(KEY))(embedded) == embedded | {"total_duration": 0, "load_duration": 0}


def test_a_later_piece_of_a_call_has_no_id_and_gets_none() -> None:
    def chunk(call: dict[str, Any]) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    normalize = normalizer(AnswerIds(KEY))
    first = normalize(chunk({"index": 0, "id": "call_x", "function": {"name": "f", "arguments": ""}}))
    rest = normalize(chunk({"index": 0, "function": {"arguments": "{}"}}))
    again = normalize(chunk({"index": 0, "id": "call_x", "function": {"arguments": ""}}))

    assert rest == chunk({"index": 0, "function": {"arguments": "{}"}})
    ids_of = [c["choices"][0]["delta"]["tool_calls"][0]["id"] for c in (first, again)]
    assert ids_of[0] == ids_of[1] != "call_x"


@LAW
@given(values.filter(lambda value: not (isinstance(value, dict) and "choices" in value)))
def test_what_is_no_completion_passes(value: Any) -> None:
    assert normalizer(AnswerIds(KEY))(value) == value


@pytest.mark.parametrize(
    "choice",
    [None, "x", [], {}, {"delta": None}, {"message": "x"}, {"delta": {"tool_calls": [None, {"id": [1]}, {"id": 5}]}}],
)
def test_a_choice_of_a_shape_that_we_do_not_know_passes(choice: Any) -> None:
    assert normalizer(AnswerIds(KEY))({"choices": [choice]}) == {"choices": [choice]}
