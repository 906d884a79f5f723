"""Exchanges as dialogues, whatever their API."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.dialogue import Bubble, ToolCall, asked, said
from harness.recording.model import Request, Response

CALL = ToolCall("weather", {"city": "Rome"})
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


@pytest.mark.parametrize(
    ("body", "bubbles"),
    [
        (
            {
                "messages": [
                    {"role": "developer", "content": "Be kind."},
                    {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url"}]},
                    {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                    {"role": "tool", "content": "sunny", "tool_call_id": "c"},
                ]
            },
            [
                Bubble("system", "Be kind."),
                Bubble("user", "Hi\n[image_url]"),
                Bubble("assistant", "", (CALL,)),
                Bubble("tool", "sunny"),
            ],
        ),
        (
            {
                "instructions": "Be kind.",
                "input": [
                    {"role": "user", "content": "Hi"},
                    {"type": "function_call", "name": "weather", "arguments": '{"city": "Rome"}'},
                    {"type": "function_call_output", "output": "sunny"},
                ],
            },
            [
                Bubble("system", "Be kind."),
                Bubble("user", "Hi"),
                Bubble("assistant", "", (CALL,)),
                Bubble("tool", "sunny"),
            ],
        ),
        (
            {
                "system": "Be kind.",
                "messages": [{"role": "user", "content": [{"type": "tool_result", "content": "sunny"}]}],
            },
            [Bubble("system", "Be kind."), Bubble("tool", "sunny")],
        ),
        ({"prompt": "Once upon"}, [Bubble("user", "Once upon")]),
        ({"input": ["one", "two"]}, [Bubble("user", "one"), Bubble("user", "two")]),
    ],
)
def test_what_was_asked(body: Any, bubbles: list[Bubble]) -> None:
    assert list(asked(Request("POST", "/v1/x", {"model": "m", **body}))) == bubbles


@pytest.mark.parametrize(
    ("body", "bubbles"),
    [
        (
            {"choices": [{"message": {"reasoning_content": "Hm.", "content": "Hi", "tool_calls": [CHAT_CALL]}}]},
            [Bubble("reasoning", "Hm."), Bubble("assistant", "Hi", (CALL,))],
        ),
        ({"choices": [{"message": {"content": None, "refusal": "No."}}]}, [Bubble("refusal", "No.")]),
        ({"choices": [{"text": " a time"}]}, [Bubble("assistant", " a time")]),
        (
            {
                "type": "message",
                "content": [
                    {"type": "thinking", "thinking": "Hm."},
                    {"type": "tool_use", "name": "weather", "input": {"city": "Rome"}},
                ],
            },
            [Bubble("reasoning", "Hm."), Bubble("assistant", "", (CALL,))],
        ),
        (
            {"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}]},
            [Bubble("assistant", "Hi")],
        ),
        ({"error": {"message": "No."}}, [Bubble("error", '{\n "message": "No."\n}')]),
    ],
)
def test_what_was_said(body: Any, bubbles: list[Bubble]) -> None:
    assert list(said(Response(body))) == bubbles


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "choices message content type role tool_calls function output input messages refusal".split()
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON, st.booleans())
def test_any_json_is_a_dialogue(body: Any, stream: bool) -> None:
    assert all(
        isinstance(bubble.text, str) for bubble in (*said(Response(body, stream)), *asked(Request("POST", "/", body)))
    )
