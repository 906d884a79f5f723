"""What goes first when a history is too long, and what never goes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InvalidRequest
from harness.turn.calls import check_calls
from harness.turn.commands import Ask, Begin, Chunk, Ended, Failed, Kept, Refuse
from harness.turn.machine import State
from harness.turn.window import Window
from tests.turn.script import HI, chunk, feed, new_turn

TOO_LONG = Failed(InvalidRequest("The request is too long.", code="context_length_exceeded"))

KINDS: dict[str, dict[str, Any]] = {
    "u": {"type": "message", "role": "user"},
    "a": {"type": "message", "role": "assistant"},
    "s": {"type": "message", "role": "system"},
    "r": {"type": "reasoning"},
    "f": {"type": "function_call"},
    "o": {"type": "function_call_output"},
    "c": {"type": "custom_tool_call"},
    "d": {"type": "custom_tool_call_output"},
}


def items(text: str) -> list[dict[str, Any]]:
    """``u1`` is what the user says as item 1, ``f3`` a call with the id 3, ``o3`` its output."""
    return [KINDS[name[0]] | {"content": name, "call_id": name[1:], "name": "f"} for name in text.split()]


def names(found: list[dict[str, Any]]) -> str:
    return " ".join(item["content"] for item in found)


def shrunk(window: Window) -> list[str]:
    """What is left, each time the oldest go, until none can go any more."""
    left = [names(window.items)]
    while window.shrink():
        left.append(names(window.items))
    return left


@pytest.mark.parametrize(
    ("history", "given_input", "left"),
    [
        ("", "u1", ["u1"]),
        ("u1 a1 u2 a2", "u3", ["u1 a1 u2 a2 u3", "u2 a2 u3", "u3"]),
        ("", "u1 a1 u2 a2 u3", ["u1 a1 u2 a2 u3", "u2 a2 u3", "u3"]),
        ("u1 a1 u2 a2", "", ["u1 a1 u2 a2", "u2 a2"]),
        ("u1 a1", "u2 u3", ["u1 a1 u2 u3", "u2 u3"]),
        ("s1 u1 a1", "s2 u2", ["s1 u1 a1 s2 u2", "s1 s2 u2"]),
        ("u1 r1 f1 o1 f2 o2 a1", "u2", ["u1 r1 f1 o1 f2 o2 a1 u2", "f1 o1 f2 o2 a1 u2", "u2"]),
        ("u1 f1 f2", "o1 o2", ["u1 f1 f2 o1 o2", "f1 f2 o1 o2"]),
        ("u1 f1 o1 f2", "o2", ["u1 f1 o1 f2 o2", "f1 o1 f2 o2", "f2 o2"]),
        ("", "u1 f1 o1 c2 d2", ["u1 f1 o1 c2 d2", "f1 o1 c2 d2", "c2 d2"]),
        ("u1 f1 u2 o1 a1", "u3", ["u1 f1 u2 o1 a1 u3", "f1 u2 o1 a1 u3", "u3"]),
        ("u1 a1 u2 a2 u3 a3 u4 a4", "u5", ["u1 a1 u2 a2 u3 a3 u4 a4 u5", "u2 a2 u3 a3 u4 a4 u5", "u4 a4 u5", "u5"]),
    ],
)
def test_the_oldest_go_first(history: str, given_input: str, left: list[str]) -> None:
    assert shrunk(Window(items(history), items(given_input))) == left


PIECES = st.lists(st.sampled_from(["u", "a", "s", "r", "fo", "ffoo", "cd", "fuo"]), max_size=30)


@given(PIECES, PIECES)
def test_whatever_goes_calls_keep_their_outputs_and_the_newest_input_stays(before: list[str], now: list[str]) -> None:
    def made(pieces: list[str], prefix: str) -> str:
        said = []
        for number, piece in enumerate(pieces):
            counts = dict.fromkeys(piece, 0)
            for kind in piece:
                counts[kind] += 1
                said.append(f"{kind}{prefix}{number}-{counts[kind]}")
        return " ".join(said)

    given_input = [*items(made(now, "n")), *items("u0")]
    window = Window(items(made(before, "b")), given_input)
    everything, asks = window.items, 0
    while window.shrink():
        asks += 1
        check_calls(window.items)
        assert window.items[-1]["content"] == "u0"
        left = iter(everything)
        assert all(item in left for item in window.items), "the order has changed"
        assert [item for item in everything if item.get("role") == "system"] == [
            item for item in window.items if item.get("role") == "system"
        ]
    assert asks <= len(everything).bit_length()


def test_a_turn_that_is_too_long_is_asked_again_without_its_oldest_items() -> None:
    turn = new_turn(items("u1 a1 u2 a2 u3 a3"), truncation="auto", instructions="Be kind.")
    history = [*turn.plan.history]
    played = feed(turn, [Begin(), TOO_LONG, TOO_LONG, Chunk(chunk("stop", content="Yes")), Ended(1007), Kept()])
    asked = [[message["content"] for message in ask.body["messages"]] for ask in played.asked]
    assert asked == [
        ["Be kind.", "u1", "a1", "u2", "a2", "u3", "a3", "Hi"],
        ["Be kind.", "u2", "a2", "u3", "a3", "Hi"],
        ["Be kind.", "Hi"],
    ]
    assert turn.state is State.ENDED
    assert played.final["truncation"] == "auto"
    assert turn.plan.history == history, "what the model was not sent is still part of the conversation"
    assert [item for item in played.kept[0].new_items if item == HI]


def test_a_newest_input_that_is_too_long_is_refused() -> None:
    turn = new_turn(items("u1 a1"), truncation="auto")
    played = feed(turn, [Begin(), TOO_LONG, TOO_LONG])
    assert [type(command) for command in played.commands] == [Ask, Ask, Refuse]


@pytest.mark.parametrize("wanted", [{}, {"truncation": "disabled"}, {"truncation": None}])
def test_without_truncation_too_long_is_refused_at_once(wanted: dict[str, Any]) -> None:
    played = feed(new_turn(items("u1 a1"), **wanted), [Begin(), TOO_LONG])
    assert [type(command) for command in played.commands] == [Ask, Refuse]


def test_another_error_is_no_reason_to_ask_again() -> None:
    other = Failed(InvalidRequest("No.", code="invalid_value"))
    played = feed(new_turn(items("u1 a1"), truncation="auto"), [Begin(), other])
    assert [type(command) for command in played.commands] == [Ask, Refuse]


def test_in_the_background_it_is_shown_once_however_often_it_is_asked() -> None:
    turn = new_turn(items("u1 a1"), truncation="auto", background=True)
    played = feed(turn, [Begin(), TOO_LONG, TOO_LONG, Kept()])
    assert played.lines == ["created", "queued", "in_progress", "failed"]
