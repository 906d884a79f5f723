"""The fingerprint: what it sets aside, rule by rule, and what it must never set aside."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import SettingsError
from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.model import Request
from harness.recording.rules import ignoring, replacing

LAW = settings(deadline=None)
CHAT = "/v1/chat/completions"

texts = st.text(max_size=8)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4
)
calls = st.fixed_dictionaries(
    {"id": st.sampled_from(["call_a", "call_b", "call_c", "call_0", "call_1"])},
    optional={"type": st.just("function"), "function": st.fixed_dictionaries({"name": texts, "arguments": texts})},
)
parts = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": texts}), max_size=2)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"])},
    optional={
        "content": st.none() | texts | parts,
        "tool_calls": st.lists(calls, max_size=2),
        "tool_call_id": st.sampled_from(["call_a", "call_b", "call_1"]),
        "name": st.none() | texts,
    },
)
tools = st.fixed_dictionaries(
    {"type": st.just("function")},
    optional={"function": st.fixed_dictionaries({"name": texts}, optional={"parameters": values})},
)
bodies = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["gpt-4o", "openai/gpt-4o", "meta/llama", "m"]),
        "messages": st.lists(messages, max_size=3),
    },
    optional={
        "n": st.sampled_from([None, 1, 2]),
        "stream": st.booleans(),
        "stream_options": values,
        "max_tokens": st.none() | st.integers(1, 9),
        "max_completion_tokens": st.none() | st.integers(1, 9),
        "temperature": st.none() | st.integers(0, 2) | st.floats(0, 2),
        "tools": st.lists(tools, max_size=2),
        "user": texts,
        "extra_body": st.dictionaries(st.sampled_from(["top_k", "min_p"]), values, max_size=2),
        "x": values,
    },
)


def fingerprint(body: Any, path: str = CHAT, **options: Any) -> str:
    return Canonicalizer(**options).fingerprint(Request("POST", path, body))


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], **fields}


def shuffled(value: Any, chance: Any) -> Any:
    """The same JSON with the keys of every object in another order."""
    if isinstance(value, dict):
        pairs = [(name, shuffled(item, chance)) for name, item in value.items()]
        chance.shuffle(pairs)
        return dict(pairs)
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


@LAW
@given(bodies)
def test_the_canonical_request_is_canonical_and_the_request_stays_as_it_was(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    canonicalizer = Canonicalizer()

    once = canonicalizer.canonical(Request("POST", CHAT, body))

    assert body == before
    assert canonicalizer.canonical(Request("POST", CHAT, once["body"])) == once


@LAW
@given(bodies, st.randoms(use_true_random=False))
def test_the_order_of_keys_says_nothing(body: dict[str, Any], chance: Any) -> None:
    assert fingerprint(shuffled(body, chance)) == fingerprint(body)


@LAW
@given(bodies, texts.filter(lambda name: name != "extra_body"))
def test_null_is_absent(body: dict[str, Any], name: str) -> None:
    absent = {key: value for key, value in body.items() if key != name}
    message = {"role": "user", "content": "Hi"}

    assert fingerprint({**absent, name: None}) == fingerprint(absent)
    assert fingerprint({**body, "messages": [{**message, "name": None}]}) == fingerprint(
        {**body, "messages": [message]}
    )


@LAW
@given(bodies, st.sampled_from(["user", "metadata", "store", "safety_identifier", "prompt_cache_key"]), values)
def test_what_no_model_reads_says_nothing(body: dict[str, Any], name: str, value: Any) -> None:
    without = {key: item for key, item in body.items() if key != name}

    assert fingerprint({**body, name: value}) == fingerprint(without)


@LAW
@given(bodies, st.booleans(), values)
def test_a_stream_and_a_whole_ask_the_same(body: dict[str, Any], stream: bool, options: Any) -> None:
    without = {key: item for key, item in body.items() if key not in ("stream", "stream_options")}

    assert fingerprint({**body, "stream": stream, "stream_options": options}) == fingerprint(without)


def test_elsewhere_a_stream_is_another_answer() -> None:
    assert fingerprint({"stream": True}, "/v1/messages") != fingerprint({"stream": False}, "/v1/messages")


@LAW
@given(bodies, texts)
def test_one_text_part_is_its_text(body: dict[str, Any], text: str) -> None:
    def saying(content: Any) -> dict[str, Any]:
        return {**body, "messages": [*body["messages"], {"role": "user", "content": content}]}

    part = {"type": "text", "text": text}
    assert fingerprint(saying([part])) == fingerprint(saying(text))
    assert fingerprint(saying([part, part])) != fingerprint(saying(text + text))
    assert fingerprint(saying([{**part, "cache_control": {"type": "ephemeral"}}])) != fingerprint(saying(text))


@LAW
@given(bodies)
def test_one_choice_is_what_one_gets(body: dict[str, Any]) -> None:
    without = {name: value for name, value in body.items() if name != "n"}

    assert fingerprint({**body, "n": 1}) == fingerprint(without)
    assert fingerprint({**body, "n": 2}) != fingerprint(without)


@LAW
@given(bodies)
def test_calls_are_parallel_unless_they_are_not(body: dict[str, Any]) -> None:
    without = {name: value for name, value in body.items() if name != "parallel_tool_calls"}

    assert fingerprint({**body, "parallel_tool_calls": True}) == fingerprint(without)
    assert fingerprint({**body, "parallel_tool_calls": False}) != fingerprint(without)


def test_numbers_are_what_an_embedding_is_made_of_unless_it_is_packed() -> None:
    asked, packed = (
        Request("POST", "/v1/embeddings", {"model": "m", "input": "Hi"} | form)
        for form in ({}, {"encoding_format": "base64"})
    )
    said = Request("POST", "/v1/embeddings", {"model": "m", "input": "Hi", "encoding_format": "float"})
    assert Canonicalizer().fingerprint(said) == Canonicalizer().fingerprint(asked)
    assert Canonicalizer().fingerprint(packed) != Canonicalizer().fingerprint(asked)


@LAW
@given(bodies, st.integers(1, 9))
def test_both_names_of_the_limit_are_one(body: dict[str, Any], limit: int) -> None:
    names = ("max_tokens", "max_completion_tokens")
    without = {name: value for name, value in body.items() if name not in names}

    assert fingerprint({**without, "max_tokens": limit}) == fingerprint({**without, "max_completion_tokens": limit})
    assert fingerprint({**without, "max_tokens": limit}) != fingerprint(without)
    assert fingerprint({**without, "max_tokens": limit}) != fingerprint({**without, "max_tokens": limit + 1})


def conversation(first: str, second: str, answered: str) -> dict[str, Any]:
    called = [
        {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in (first, second)
    ]
    asked = {"role": "assistant", "content": None, "tool_calls": called}
    return chat(messages=[asked, {"role": "tool", "tool_call_id": answered, "content": "4"}])


@LAW
@given(st.lists(st.text(min_size=1, max_size=8), min_size=4, max_size=4, unique=True))
def test_ids_of_tool_calls_are_names_and_no_more(ids: list[str]) -> None:
    a, b, c, d = ids

    assert fingerprint(conversation(a, b, b)) == fingerprint(conversation(c, d, d))
    assert fingerprint(conversation(a, b, a)) == fingerprint(conversation(b, a, b))
    assert fingerprint(conversation(a, b, a)) != fingerprint(conversation(a, b, b))


@LAW
@given(st.sampled_from(["gpt-4o", "llama/3", "m"]), st.sampled_from(["openai", "near"]))
def test_the_prefix_of_a_configured_upstream_is_not_part_of_the_model(model: str, name: str) -> None:
    upstreams = ("openai", "near")

    assert fingerprint(chat(model=f"{name}/{model}"), upstreams=upstreams) == fingerprint(chat(model=model))
    assert fingerprint(chat(model=f"far/{model}"), upstreams=upstreams) != fingerprint(chat(model=model))


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/v1/models", "/v1/models"),
        ("/health", "/health"),
    ],
)
def test_the_endpoint_is_the_path_below_the_version(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint
    assert fingerprint(chat(), path) == fingerprint(chat(), endpoint)


@pytest.mark.parametrize(
    "pair",
    [
        (chat(temperature=0), chat(temperature=0.0)),
        (chat(logit_bias={"50256": -100.0}), chat(logit_bias={"50256": -100})),
        (chat(extra_body={"top_k": 3}), chat(top_k=3)),
        (
            chat(tools=[{"type": "function", "function": {"type": "function", "name": "f"}}]),
            chat(tools=[{"type": "function", "function": {"name": "f"}}]),
        ),
    ],
)
def test_two_ways_to_write_it_are_one_request(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert fingerprint(pair[0]) == fingerprint(pair[1])


@LAW
@given(st.floats(0, 2), st.floats(0, 2), st.sampled_from(["temperature", "top_p", "presence_penalty"]))
def test_sampling_numbers_are_not_rounded(one: float, other: float, name: str) -> None:
    assert (fingerprint(chat(**{name: one})) == fingerprint(chat(**{name: other}))) == (one == other)


@LAW
@given(texts, texts)
def test_text_is_not_trimmed_nor_folded(one: str, other: str) -> None:
    def saying(text: str) -> str:
        return fingerprint(chat(messages=[{"role": "user", "content": text}]))

    assert (saying(one) == saying(other)) == (one == other)
    assert len({saying(text) for text in (f"a{one}b", f"a{one}b ", f" a{one}b", f"a{one}b\n")}) == 4


def schema(value: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": ["string", "null"], "default": value}}}


def function(parameters: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": "f", "parameters": parameters}}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (chat(temperature=1), chat()),
        (chat(top_p=1), chat()),
        (chat(tool_choice="auto"), chat()),
        (chat(parallel_tool_calls=False), chat()),
        (chat(tools=[]), chat()),
        (chat(stop=[]), chat()),
        (chat(seed=0), chat(seed=False)),
        (chat(model="gpt-4o-2024-08-06"), chat()),
        (
            chat(messages=[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]),
            chat(messages=[{"role": "user", "content": "b"}, {"role": "user", "content": "a"}]),
        ),
        (chat(messages=[{"role": "system", "content": "a"}]), chat(messages=[{"role": "user", "content": "a"}])),
        (chat(messages=[{"role": "user", "content": ""}]), chat(messages=[{"role": "user"}])),
        (
            chat(tools=function(schema(None))),
            chat(tools=function({**schema(0), "properties": {"a": {"type": ["string", "null"]}}})),
        ),
        (
            chat(
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "s", "schema": {"enum": [None], "const": None}},
                }
            ),
            chat(response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": {"enum": [None]}}}),
        ),
        (chat(tools=function({}) + function({"a": 1})), chat(tools=function({"a": 1}) + function({}))),
    ],
)
def test_what_may_change_the_answer_changes_the_fingerprint(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_method_and_endpoint_count_and_the_scope_does_not() -> None:
    def of(method: str, path: str, scope: str | None) -> str:
        return Canonicalizer().fingerprint(Request(method, path, chat(), scope))

    assert of("POST", CHAT, "a") == of("POST", CHAT, None)
    assert of("POST", CHAT, None) != of("GET", CHAT, None)
    assert of("POST", CHAT, None) != of("POST", "/v1/completions", None)


@given(values)
def test_any_body_has_a_fingerprint(body: Any) -> None:
    assert len(fingerprint(body)) == 64
    assert len(fingerprint({"messages": body, "tools": body, "model": body, "extra_body": body})) == 64


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        ("seed", chat(seed=1), chat()),
        ("$.seed", chat(seed=1), chat()),
        ("extra.run", chat(extra={"run": 1, "k": 2}), chat(extra={"k": 2})),
        (
            "messages[*].name",
            chat(messages=[{"role": "user", "name": "a"}, {"role": "user"}]),
            chat(messages=[{"role": "user"}] * 2),
        ),
        (
            "messages[0]",
            chat(messages=[{"role": "system"}, {"role": "user"}]),
            chat(messages=[{"role": "tool"}, {"role": "user"}]),
        ),
        ("tags[*]", chat(tags=["a", "b", "c"]), chat(tags=[])),
        ("$.x-trace", chat(**{"x-trace": 1}), chat()),
    ],
)
def test_a_user_may_ignore_a_path(path: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one, rules=[ignoring(path)]) == fingerprint(other, rules=[ignoring(path)])


@pytest.mark.parametrize("path", ["messages[9].content", "nothing.here", "model.x", "messages.content", "model[0]"])
def test_a_path_that_is_not_there_ignores_nothing(path: str) -> None:
    assert fingerprint(chat(), rules=[ignoring(path)]) == fingerprint(chat())


@pytest.mark.parametrize("path", ["", "$", "a b", "messages[", "messages[-1]", "a[?(@.x)]", "..", "a[b]"])
def test_a_path_that_is_none_is_an_error_that_says_what_to_write(path: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ignoring(path)

    assert repr(path) in caught.value.message
    assert "messages[*].name" in caught.value.hint


def test_a_user_may_replace_what_a_pattern_finds() -> None:
    rules = [replacing(r"\d{4}-\d\d-\d\d", r"\1<date>")]

    def saying(day: str) -> dict[str, Any]:
        return chat(messages=[{"role": "user", "content": f"Today is {day}."}], tags=[day])

    one, other = saying("2025-01-02"), saying("2026-11-22")
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one, rules=rules) == fingerprint(other, rules=rules)
    canonical = Canonicalizer(rules=rules).canonical(Request("POST", CHAT, one))
    assert canonical["body"]["tags"] == [r"\1<date>"]
    assert one == saying("2025-01-02")


def test_a_pattern_that_is_none_is_an_error_that_names_it() -> None:
    with pytest.raises(SettingsError, match=r"'\(' is not a regular expression"):
        replacing("(", "")


def test_no_content_beside_a_call_is_none_however_it_is_written() -> None:
    call = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    def saying(**content: Any) -> str:
        return fingerprint(chat(messages=[{"role": "assistant", "tool_calls": [call], **content}]))

    assert saying(content="") == saying(content=None) == saying()
    assert saying(content="Let me see.") != saying()
    assert saying(tool_calls=[{**call, "index": 0}]) == saying()
    assert fingerprint(chat(messages=[{"role": "user", "content": ""}])) != fingerprint(
        chat(messages=[{"role": "user"}])
    )


def test_what_a_schema_says_of_itself_does_not_matter_and_what_it_asks_for_does() -> None:
    def asked(**schema: Any) -> str:
        wanted = {"type": "json_schema", "json_schema": {"name": "N", "schema": {"type": "object"}} | schema}
        body = {"model": "m", "messages": [], "response_format": wanted}
        return Canonicalizer().fingerprint(Request("POST", "/v1/chat/completions", body))

    assert asked() == asked(strict=True, description="A person.") == asked(strict=False)
    assert asked() != asked(schema={"type": "array"})
    assert asked() != asked(name="M")


def test_calls_at_once_are_told_like_calls_one_by_one() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}

    def asked(*messages: dict[str, Any]) -> str:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}, *messages]}
        return Canonicalizer().fingerprint(Request("POST", "/v1/chat/completions", body))

    def calling(*names: str) -> dict[str, Any]:
        return {"role": "assistant", "content": None, "tool_calls": [call(name) for name in names]}

    def told(name: str) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": name, "content": name}

    apart = asked(calling("a"), told("a"), calling("b"), told("b"))
    assert asked(calling("a", "b"), told("a"), told("b")) == apart
    assert asked(calling("b", "a"), told("b"), told("a")) != apart
    assert asked(calling("a", "b"), told("a")) != asked(calling("a"), told("a"))
