"""Secrets go, and nothing else does."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.redact import PLACEHOLDER, redact

LAW = settings(max_examples=100, deadline=None)

keys = st.text("abcXYZ019_-", min_size=20, max_size=40).map("sk-{}".format)
tokens = st.text("abcXYZ019._~+/-", min_size=20, max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc -", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=4), inner, max_size=3),
    max_leaves=6,
)


@LAW
@given(keys, tokens)
def test_keys_go_wherever_they_stand(secret: str, token: str) -> None:
    value = {"messages": [{"content": f"use {secret}, please"}], secret: [f"Authorization: Bearer {token}"], "n": 1}

    redacted = redact(value)

    assert redacted == {
        "messages": [{"content": f"use {PLACEHOLDER}, please"}],
        PLACEHOLDER: [f"Authorization: Bearer {PLACEHOLDER}"],
        "n": 1,
    }
    assert redact(redacted) is redacted


@LAW
@given(values)
def test_a_value_without_secrets_comes_back_as_it_is(value: Any) -> None:
    before = json.dumps(value)

    assert redact(value, ["upstream-key-1"]) is value
    assert json.dumps(value) == before


@LAW
@given(st.lists(st.text("abcd", min_size=8, max_size=16), min_size=1, max_size=3))
def test_known_secrets_go_whatever_they_look_like(known: list[str]) -> None:
    text = json.dumps(redact({"a": [f"<{secret}>" for secret in known]}, known))

    assert json.loads(text) == {"a": [f"<{PLACEHOLDER}>"] * len(known)}


def test_a_known_secret_that_is_part_of_another_leaves_no_rest_of_it() -> None:
    assert redact("the key: abcdefgh-and-more", ["abcdefgh", "abcdefgh-and-more"]) == f"the key: {PLACEHOLDER}"


def test_the_value_that_is_given_is_not_changed() -> None:
    value = {"a": ["Bearer 0123456789abcdefghij"]}

    redact(value)

    assert value == {"a": ["Bearer 0123456789abcdefghij"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-short",
        "a risk-averse-and-task-oriented-approach",
        "Bearer of bad news",
        "the bearer 0123",
        "Bearer [redacted]",
        "password: hunter2",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text, ["", "short"]) == text
