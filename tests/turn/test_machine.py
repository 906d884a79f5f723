"""The turn by its scripts: chunks in, events out, and what is asked and kept around them."""

from typing import Any

import pytest

from harness.errors import NotFound, RecordingNotFound
from harness.turn.commands import Ask, Begin, Chunk, Ended, Failed, Kept, Refuse
from harness.turn.machine import State
from tests.server.conformance import check_event, check_stream, needs_descriptions
from tests.turn.script import (
    BROKEN,
    HI,
    chunk,
    custom,
    feed,
    function,
    new_turn,
    play,
    play_broken,
)

SCRIPTS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "a text": (
        [chunk(role="assistant", content=""), chunk(content="Hel"), chunk(content="lo"), chunk("stop")],
        [
            "output_item.added 0 message in_progress",
            "content_part.added 0.0",
            "output_text.delta 0.0 Hel",
            "output_text.delta 0.0 lo",
            "output_text.done 0.0 Hello",
            "content_part.done 0.0 Hello",
            "output_item.done 0 message completed",
        ],
    ),
    "nothing": (
        [chunk(role="assistant", content=""), chunk("stop")],
        [
            "output_item.added 0 message in_progress",
            "content_part.added 0.0",
            "output_text.done 0.0",
            "content_part.done 0.0",
            "output_item.done 0 message completed",
        ],
    ),
    "a refusal": (
        [chunk(refusal="I can"), chunk(refusal="not."), chunk("stop")],
        [
            "output_item.added 0 message in_progress",
            "content_part.added 0.0",
            "refusal.delta 0.0 I can",
            "refusal.delta 0.0 not.",
            "refusal.done 0.0 I cannot.",
            "content_part.done 0.0 I cannot.",
            "output_item.done 0 message completed",
        ],
    ),
    "a text that turns into a refusal": (
        [chunk(content="Well"), chunk(refusal="No."), chunk("stop")],
        [
            "output_item.added 0 message in_progress",
            "content_part.added 0.0",
            "output_text.delta 0.0 Well",
            "output_text.done 0.0 Well",
            "content_part.done 0.0 Well",
            "content_part.added 0.1",
            "refusal.delta 0.1 No.",
            "refusal.done 0.1 No.",
            "content_part.done 0.1 No.",
            "output_item.done 0 message completed",
        ],
    ),
    "reasoning, then a text": (
        [chunk(reasoning_content="Hm"), chunk(reasoning_content="m."), chunk(content="Yes."), chunk("stop")],
        [
            "output_item.added 0 reasoning in_progress",
            "content_part.added 0.0",
            "reasoning_text.delta 0.0 Hm",
            "reasoning_text.delta 0.0 m.",
            "reasoning_text.done 0.0 Hmm.",
            "content_part.done 0.0 Hmm.",
            "output_item.done 0 reasoning completed",
            "output_item.added 1 message in_progress",
            "content_part.added 1.0",
            "output_text.delta 1.0 Yes.",
            "output_text.done 1.0 Yes.",
            "content_part.done 1.0 Yes.",
            "output_item.done 1 message completed",
        ],
    ),
    "a function call": (
        [chunk(**function(0, id="call_1", name="f")), chunk(**function(0, '{"a"')), chunk(**function(0, ":1}"))],
        [
            "output_item.added 0 function_call in_progress",
            'function_call_arguments.delta 0 {"a"',
            "function_call_arguments.delta 0 :1}",
            'function_call_arguments.done 0 {"a":1}',
            "output_item.done 0 function_call completed",
        ],
    ),
    "a function call without arguments, and without an index": (
        [chunk(**function(None, id="call_1", name="f")), chunk("tool_calls")],
        [
            "output_item.added 0 function_call in_progress",
            "function_call_arguments.done 0",
            "output_item.done 0 function_call completed",
        ],
    ),
    "a function call whose name comes late": (
        [chunk(**function(0, "{", id="call_1")), chunk(**function(0, "}", name="f")), chunk("tool_calls")],
        [
            "output_item.added 0 function_call in_progress",
            "function_call_arguments.delta 0 {}",
            "function_call_arguments.done 0 {}",
            "output_item.done 0 function_call completed",
        ],
    ),
    "parallel calls in order": (
        [chunk(**function(0, "a", id="call_1", name="f")), chunk(**function(1, "b", id="call_2", name="g"))],
        [
            "output_item.added 0 function_call in_progress",
            "function_call_arguments.delta 0 a",
            "function_call_arguments.done 0 a",
            "output_item.done 0 function_call completed",
            "output_item.added 1 function_call in_progress",
            "function_call_arguments.delta 1 b",
            "function_call_arguments.done 1 b",
            "output_item.done 1 function_call completed",
        ],
    ),
    "parallel calls interleaved": (
        [
            chunk(**function(0, "a", id="call_1", name="f")),
            chunk(**function(1, "b", id="call_2", name="g")),
            chunk(**function(0, "A")),
            chunk(**function(1, "B")),
        ],
        [
            "output_item.added 0 function_call in_progress",
            "function_call_arguments.delta 0 a",
            "function_call_arguments.delta 0 A",
            "function_call_arguments.done 0 aA",
            "output_item.done 0 function_call completed",
            "output_item.added 1 function_call in_progress",
            "function_call_arguments.delta 1 b",
            "function_call_arguments.delta 1 B",
            "function_call_arguments.done 1 bB",
            "output_item.done 1 function_call completed",
        ],
    ),
    "calls that share an index": (
        [chunk(**function(0, "a", id="call_1", name="f")), chunk(**function(0, "b", id="call_2", name="f"))],
        [
            "output_item.added 0 function_call in_progress",
            "function_call_arguments.delta 0 a",
            "function_call_arguments.done 0 a",
            "output_item.done 0 function_call completed",
            "output_item.added 1 function_call in_progress",
            "function_call_arguments.delta 1 b",
            "function_call_arguments.done 1 b",
            "output_item.done 1 function_call completed",
        ],
    ),
    "a text, then a call": (
        [chunk(content="Wait."), chunk(**function(0, "{}", id="call_1", name="f")), chunk("tool_calls")],
        [
            "output_item.added 0 message in_progress",
            "content_part.added 0.0",
            "output_text.delta 0.0 Wait.",
            "output_text.done 0.0 Wait.",
            "content_part.done 0.0 Wait.",
            "output_item.done 0 message completed",
            "output_item.added 1 function_call in_progress",
            "function_call_arguments.delta 1 {}",
            "function_call_arguments.done 1 {}",
            "output_item.done 1 function_call completed",
        ],
    ),
    "a call, then a text": (
        [chunk(**function(0, "{", id="call_1", name="f")), chunk(content="Done."), chunk(**function(0, "}"))],
        [
            "output_item.added 0 function_call in_progress",
            "function_call_arguments.delta 0 {",
            "function_call_arguments.delta 0 }",
            "function_call_arguments.done 0 {}",
            "output_item.done 0 function_call completed",
            "output_item.added 1 message in_progress",
            "content_part.added 1.0",
            "output_text.delta 1.0 Done.",
            "output_text.done 1.0 Done.",
            "content_part.done 1.0 Done.",
            "output_item.done 1 message completed",
        ],
    ),
    "a call of a custom tool": (
        [chunk(**custom(0, id="call_1", name="sql")), chunk(**custom(0, "SELECT")), chunk(**custom(0, " 1"))],
        [
            "output_item.added 0 custom_tool_call in_progress",
            "custom_tool_call_input.delta 0 SELECT",
            "custom_tool_call_input.delta 0  1",
            "custom_tool_call_input.done 0 SELECT 1",
            "output_item.done 0 custom_tool_call completed",
        ],
    ),
    "too long an answer": (
        [chunk(content="One, two"), chunk("length")],
        [
            "output_item.added 0 message in_progress",
            "content_part.added 0.0",
            "output_text.delta 0.0 One, two",
            "output_text.done 0.0 One, two",
            "content_part.done 0.0 One, two",
            "output_item.done 0 message incomplete",
        ],
    ),
    "choices beside the first": (
        [chunk(content="a"), chunk(index=1, content="b"), chunk("stop"), chunk("length", index=1)],
        [
            "output_item.added 0 message in_progress",
            "content_part.added 0.0",
            "output_text.delta 0.0 a",
            "output_text.done 0.0 a",
            "content_part.done 0.0 a",
            "output_item.done 0 message completed",
        ],
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_chunks_become_events_in_this_order(name: str) -> None:
    chunks, expected = SCRIPTS[name]

    played = play(chunks)

    end = "incomplete" if name == "too long an answer" else "completed"
    assert played.lines == ["created", "in_progress", *expected, end]
    check_stream(played.events)


@needs_descriptions
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_event_is_one_of_openais(name: str) -> None:
    for event in play(SCRIPTS[name][0]).events:
        check_event(event)


def test_a_turn_asks_once_and_keeps_its_input_with_its_output() -> None:
    played = play(SCRIPTS["a text"][0])

    (ask,), (keep,) = played.asked, played.kept
    assert played.commands[0] is ask
    assert ask.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert keep.append
    assert keep.new_items == (HI, *played.final["output"])
    assert keep.response == played.final
    assert played.final["completed_at"] == 1007


def test_nothing_is_said_to_have_ended_before_it_is_kept() -> None:
    turn = new_turn()
    feed(turn, [Begin(), Chunk(chunk("stop", content="Hi"))])

    ended = feed(turn, [Ended(1007)])

    assert ended.lines[-1] == "output_item.done 0 message completed"
    assert ended.commands[-1] == ended.kept[0]
    assert feed(turn, [Kept()]).lines == ["completed"]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("length", "max_output_tokens"), ("model_length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_what_was_cut_off_is_incomplete_for_openais_reason(finish: str, reason: str) -> None:
    final = play([chunk(content="One"), chunk(finish)]).final

    assert (final["status"], final["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert final["completed_at"] is None
    assert [item["status"] for item in final["output"]] == ["incomplete"]


def test_of_several_items_the_last_alone_is_incomplete() -> None:
    calls = [chunk(**function(index, "{", id=f"call_{index}", name="f")) for index in (0, 1)]

    final = play([chunk(content="a"), *calls, chunk("length")]).final

    assert [item["status"] for item in final["output"]] == ["completed", "completed", "incomplete"]


def test_a_backend_that_says_no_is_answered_for_without_an_event() -> None:
    miss = RecordingNotFound("No recording")
    turn = new_turn()

    played = feed(turn, [Begin(), Failed(miss)])

    assert [type(command) for command in played.commands] == [Ask, Refuse]
    assert played.commands[1] == Refuse(miss)
    assert turn.state is State.ENDED


def test_a_history_that_cannot_be_continued_is_refused_unasked() -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
    turn = new_turn(history=[call])

    (refuse,) = feed(turn, [Begin()]).commands

    assert isinstance(refuse, Refuse)
    assert refuse.error.message == "No tool output found for function call call_1."
    assert turn.state is State.ENDED


def test_a_failure_in_mid_stream_is_an_event_and_leaves_the_conversation_alone() -> None:
    played = play_broken([chunk(content="Hel")], new_turn(conversation_id="conv_1"))

    assert played.lines[-3:] == ["content_part.added 0.0", "output_text.delta 0.0 Hel", "failed"]
    assert [(keep.append, keep.new_items) for keep in played.kept] == [(False, ())]
    assert played.final["error"] == {"code": "server_error", "message": "The upstream broke off."}
    assert (played.final["status"], played.final["output"]) == ("failed", [])
    check_stream(played.events)


@needs_descriptions
def test_events_of_a_failure_are_openais() -> None:
    for event in play_broken([chunk(content="Hel")]).events:
        check_event(event)


def test_a_code_that_openai_has_is_passed_on() -> None:
    limit = NotFound("Slow down.", code="rate_limit_exceeded")

    played = feed(new_turn(), [Begin(), Chunk(chunk(content="Hel")), Failed(limit), Kept()])

    assert played.final["error"]["code"] == "rate_limit_exceeded"


def test_a_turn_that_cannot_be_kept_has_failed() -> None:
    turn = new_turn(conversation_id="conv_1")

    played = feed(turn, [Begin(), Ended(1007), Failed(NotFound("Conversation deleted")), Kept()])

    assert played.lines[-1] == "failed"
    assert [keep.append for keep in played.kept] == [True, False]
    assert (played.final["completed_at"], played.final["output"]) == (None, [])
    assert turn.state is State.ENDED


def test_a_failure_that_cannot_be_kept_is_shown_all_the_same() -> None:
    played = feed(new_turn(), [Begin(), Chunk(chunk(content="Hel")), Failed(BROKEN), Failed(BROKEN)])

    assert played.lines[-1] == "failed"


def test_nothing_is_shown_before_the_model_says_something() -> None:
    turn = new_turn()

    assert feed(turn, [Begin(), Chunk(chunk(role="assistant", content=""))]).lines == []
    assert feed(turn, [Chunk(chunk(content="Hi"))]).lines[:2] == ["created", "in_progress"]


def test_an_input_that_no_state_expects_is_the_drivers_mistake() -> None:
    with pytest.raises(KeyError):
        new_turn().receive(Kept())


def test_in_the_background_it_is_shown_before_anybody_is_asked() -> None:
    turn = new_turn(background=True)

    begun = feed(turn, [Begin()])

    assert begun.lines == ["created", "queued", "in_progress"]
    assert [event["response"]["status"] for event in begun.events] == ["queued", "queued", "in_progress"]
    assert isinstance(begun.commands[-1], Ask)
    assert feed(turn, [Chunk(chunk(role="assistant"))]).lines == []


def test_in_the_background_a_backend_that_says_no_makes_it_fail() -> None:
    turn = new_turn(background=True)

    refused = feed(turn, [Begin(), Failed(RecordingNotFound("No recording"))])
    ended = feed(turn, [Kept()])

    assert not refused.kept[0].append
    assert ended.lines == ["failed"]
    assert ended.events[0]["response"]["error"] == {"code": "server_error", "message": "No recording"}


def test_in_the_background_what_cannot_be_asked_is_refused() -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
    turn = new_turn([call], background=True)

    assert [type(command) for command in feed(turn, [Begin()]).commands] == [Refuse]
