"""The bodies and queries of the Conversations API, and the one translation of pydantic's complaints."""

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from harness.api.conversations import (
    CreateConversation,
    CreateItems,
    UpdateConversation,
    check_conversation_id,
    conversation_object,
    deleted_conversation,
    refuse_unkept,
)
from harness.api.listing import ListQuery, list_body, paginate, parse_include_query, parse_list_query
from harness.api.validation import is_id, parse
from harness.errors import InvalidRequest


def refused(model: type[BaseModel], value: Any, prefix: str = "") -> tuple[str | None, str | None, str]:
    with pytest.raises(InvalidRequest) as caught:
        parse(model, value, prefix)
    return caught.value.code, caught.value.param, caught.value.message


def test_a_conversation_may_bring_nothing_or_all_that_is_allowed() -> None:
    metadata = {f"{n:064}": "v" * 512 for n in range(16)}

    assert parse(CreateConversation, {}).metadata is None
    assert parse(CreateConversation, {"metadata": None, "items": None}).items is None
    assert parse(CreateConversation, {"metadata": metadata, "items": [{}] * 20}).metadata == metadata
    assert parse(UpdateConversation, {"metadata": None}).metadata is None


@pytest.mark.parametrize(
    ("model", "body", "code", "param"),
    [
        (CreateConversation, {"meta": {}}, "unknown_parameter", "meta"),
        (CreateConversation, {"metadata": []}, "invalid_type", "metadata"),
        (CreateConversation, {"metadata": {"a": 1}}, "invalid_type", "metadata.a"),
        (CreateConversation, {"metadata": {"a": None}}, "invalid_type", "metadata.a"),
        (CreateConversation, {"metadata": {"a": "v" * 513}}, "string_above_max_length", "metadata.a"),
        (CreateConversation, {"metadata": {"k" * 65: ""}}, "string_above_max_length", f"metadata.{'k' * 64}…"),
        (CreateConversation, {"metadata": {"a": "\ud800"}}, "invalid_value", "metadata.a"),
        (
            CreateConversation,
            {"metadata": {str(n): "" for n in range(17)}},
            "object_above_max_properties",
            "metadata",
        ),
        (CreateConversation, {"items": [{}] * 21}, "array_above_max_length", "items"),
        (CreateConversation, {"items": "Hi"}, "invalid_type", "items"),
        (UpdateConversation, {}, "missing_required_parameter", "metadata"),
        (CreateItems, {}, "missing_required_parameter", "items"),
        (CreateItems, {"items": None}, "invalid_type", "items"),
        (CreateItems, {"items": [], "conversation": "x"}, "unknown_parameter", "conversation"),
    ],
)
def test_a_body_that_is_not_allowed_is_refused(
    model: type[BaseModel], body: dict[str, Any], code: str, param: str
) -> None:
    assert refused(model, body)[:2] == (code, param)


def test_limits_are_said_in_the_words_of_the_api() -> None:
    assert refused(CreateItems, {"items": [0] * 21})[2] == (
        "Invalid 'items': array too long. Expected an array with maximum length 20, "
        "but got an array with length 21 instead."
    )
    assert refused(UpdateConversation, {"metadata": {"a": 7}})[2] == (
        "Invalid type for 'metadata.a': expected a string, but got an integer instead."
    )
    assert refused(ListQuery, {"limit": "101"})[2] == (
        "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead."
    )


class _Tool(BaseModel):
    name: Annotated[str, Field(min_length=1)]


class _Request(BaseModel):
    input: str | list[_Tool]
    temperature: Annotated[float, Field(le=2)] = 1
    choice: bool | _Tool | None = None


def test_of_a_union_the_member_speaks_that_was_meant() -> None:
    assert refused(_Request, {"input": [{"name": 1}]}, "body")[:2] == ("invalid_type", "body.input[0].name")
    assert refused(_Request, {"input": [{}]})[:2] == ("missing_required_parameter", "input[0].name")
    assert refused(_Request, {"input": [{"name": ""}]})[:2] == ("empty_string", "input[0].name")
    assert refused(_Request, {"input": 1})[2] == (
        "Invalid type for 'input': expected one of a string or an array, but got an integer instead."
    )
    assert refused(_Request, {"input": "", "temperature": 3.5})[:2] == ("decimal_above_max_value", "temperature")
    assert refused(_Request, {"input": "", "choice": {}})[:2] == ("missing_required_parameter", "choice.name")
    assert refused(_Request, [])[:2] == ("invalid_type", None)


def test_queries_of_lists() -> None:
    assert parse_list_query([]) == ListQuery(after=None, limit=20, order="desc", include=[])
    query = parse_list_query(
        [
            ("limit", "5"),
            ("order", "asc"),
            ("after", "msg_1"),
            ("include[]", "message.input_image.image_url"),
            ("include", "reasoning.encrypted_content,code_interpreter_call.outputs"),
            ("unknown", "x"),
        ]
    )

    assert (query.limit, query.order, query.after) == (5, "asc", "msg_1")
    assert query.include == [
        "message.input_image.image_url",
        "reasoning.encrypted_content",
        "code_interpreter_call.outputs",
    ]


@pytest.mark.parametrize(
    ("name", "value", "code", "param"),
    [
        ("limit", "0", "integer_below_min_value", "limit"),
        ("limit", "101", "integer_above_max_value", "limit"),
        ("limit", "many", "invalid_type", "limit"),
        ("limit", "9" * 5000, "invalid_type", "limit"),
        ("order", "up", "invalid_value", "order"),
        ("include", "everything", "invalid_value", "include[0]"),
    ],
)
def test_a_query_that_is_not_allowed_is_refused(name: str, value: str, code: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_list_query([(name, value)])

    assert (caught.value.code, caught.value.param) == (code, param)


def test_the_query_of_one_item_is_checked_too() -> None:
    assert parse_include_query([("limit", "0")]).include == []
    with pytest.raises(InvalidRequest):
        parse_include_query([("include[]", "everything")])


@given(st.integers(0, 12), st.integers(1, 5), st.sampled_from(["asc", "desc"]))
def test_pages_put_together_are_the_list(count: int, limit: int, order: Any) -> None:
    items = [{"id": f"msg_{n}"} for n in range(count)]
    seen: list[dict[str, Any]] = []
    page = paginate(items, None, limit, order)
    while page.has_more:
        seen += page.items
        page = paginate(items, seen[-1]["id"], limit, order)

    assert [*seen, *page.items] == (items if order == "asc" else items[::-1])


def test_a_page_after_an_unknown_item_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        paginate([{"id": "msg_1"}], "msg_2")

    assert (caught.value.param, caught.value.http_status) == ("after", 400)


def test_bodies_of_answers() -> None:
    assert conversation_object("conv_1", 7) == {
        "id": "conv_1",
        "object": "conversation",
        "created_at": 7,
        "metadata": {},
    }
    assert deleted_conversation("conv_1") == {"id": "conv_1", "object": "conversation.deleted", "deleted": True}
    assert list_body([]) == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}
    pair = [{"id": "a"}, {"id": "b"}]
    assert list_body(pair, has_more=True) == {
        "object": "list",
        "data": pair,
        "first_id": "a",
        "last_id": "b",
        "has_more": True,
    }


def test_ids_are_looked_at_before_anyone_is_asked() -> None:
    assert check_conversation_id("conv_1") == "conv_1"
    with pytest.raises(InvalidRequest, match="Expected an ID that begins with 'conv'") as caught:
        check_conversation_id("abc", "conversation")
    assert (caught.value.code, caught.value.param) == ("invalid_id_prefix", "conversation")

    assert is_id("msg_1")
    assert not any(map(is_id, ["", "a b", "a\n", "é", "\ud800", "\x00", "a" * 257]))


@pytest.mark.parametrize("other", [{"type": "item_reference", "id": "msg_2"}, {"type": "compaction_trigger"}])
def test_what_no_conversation_keeps_is_refused_by_place(other: dict[str, Any]) -> None:
    message = {"type": "message", "id": "msg_1"}

    assert refuse_unkept([message]) == [message]
    with pytest.raises(InvalidRequest) as caught:
        refuse_unkept([message, other])
    assert (caught.value.code, caught.value.param) == ("invalid_value", "items[1]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from([CreateConversation, UpdateConversation, CreateItems, _Request]), JSON)
def test_any_json_is_parsed_or_refused(model: type[BaseModel], value: Any) -> None:
    for body in (value, {"metadata": value}, {"items": value}, {"input": value, "choice": value}):
        try:
            parse(model, body)
        except InvalidRequest as error:
            assert error.code
