"""Items to messages, kind by kind, and which histories no model takes."""

from typing import Any

import pytest

from harness.errors import InvalidRequest
from harness.turn.calls import check_calls
from harness.turn.messages import to_messages


def message(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "status": "completed", "role": role, "content": list(parts)}


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def answer(words: str) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}


def refusal(words: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": words}


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": "f", "arguments": "{}"}


def output(call_id: str, said: Any = "42") -> dict[str, Any]:
    return {"type": "function_call_output", "id": "fco_1", "call_id": call_id, "output": said}


def custom_call(call_id: str) -> dict[str, Any]:
    return {"type": "custom_tool_call", "id": "ctc_1", "call_id": call_id, "name": "sql", "input": "SELECT 1"}


def custom_output(call_id: str) -> dict[str, Any]:
    return {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": call_id, "output": "1"}


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}
CHAT_CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize("role", ["user", "system", "developer", "assistant"])
def test_one_text_is_a_bare_string(role: str) -> None:
    part = answer("Hi") if role == "assistant" else text("Hi")

    assert to_messages([message(role, part)]) == [{"role": role, "content": "Hi"}]


def test_instructions_come_first_as_the_system() -> None:
    assert to_messages([message("user", text("Hi"))], "Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
            {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}},
        ),
        (
            {"type": "input_image", "image_url": "https://x/a.png"},
            {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "auto"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ),
        (
            {"type": "input_file", "file_data": "data:…", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:…", "filename": "a.pdf"}},
        ),
        ({"type": "input_file", "file_id": "file-1"}, {"type": "file", "file": {"file_id": "file-1"}}),
        (
            text("b") | {"prompt_cache_breakpoint": {"type": "ephemeral"}},
            {"type": "text", "text": "b", "prompt_cache_breakpoint": {"type": "ephemeral"}},
        ),
        (refusal("No."), {"type": "text", "text": "No."}),
    ],
)
def test_parts_keep_their_order(part: dict[str, Any], expected: dict[str, Any]) -> None:
    (said,) = to_messages([message("user", text("a"), part)])

    assert said["content"] == [{"type": "text", "text": "a"}, expected]


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ({"type": "input_image", "file_id": "file-1"}, "image_url"),
        ({"type": "input_file", "file_url": "https://x/a.pdf"}, "file_data"),
    ],
)
def test_what_a_chat_completion_cannot_carry_is_refused(part: dict[str, Any], instead: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        to_messages([message("user", part)])

    assert instead in caught.value.hint


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([refusal("No.")], {"content": None, "refusal": "No."}),
        ([answer("Well."), refusal("No.")], {"content": "Well.", "refusal": "No."}),
        ([], {"content": ""}),
    ],
)
def test_a_refusal_stands_apart_from_the_text(parts: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert to_messages([message("assistant", *parts)]) == [{"role": "assistant", **expected}]


def test_a_refusal_that_calls_outlives_what_is_said_after_the_calls() -> None:
    said = [message("assistant", refusal("No.")), call("a"), message("assistant", refusal("Nor that.")), output("a")]
    assert to_messages(said) == [
        {"role": "assistant", "content": None, "refusal": "No.", "tool_calls": [{"id": "a", **CHAT_CALL}]},
        {"role": "tool", "tool_call_id": "a", "content": "42"},
        {"role": "assistant", "content": None, "refusal": "Nor that."},
    ]


def test_parallel_calls_are_one_message() -> None:
    assert to_messages([call("a"), call("b"), output("a"), output("b")]) == [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", **CHAT_CALL}, {"id": "b", **CHAT_CALL}]},
        {"role": "tool", "tool_call_id": "a", "content": "42"},
        {"role": "tool", "tool_call_id": "b", "content": "42"},
    ]


@pytest.mark.parametrize(
    "items", [[message("assistant", answer("Wait.")), call("a")], [call("a"), message("assistant", answer("Wait."))]]
)
def test_a_text_and_calls_of_one_turn_are_one_message(items: list[dict[str, Any]]) -> None:
    assert to_messages([*items, output("a")])[0] == {
        "role": "assistant",
        "content": "Wait.",
        "tool_calls": [{"id": "a", **CHAT_CALL}],
    }


def test_calls_after_an_output_are_a_message_of_their_own() -> None:
    roles = [said["role"] for said in to_messages([call("a"), output("a"), call("b"), output("b")])]

    assert roles == ["assistant", "tool", "assistant", "tool"]


def test_two_texts_stay_two_messages() -> None:
    assert len(to_messages([message("assistant", answer("a")), message("assistant", answer("b"))])) == 2


def test_custom_calls_and_their_outputs() -> None:
    assert to_messages([custom_call("a"), custom_output("a")]) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]


def said(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_pictures_that_tools_gave_follow_behind_their_answers() -> None:
    picture = {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"}
    outputs = [output("a", [text("42")]), output("b", [text("42"), picture]), output("c", [picture])]

    one, two, three, attached, last = to_messages([*outputs, message("user", text("Hi"))])

    assert one["content"] == "42"
    assert [message["role"] for message in (one, two, three)] == ["tool"] * 3
    assert [message["content"] for message in (two, three)] == [[said("42")], [said("[image]")]]
    assert attached["role"] == "user"
    kinds = [part.get("text", part["type"]) for part in attached["content"]]
    assert kinds == ["Given by tool 2:", "image_url", "Given by tool 3:", "image_url"]
    assert last["content"] == "Hi"


def test_pictures_of_one_tool_alone_are_told_as_ogx_tells_them() -> None:
    picture = {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"}

    told, attached = to_messages([output("a", [picture])])

    assert told["content"] == [said("[image]")]
    url = {"url": "https://x/a.png", "detail": "auto"}
    assert attached == {"role": "user", "content": [{"type": "image_url", "image_url": url}]}


def test_reasoning_and_hosted_calls_are_left_out() -> None:
    said = to_messages([REASONING, SEARCH, message("user", text("Hi")), REASONING])

    assert said == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    "items",
    [
        [],
        [REASONING, SEARCH],
        [call("a"), output("a")],
        [call("a"), call("b"), output("b"), output("a")],
        [call("a"), output("a"), output("a")],
        [custom_call("a"), call("a"), custom_output("a"), output("a")],
    ],
)
def test_calls_with_their_outputs_are_taken(items: list[dict[str, Any]]) -> None:
    check_calls(items)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (
            [{"type": "function_call_output", "output": "x"}],
            "No tool call found for function call output with call_id null.",
        ),
        ([output("a")], "No tool call found for function call output with call_id a."),
        ([output("a"), call("a")], "No tool call found for function call output with call_id a."),
        ([custom_output("a")], "No tool call found for custom tool call output with call_id a."),
        ([call("a"), custom_output("a")], "No tool call found for custom tool call output with call_id a."),
        ([call("a")], "No tool output found for function call a."),
        ([call("a"), call("b"), output("a")], "No tool output found for function call b."),
        ([custom_call("a"), message("user", text("Hi"))], "No tool output found for custom tool call a."),
    ],
)
def test_one_without_the_other_is_not(items: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_calls(items)

    assert (caught.value.message, caught.value.param, caught.value.http_status) == (said, "input", 400)


def test_an_output_stands_behind_its_call_whatever_was_said_since() -> None:
    said = to_messages([call("a"), call("b"), message("user", text("Well?")), output("b"), output("a")])

    assert [(told["role"], told.get("tool_call_id")) for told in said] == [
        *(("assistant", None), ("tool", "b"), ("tool", "a"), ("user", None)),
    ]


def test_an_output_that_comes_late_stands_with_the_others() -> None:
    said = to_messages([call("a"), call("b"), output("b"), message("user", text("Well?")), output("a")])

    assert [(told["role"], told.get("tool_call_id")) for told in said] == [
        *(("assistant", None), ("tool", "b"), ("tool", "a"), ("user", None)),
    ]


def test_a_question_told_again_before_the_output_of_its_call_is_told_once() -> None:
    """OGX's clients send it with the output, though the previous response that they name has it already."""
    asked, other = message("user", text("Hot?")), message("user", text("Or cold?"))
    roles = [
        [sent["role"] for sent in to_messages([asked, *items])]
        for items in (
            [call("a"), call("b"), asked, output("a"), output("b")],
            # No repetition: another question, one behind the output, one that came after something else.
            [call("a"), other, output("a")],
            [call("a"), output("a"), asked],
            [call("a"), other, asked, output("a")],
        )
    ]
    assert roles == [
        ["user", "assistant", "tool", "tool"],
        ["user", "assistant", "tool", "user"],
        ["user", "assistant", "tool", "user"],
        ["user", "assistant", "tool", "user", "user"],
    ]


def test_a_call_that_is_said_again_before_its_output_is_one_call() -> None:
    """Clients that keep the history as well send it with ``previous_response_id``."""
    said = to_messages([message("user", text("Hi")), call("a"), message("user", text("Hi")), call("a"), output("a")])

    assert [(told["role"], told.get("tool_call_id")) for told in said] == [
        *(("user", None), ("user", None), ("assistant", None), ("tool", "a")),
    ]
    assert [made["id"] for made in said[2]["tool_calls"]] == ["a"]


def test_a_call_said_again_may_be_written_otherwise() -> None:
    first, again = ({"arguments": text} for text in ('{"city": "Rome"}', '{"city":"Rome"}'))

    said = to_messages([call("a") | first, call("a") | again, output("a")])

    assert [made["function"] for made in said[0]["tool_calls"]] == [{"name": "f"} | again]


def test_a_call_said_again_leaves_what_was_said_with_it() -> None:
    spoken = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]}

    said = to_messages([spoken, call("a"), message("user", text("Hi")), call("a"), output("a")])

    assert said[0] == {"role": "assistant", "content": "Let me see."}
    assert [told["role"] for told in said[1:]] == ["user", "assistant", "tool"]


def test_calls_of_two_turns_may_share_an_id() -> None:
    said = to_messages([call("a"), output("a"), message("user", text("Again")), call("a"), output("a")])

    assert [told["role"] for told in said] == ["assistant", "tool", "user", "assistant", "tool"]


def test_of_two_outputs_of_a_call_the_last_holds() -> None:
    said = to_messages([call("a"), call("b"), output("a"), output("b"), output("a", "at last")])

    assert [(told["tool_call_id"], told["content"]) for told in said[1:]] == [("a", "at last"), ("b", "42")]


def test_calls_that_share_an_id_and_nothing_else_are_all_told() -> None:
    said = to_messages([call("a"), call("a") | {"arguments": "[]"}, output("a")])

    assert [made["function"]["arguments"] for made in said[0]["tool_calls"]] == ["{}", "[]"]
