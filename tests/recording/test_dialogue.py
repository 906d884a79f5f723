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
PNG = "iVBORw0KGgo" + "A" * 1325
A_PNG = "image/png 1 kB (sha256 515e0dd3)"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}, f"[image_url {A_PNG}]"),
        ({"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}, "[image_url https://x.org/a.png]"),
        ({"type": "input_audio", "input_audio": {"format": "wav", "data": PNG}}, f"[input_audio wav {A_PNG[10:]}]"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "[file file-1]"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, f"[image {A_PNG}]"),
    ],
)
def test_what_is_no_text_is_told_in_a_few_words(part: Any, words: str) -> None:
    assert asked(Request("POST", "/v1/x", {"messages": [{"role": "user", "content": [part]}]})) == (
        Bubble("user", words),
    )


def test_sounds_pictures_and_bytes_of_an_answer() -> None:
    message = {"content": None, "audio": {"id": "audio_1", "data": PNG, "transcript": "Hello"}}
    assert said(Response({"choices": [{"message": message}]})) == (Bubble("assistant", f"Hello\n[audio {A_PNG[10:]}]"),)
    assert A_PNG[10:] in said(Response({"data": [{"b64_json": PNG}]}))[0].text
    speech = Response({"__binary__": {"media_type": "audio/mpeg", "base64": PNG}}, media_type="audio/mpeg")
    assert said(speech) == (Bubble("assistant", f"[audio/mpeg {A_PNG[10:]}]"),)


def test_a_form_is_told_field_by_field() -> None:
    file = {"name": "file", "filename": "a.wav", "media_type": "audio/wav", "sha256": "0123456789ab", "size": 1200}
    form = {"__multipart__": [{"name": "model", "value": "w"}, file]}
    words = "model: w\nfile: [a.wav audio/wav 1 kB (sha256 01234567)]"
    assert asked(Request("POST", "/v1/audio/transcriptions", form)) == (Bubble("user", words),)


def test_what_a_model_does_with_the_providers_tools() -> None:
    output = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "cats"}},
        {"type": "mcp_call", "id": "mcp_1", "name": "roll", "arguments": '{"dice": 2}', "output": "7"},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG},
        {"type": "mcp_approval_request", "id": "mcpr_1", "name": "roll", "arguments": "{}"},
    ]
    assert list(said(Response({"output": output}))) == [
        Bubble("assistant", "", (ToolCall("web_search", {"action": {"query": "cats"}}),)),
        Bubble("assistant", "", (ToolCall("roll", {"dice": 2}),)),
        Bubble("tool", "7"),
        Bubble("assistant", "", (ToolCall("image_generation", {}),)),
        Bubble("tool", A_PNG[10:]),
        Bubble("assistant", "[mcp_approval_request mcpr_1 roll {}]"),
    ]


@given(JSON, st.booleans())
def test_any_json_is_a_dialogue(body: Any, stream: bool) -> None:
    assert all(
        isinstance(bubble.text, str) for bubble in (*said(Response(body, stream)), *asked(Request("POST", "/", body)))
    )
