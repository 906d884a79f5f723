"""The laws of a stream, for whatever a model says and whatever an upstream sends."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.turn.commands import Begin, Chunk, Emit, Ended, Kept
from harness.turn.machine import State
from tests.server.conformance import check_stream
from tests.turn.script import Played, chunk, custom, feed, function, new_turn, play, play_broken

LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Hi", "logprob": -0.5}]}
LAW = settings(deadline=None)
WORDS = st.text(alphabet="ab ü🌧", max_size=4)
DELTAS = st.one_of(
    st.builds(lambda text: {"content": text}, WORDS),
    st.builds(lambda text: {"refusal": text}, WORDS),
    st.builds(lambda text: {"reasoning_content": text}, WORDS),
    st.builds(lambda index, text: function(index, text, id=f"call_{index}", name="f"), st.integers(0, 2), WORDS),
    st.builds(lambda index, text: custom(index, text, id=f"call_{index}", name="c"), st.integers(3, 4), WORDS),
)


def said(played: Played, kind: str) -> str:
    return "".join(event["delta"] for event in played.events if event["type"] == f"response.{kind}.delta")


@LAW
@given(st.lists(DELTAS, max_size=12), st.sampled_from(["stop", "length"]))
def test_whatever_is_said_the_stream_keeps_its_laws(deltas: list[dict[str, Any]], finish: str) -> None:
    played = play([*(chunk(**delta) for delta in deltas), chunk(finish)])

    check_stream(played.events)
    for name, kind in (("content", "output_text"), ("refusal", "refusal"), ("reasoning_content", "reasoning_text")):
        assert said(played, kind) == "".join(delta.get(name, "") for delta in deltas)
    statuses = [item["status"] for item in played.final["output"]]
    assert statuses[:-1] == ["completed"] * (len(statuses) - 1)
    assert statuses[-1] == {"stop": "completed", "length": "incomplete"}[finish]
    assert [command for command in played.commands if not isinstance(command, Emit)] == [*played.asked, *played.kept]


@LAW
@given(st.lists(DELTAS, max_size=8))
def test_a_failure_anywhere_ends_the_stream_in_order(deltas: list[dict[str, Any]]) -> None:
    check_stream(play_broken([chunk(content="a"), *(chunk(**delta) for delta in deltas)]).events)


ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, 0, -1, 1.5, float("inf"), float("nan"), 10**30, "", "a", [], {}, [None], [[]], [{}]]),
    st.dictionaries(
        st.sampled_from(["function", "custom", "content", "index", "prompt_tokens"]), st.just(7), max_size=2
    ),
)
FULL = chunk(
    "stop",
    content="Hi",
    refusal="No.",
    reasoning_content="Hm.",
    logprobs={"content": [LOGPROB], "refusal": None},
    annotations=[
        {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": "u", "title": "t"}}
    ],
    tool_calls=[
        *function(0, "{}", id="call_1", name="f")["tool_calls"],
        *custom(1, "x", id="c", name="g")["tool_calls"],
    ],
) | {"usage": {"prompt_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 1}}, "service_tier": "flex"}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, deeper in inner for place in places(deeper, (*path, step)))]


@LAW
@given(st.sampled_from(places(FULL)[1:]), ODD)
def test_no_chunk_whatever_makes_the_engine_fail(path: tuple[Any, ...], odd: Any) -> None:
    data = copy.deepcopy(FULL)
    target = data
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = odd
    turn = new_turn()

    played = feed(turn, [Begin(), Chunk(chunk(content="a")), Chunk(data)])
    if turn.state is State.STREAMING:
        played += feed(turn, [Chunk(FULL), Ended(1007)])
    played += feed(turn, [Kept()])

    check_stream(played.events)
    json.dumps(played.events, allow_nan=False)
