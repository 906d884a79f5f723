"""Items as clients write them, items as the API shows them, and what is said of those that are none."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.api.item_kinds import KINDS, PARTS
from harness.api.items import parse_input, parse_items
from harness.errors import InvalidRequest
from harness.turn.ids import Ids


def counted() -> Callable[[str], str]:
    numbers = iter(range(1, 1000))
    return lambda prefix: f"{prefix}_{next(numbers)}"


def parsed(*items: Any) -> list[dict[str, Any]]:
    return parse_items(list(items), "items", counted())


def refused(*items: Any) -> tuple[str | None, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        parsed(*items)
    assert caught.value.http_status == 400
    return caught.value.code, caught.value.param


MCP_CALL = {"server_label": "s", "name": "n", "arguments": "{}"}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize("role", ["user", "system", "developer"])
def test_text_becomes_one_part_of_input(role: str) -> None:
    assert parsed({"role": role, "content": "Hi"}) == [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": role,
            "content": [{"type": "input_text", "text": "Hi"}],
        }
    ]


def test_text_of_the_assistant_becomes_one_part_of_output() -> None:
    (message,) = parsed({"type": "message", "role": "assistant", "content": "Hi"})

    assert message["content"] == [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}]


def test_parts_are_completed_and_nulls_left_out() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    (message,) = parsed(
        user(
            {"type": "input_text", "text": "a", "annotations": None},
            {"type": "input_image", "image_url": "https://x/a.png", "file_id": None, "detail": None},
            {"type": "input_file", "file_id": "file_1"},
            sound,
        )
    )
    (said,) = parsed(
        {
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "b", "logprobs": None, "annotations": [{"type": "url_citation"}]},
                {"type": "refusal", "refusal": "No."},
                {"type": "input_text", "text": "c"},
            ],
        }
    )

    assert message["content"] == [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"},
        {"type": "input_file", "file_id": "file_1"},
        sound,
    ]
    assert said["content"] == [
        {"type": "output_text", "text": "b", "annotations": [{"type": "url_citation"}], "logprobs": []},
        {"type": "refusal", "refusal": "No."},
        {"type": "input_text", "text": "c"},
    ]


def test_what_the_api_showed_is_taken_back_as_it_was() -> None:
    shown = parsed(
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho", "phase": "commentary", "status": "incomplete", "id": "msg_given"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}", "namespace": None},
        {"type": "function_call_output", "call_id": "call_1", "output": "1", "id": None, "status": None},
        {"type": "reasoning", "summary": [], "encrypted_content": None},
    )

    assert [item["id"] for item in shown] == ["msg_1", "msg_given", "fc_2", "fco_3", "rs_4"]
    assert [item.get("status") for item in shown] == ["completed", "incomplete", "completed", "completed", None]
    assert parsed(*shown) == shown
    assert parsed({**shown[0], "id": None, "status": None}) == [shown[0]]


def test_other_items_are_kept_unchanged_but_for_id_and_status() -> None:
    call = {"type": "mcp_call", "server_label": "s", "name": "n", "arguments": "{}", "error": {"else": [1, None]}}
    search = {"type": "web_search_call", "action": {"type": "search", "query": "q"}, "status": "searching"}

    assert parsed(call, search) == [call | {"id": "mcp_1"}, search | {"id": "ws_2"}]


def test_nulls_and_what_sdks_hang_on_an_answer_say_nothing() -> None:
    text: dict[str, Any] = {"type": "output_text", "text": "{}", "parsed": {"a": 1}, "anything": None}
    call: dict[str, Any] = {
        "type": "function_call",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "parsed_arguments": {"a": 1},
    }
    message, called = parsed({"role": "assistant", "content": [text], "anything": None}, call | {"anything": None})

    assert message["content"] == [{"type": "output_text", "text": "{}", "annotations": [], "logprobs": []}]
    assert called.keys() == {"type", "id", "status", "call_id", "name", "arguments"}


def test_a_reference_comes_back_as_one() -> None:
    reference = {"type": "item_reference", "id": "msg_7"}

    assert parsed(reference, {"id": "msg_7"}, {"id": "msg_7", "type": None}) == [reference] * 3


def test_every_kind_of_ids_begins_in_a_way_of_its_own() -> None:
    prefixes = [kind.prefix for kind in KINDS.values()]

    assert len(set(prefixes)) == len(prefixes)


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ("text", "invalid_type", "items[0]"),
        ({}, "missing_required_parameter", "items[0].type"),
        ({"type": 7}, "invalid_type", "items[0].type"),
        ({"type": "massage"}, "invalid_value", "items[0].type"),
        ({"content": "Hi"}, "missing_required_parameter", "items[0].role"),
        ({"role": "user"}, "missing_required_parameter", "items[0].content"),
        ({"role": "tool", "content": "Hi"}, "invalid_value", "items[0].role"),
        ({"role": 1, "content": "Hi"}, "invalid_value", "items[0].role"),
        ({"role": "user", "content": None}, "invalid_type", "items[0].content"),
        ({"role": "user", "content": "Hi", "status": "done"}, "invalid_value", "items[0].status"),
        ({"role": "user", "content": "Hi", "id": 7}, "invalid_type", "items[0].id"),
        ({"role": "user", "content": "Hi", "id": ""}, "empty_string", "items[0].id"),
        ({"role": "user", "content": "Hi", "id": "a b"}, "invalid_value", "items[0].id"),
        ({"role": "user", "content": "Hi", "id": "a" * 300}, "string_above_max_length", "items[0].id"),
        ({"role": "user", "content": "\ud800"}, "invalid_value", "items[0].content"),
        (user("Hi"), "invalid_type", "items[0].content[0]"),
        (user({"text": "Hi"}), "missing_required_parameter", "items[0].content[0].type"),
        (user({"type": "text", "text": "Hi"}), "invalid_value", "items[0].content[0].type"),
        (user({"type": ["text"]}), "invalid_type", "items[0].content[0].type"),
        (user({"type": "input_text"}), "missing_required_parameter", "items[0].content[0].text"),
        (user({"type": "input_text", "text": 1}), "invalid_type", "items[0].content[0].text"),
        (user({"type": "input_image"}), "missing_required_parameter", "items[0].content[0].image_url"),
        (user({"type": "input_image", "image_url": {"url": "x"}}), "invalid_type", "items[0].content[0].image_url"),
        (
            user({"type": "input_image", "file_id": "f", "detail": "vast"}),
            "invalid_value",
            "items[0].content[0].detail",
        ),
        (
            user({"type": "input_audio", "input_audio": {"data": "A", "format": "ogg"}}),
            "invalid_value",
            "items[0].content[0].input_audio.format",
        ),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "missing_required_parameter", "items[0].call_id"),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": {}},
            "invalid_type",
            "items[0].arguments",
        ),
        ({"type": "function_call_output", "call_id": "c", "output": {}}, "invalid_type", "items[0].output"),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "text"}]},
            "invalid_value",
            "items[0].output[0].type",
        ),
        (
            {"type": "reasoning", "summary": [{"type": "summary_text"}]},
            "missing_required_parameter",
            "items[0].summary[0].text",
        ),
        ({"type": "file_search_call", "queries": "q"}, "invalid_type", "items[0].queries"),
        ({"type": "item_reference"}, "missing_required_parameter", "items[0].id"),
        ({"type": "mcp_call", "n": [1e999]}, "invalid_value", "items[0].n[0]"),
        ({"role": "user", "content": "Hi", "foo": 1}, "unknown_parameter", "items[0].foo"),
        (user({"type": "input_text", "text": "Hi", "foo": 1}), "unknown_parameter", "items[0].content[0].foo"),
        (
            user({"type": "input_audio", "input_audio": {"data": "A", "format": "wav", "rate": 1}}),
            "unknown_parameter",
            "items[0].content[0].input_audio.rate",
        ),
        ({"type": "mcp_call", **MCP_CALL, "foo": {}}, "unknown_parameter", "items[0].foo"),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "", "foo": 1}]},
            "unknown_parameter",
            "items[0].output[0].foo",
        ),
        ({"type": "item_reference", "id": "msg_1", "foo": 1}, "unknown_parameter", "items[0].foo"),
        (user({"type": "output_text", "text": "Hi"}), "invalid_value", "items[0].content[0].type"),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "refusal", "refusal": ""}]},
            "invalid_value",
            "items[0].output[0].type",
        ),
        ({"type": "mcp_call", **MCP_CALL, "status": "searching"}, "invalid_value", "items[0].status"),
        ({"type": "web_search_call", "action": {}, "status": "calling"}, "invalid_value", "items[0].status"),
        ({"role": "user", "content": "Hi", "id": "fc_1"}, "invalid_id_prefix", "items[0].id"),
        ({"type": "reasoning", "summary": [], "id": "msg_1"}, "invalid_id_prefix", "items[0].id"),
    ],
)
def test_what_is_no_item_is_refused_by_path(item: Any, code: str, param: str) -> None:
    assert refused(item) == (code, param)


def test_the_path_counts_from_the_list_that_the_client_sent() -> None:
    fine = {"role": "user", "content": "Hi"}

    assert refused(fine, fine, fine, user({"type": "x"})) == ("invalid_value", "items[3].content[0].type")
    with pytest.raises(InvalidRequest, match=r"Invalid type for 'input': expected an array, but got a string instead"):
        parse_items("Hi", "input", counted())


def test_messages_say_what_was_expected() -> None:
    with pytest.raises(InvalidRequest) as content:
        parsed({"role": "user", "content": None})
    with pytest.raises(InvalidRequest) as role:
        parsed({"role": "tool", "content": ""})

    assert content.value.message == (
        "Invalid type for 'items[0].content': expected one of a string or an array, but got null instead."
    )
    assert role.value.message == (
        "Invalid value: 'tool'. Supported values are: 'user', 'assistant', 'system' and 'developer'."
    )


def test_nesting_has_an_end() -> None:
    item: Any = {}
    for _ in range(900):
        item = [item]

    assert refused({"type": "mcp_call", "deep": item}) == ("invalid_value", "items[0]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=8,
)
WORDS = ["type", "id", "role", "status", "content", "text", "summary", "output", "call_id", "name", "arguments"]
NAMES = ["message", "item_reference", "user", "assistant", *KINDS, *PARTS]
ALMOST = st.recursive(
    JSON | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=12,
)


@given(JSON | st.lists(ALMOST, max_size=3))
def test_any_json_is_parsed_or_refused_and_what_is_parsed_can_be_sent(value: Any) -> None:
    try:
        items = parse_items(value, "items", Ids("seed").new)
    except InvalidRequest as error:
        assert error.code
        assert error.param is not None
        assert error.param.startswith("items")
    else:
        assert parse_items(items, "items", Ids("other").new) == items
        json.dumps(items, allow_nan=False, ensure_ascii=False).encode()


def test_what_an_answer_must_show_is_filled_in() -> None:
    image = {"type": "input_image", "image_url": "data:,"}
    given = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "status": None},
        {"type": "function_call_output", "call_id": "c", "output": [image]},
        {"type": "custom_tool_call", "call_id": "d", "name": "n", "input": ""},
        {"type": "local_shell_call_output", "id": "lsho_1", "output": "{}"},
        {"type": "tool_search_call", "arguments": {}},
        {"type": "tool_search_output", "call_id": "e", "tools": []},
    ]
    reasoning, output, call, shell, search, found = parse_items(given, "items", lambda prefix: f"{prefix}_new")

    assert reasoning == {"type": "reasoning", "id": "rs_1", "summary": []}
    assert output["output"] == [{**image, "detail": "auto"}]
    assert call["status"] == "completed"
    assert shell == given[3]
    assert (search["call_id"], search["execution"]) == (None, "server")
    assert found["execution"] == "client"


def test_the_output_of_a_tool_that_no_model_called_is_kept_and_is_no_input() -> None:
    told = {"type": "function_call_output", "id": "fco_1", "status": "completed", "name": "door", "output": "It rang."}
    for nothing in ({}, {"call_id": None}):
        assert parsed(told | nothing) == [told | nothing]
        with pytest.raises(InvalidRequest) as caught:
            parse_input([{"role": "user", "content": "Hi"}, told | nothing], counted())
        assert (caught.value.code, caught.value.param) == ("missing_required_parameter", "input[1].call_id")
    assert refused(told | {"call_id": 5}) == ("invalid_type", "items[0].call_id")
