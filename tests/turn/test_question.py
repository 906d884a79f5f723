"""Parameters of a response to the body of a chat completion: what is absent stays absent."""

from typing import Any

import pytest

from harness.api.create_response import parse_create
from harness.api.responses import response_object
from harness.turn.question import chat_body
from tests.turn.script import HI

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FUNCTION = {"type": "function", "name": "f", "description": None, "parameters": SCHEMA, "strict": None}
CHAT_FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: NUMBER"}


def body(**wanted: Any) -> dict[str, Any]:
    """What a request's parameters add to the body."""
    asked = chat_body(parse_create({"model": "m", "input": "Hi"} | wanted), [HI])
    fixed = {"model", "messages", "stream", "stream_options"}
    return {name: value for name, value in asked.items() if name not in fixed}


def shown(**wanted: Any) -> dict[str, Any]:
    request = parse_create({"model": "m", "input": "Hi"} | wanted)
    return response_object(request, response_id="resp_1", created_at=0, conversation_id=None)


def test_a_bare_request_is_a_bare_question() -> None:
    assert chat_body(parse_create({"model": "m", "input": "Hi"}), [HI]) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0},
        {"top_p": 0.5},
        {"presence_penalty": 1},
        {"frequency_penalty": -1.5},
        {"service_tier": "flex"},
        {"prompt_cache_key": "k"},
        {"prompt_cache_retention": "24h"},
        {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
        {"prompt_cache_options": {}},
        {"safety_identifier": "s"},
        {"user": "u"},
        {"seed": 1},
        {"stop": ["."]},
        {"top_k": 1},
        {"min_p": 0.1},
        {"logit_bias": {"1": 5}},
    ],
)
def test_what_both_apis_name_alike_is_handed_on_as_it_is(given: dict[str, Any]) -> None:
    assert body(**given) == given


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_output_tokens": 16}, {"max_completion_tokens": 16}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {}}, {}),
        ({"prompt_cache_options": {"ttl": "30m", "prewarm": False}}, {"prompt_cache_options": {"ttl": "30m"}}),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": None}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
        ),
        ({"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}, {}),
        ({"instructions": None, "metadata": {"a": "b"}, "store": False, "truncation": "disabled"}, {}),
        ({"max_tool_calls": 3, "background": False, "stream": True, "stream_options": {}}, {}),
        ({"tools": [FUNCTION]}, {"tools": [CHAT_FUNCTION]}),
        (
            {"tools": [FUNCTION], "tool_choice": "required", "parallel_tool_calls": False},
            {"tools": [CHAT_FUNCTION], "tool_choice": "required", "parallel_tool_calls": False},
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}},
            {"tools": [CHAT_FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        (
            {"tools": [{"type": "custom", "name": "c"}], "tool_choice": {"type": "custom", "name": "c"}},
            {
                "tools": [{"type": "custom", "custom": {"name": "c"}}],
                "tool_choice": {"type": "custom", "custom": {"name": "c"}},
            },
        ),
        (
            {"tools": [{"type": "custom", "name": "c", "description": "d", "format": GRAMMAR}]},
            {
                "tools": [
                    {
                        "type": "custom",
                        "custom": {
                            "name": "c",
                            "description": "d",
                            "format": {
                                "type": "grammar",
                                "grammar": {"syntax": "lark", "definition": "start: NUMBER"},
                            },
                        },
                    }
                ]
            },
        ),
        (
            {
                "tools": [FUNCTION],
                "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]},
            },
            {
                "tools": [CHAT_FUNCTION],
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
                },
            },
        ),
    ],
)
def test_what_a_chat_completion_calls_otherwise_is_translated(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body(**given) == expected


def test_a_request_that_is_full_of_nulls_is_a_bare_one() -> None:
    names = parse_create({"model": "m", "input": "Hi"}).model_dump().keys() - {"model", "input"}

    assert body(**dict.fromkeys(names)) == {}


def test_instructions_are_the_system() -> None:
    asked = chat_body(parse_create({"model": "m", "input": "Hi", "instructions": "Be brief."}), [HI])

    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"tools": [], "tool_choice": "auto", "text": {"format": {"type": "text"}}, "truncation": "disabled"}),
        ({}, {"reasoning": {"effort": None, "summary": None}, "service_tier": "default", "metadata": {}}),
        (
            {"tools": [{"type": "function", "name": "f"}]},
            {"tools": [{"type": "function", "name": "f", "description": None, "parameters": None, "strict": True}]},
        ),
        (
            {"tools": [{"type": "custom", "name": "c", "description": None}]},
            {"tools": [{"type": "custom", "name": "c", "format": {"type": "text"}}]},
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}, "verbosity": "low"}},
            {
                "text": {
                    "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": False},
                    "verbosity": "low",
                }
            },
        ),
        ({"reasoning": {"effort": "low"}}, {"reasoning": {"effort": "low", "summary": None}}),
        ({"service_tier": "auto", "max_tool_calls": 2}, {"service_tier": "auto", "max_tool_calls": 2}),
        ({"prompt_cache_options": {"ttl": None}}, {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}}),
        ({"user": "u", "metadata": {"a": "b"}}, {"user": "u", "metadata": {"a": "b"}}),
    ],
)
def test_a_response_shows_what_was_asked_for(given: dict[str, Any], expected: dict[str, Any]) -> None:
    response = shown(**given)

    assert {name: response[name] for name in expected} == expected


def test_a_forced_call_leaves_no_text_to_format() -> None:
    tool = {"type": "function", "name": "f", "parameters": {}}
    wire_format = {"type": "json_schema", "name": "n", "schema": {}}
    asked = {"tools": [tool], "text": {"format": wire_format}}

    assert "response_format" in body(**asked)
    assert "response_format" not in body(**asked, tool_choice={"type": "function", "name": "f"})


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        ({"extra_body": {"repetition_penalty": 1.1, "grammar": None}}, {"repetition_penalty": 1.1, "grammar": None}),
        ({"repetition_penalty": 1.1, "mine": [{}]}, {"repetition_penalty": 1.1, "mine": [{}]}),
        ({"mine": 1, "extra_body": {"mine": 2, "other": 3}}, {"mine": 2, "other": 3}),
        ({"extra_body": None, "mine": None}, {"mine": None}),
        ({"extra_body": {"temperature": 3}, "temperature": 1}, {"temperature": 3}),
    ],
)
def test_what_an_upstream_has_of_its_own_is_handed_on_as_it_is(
    given: dict[str, Any], handed_on: dict[str, Any]
) -> None:
    wanted = parse_create({"model": "m", "input": "Hi"} | given, ["repetition_penalty", "mine", "model", "background"])
    asked = chat_body(wanted, [HI])
    assert {name: asked[name] for name in asked.keys() - KEYS} == handed_on


KEYS = {"model", "messages", "stream", "stream_options"}
