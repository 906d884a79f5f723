"""Ids that upstreams make: found where they stand, named by the key, turned back; texts stay as they are."""

import copy
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording import ids as recording_ids
from harness.recording.ids import (
    AnswerIds,
    completion_id,
    key_beginning,
    kind_of,
    made_id,
    quoted,
    turned_back,
    turned_back_in_url,
)

LAW = settings(max_examples=80, deadline=None)
KEY, OTHER = "a1" * 32, "b2" * 32

KINDS = ("resp_", "conv_", "msg_", "file-", "file_", "vs_", "call_", "batch_req_", "zork_", "uuid", "")
HEX = st.integers(16**23, 16**24 - 1).map(lambda number: f"{number:x}")


def upstreams_id(kind: str, random: str) -> str:
    if kind == "a number":
        return str(int(random, 16) % 10**9)
    return str(uuid.UUID(random.zfill(32))) if kind == "uuid" else f"{kind}{random[:-1]}7"


class Slot(str):
    """A place in an answer that holds the id of this number, ``{3}`` as a word of a longer string."""

    __slots__ = ()


NUMBERS = st.integers(0, 7)
slots = NUMBERS.map(lambda number: Slot(f"{{{number}}}"))
quoting = st.builds("see /v1/files/{}, {!r}.".format, slots, slots).map(Slot)
named_ids = st.dictionaries(st.sampled_from(["id", "response_id", "call_id", "first_id", "conversation"]), slots)
others = st.dictionaries(
    st.sampled_from(["object", "url", "status", "message", "value", "metadata"]),
    st.none() | st.integers() | st.text(alphabet="ab c", max_size=4) | quoting,
)
texts = st.dictionaries(st.sampled_from(["text", "arguments", "delta", "instructions"]), quoting)
objects = st.recursive(
    st.builds(lambda *parts: {key: item for part in parts for key, item in part.items()}, others, named_ids, texts),
    lambda inner: st.builds(
        lambda holder, name, items: {**holder, name: items},
        inner,
        st.sampled_from(["data", "output", "content", "tool_calls", "metadata"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)
made = st.tuples(st.sampled_from(KINDS), st.sampled_from([KEY, OTHER]), st.integers(1, 300), st.integers(1, 300))
runs = st.lists(HEX, min_size=8, max_size=8, unique=True)


def filled(value: Any, ids: Sequence[str], *, in_texts: Sequence[str] | None = None, name: str = "") -> Any:
    """An answer with ids in its slots; ``in_texts`` are those that texts quote."""
    if isinstance(value, Slot):
        chosen = in_texts if in_texts is not None and name in ("text", "arguments", "delta", "instructions") else ids
        return str(value).format(*chosen)
    if isinstance(value, dict):
        return {field: filled(item, ids, in_texts=in_texts, name=field) for field, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids, in_texts=in_texts, name=name) for item in value]
    return value


def of_kinds(randoms: Sequence[str]) -> list[str]:
    return [upstreams_id((*KINDS[:6], "a number", "uuid")[at], random) for at, random in enumerate(randoms)]


@LAW
@given(objects, runs)
def test_turning_back_what_was_normalized_is_the_identity(answer: dict[str, Any], randoms: list[str]) -> None:
    said = filled(answer, of_kinds(randoms))
    before = copy.deepcopy(said)
    back: dict[str, str] = {}

    normalized = AnswerIds(KEY, {}, back).renamed(said)

    assert said == before
    assert turned_back(normalized, back.get) == before


@LAW
@given(objects, runs, runs)
def test_two_runs_of_an_upstream_differ_in_their_texts_alone(
    answer: dict[str, Any], one: list[str], other: list[str]
) -> None:
    first, second = of_kinds(one), of_kinds(other)
    known = {text for item in (filled(answer, first), filled(answer, second)) for text in _ids_of(item)}
    # What a string merely mentions is known only when it is the id of something, and looks like one.
    unknown = [text for text in (*first, *second) if text not in known or kind_of(text) is None]

    outcomes = [json.dumps(AnswerIds(KEY).renamed(filled(answer, ids, in_texts=first))) for ids in (first, second)]

    for text in unknown:
        outcomes = [outcome.replace(text, "unknown") for outcome in outcomes]
    assert outcomes[0] == outcomes[1]


def _ids_of(value: Any) -> list[str]:
    return [found.id for found in recording_ids.given(value)]


@settings(max_examples=40, deadline=None)
@given(st.lists(objects, min_size=1, max_size=3), runs)
def test_a_stream_says_the_same_ids_as_a_whole(answers: list[dict[str, Any]], randoms: list[str]) -> None:
    # One that does not look like an id is known to be one from the first call of that name on.
    ids = [text if kind_of(text) is not None else f"msg_{text}" for text in of_kinds(randoms)]
    chunks = [filled(answer, ids) for answer in answers]
    pieces, whole = AnswerIds(KEY), AnswerIds(KEY)
    streamed = [pieces.renamed(chunk) for chunk in chunks]

    together = whole.renamed(chunks)

    assert [_ids_of(chunk) for chunk in streamed] == [_ids_of(chunk) for chunk in together]


@LAW
@given(made, made)
def test_no_two_ids_are_the_same_and_each_leads_to_its_recording(
    one: tuple[str, str, int, int], other: tuple[str, str, int, int]
) -> None:
    assert (made_id(*one) == made_id(*other)) == (one == other)
    beginning = key_beginning(made_id(*one))
    assert beginning
    assert len(beginning) >= 12
    assert one[1].startswith(beginning)
    assert kind_of(made_id(*one)) == one[0]


def test_an_id_of_a_completion_leads_to_its_recording() -> None:
    second = made_id("rec-", KEY, 2, 1)

    assert made_id("rec-", KEY, 1, 1) == completion_id(KEY) != second
    assert key_beginning(completion_id(KEY)) == key_beginning(second) == KEY[:12]


@pytest.mark.parametrize("text", [
    *("resp_1", "msg_000123", "rs_abcdefabcdef", "file-AbC1", "batch_req_x1", "chatcmpl-tool-9f", "toolu_01AbC"),
    *("tsk_0123456789abcdefXY", "0123456789abcdefABCD", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "123456789012345678"),
    *("f47ac10b-58cc-4372-a567-0e02b2c3d479", "zork-f47ac10b-58cc-4372-a567-0e02b2c3d479"),
])  # fmt: skip
def test_what_looks_like_an_id(text: str) -> None:
    assert kind_of(text) is not None


@pytest.mark.parametrize("text", [
    *("", "gpt-4o", "gpt-4o-2024-08-06", "text-embedding-3-small", "claude-sonnet-4-20250514", "file-search"),
    *("weather", "call_weather", "run_all", "get_current_weather", "Qwen2.5-7B-Instruct", "in_progress", "a b", "req"),
    *("http://h/v1/files/file-1", "%2F", "msg_", "internationalization", "ft:gpt-4o:org::9abcdef0123456789"),
])  # fmt: skip
def test_what_does_not(text: str) -> None:
    assert kind_of(text) is None


MADE = "file-" + "0a1b" * 4
NAMES: Mapping[str, str] = {MADE: "file-normalized"}


@pytest.mark.parametrize(("before", "after"), [
    ({"url": f"https://h/v1/files/{MADE}/content"}, {"url": "https://h/v1/files/file-normalized/content"}),
    ({"message": f"No such file: {MADE}."}, {"message": "No such file: file-normalized."}),
    ({"metadata": {"of": MADE}}, {"metadata": {"of": "file-normalized"}}),
    ({"filter": {"type": "eq", "value": MADE}}, {"filter": {"type": "eq", "value": "file-normalized"}}),
    ({"file_ids": [MADE, "x"]}, {"file_ids": ["file-normalized", "x"]}),
    *((same, same) for same in (
        {"text": MADE}, {"content": MADE}, {"content": [{"type": "text", "text": MADE}]}, {"arguments": MADE},
        {"delta": MADE}, {"input": [MADE]}, {"output": MADE}, {"name": MADE + "x"}, {"name": "my" + MADE},
    )),
])  # fmt: skip
def test_where_a_known_id_is_replaced(before: Any, after: Any) -> None:
    assert AnswerIds(KEY, dict(NAMES)).renamed(before) == after


@pytest.mark.parametrize("value", [
    {"object": "model", "id": "abcdef0123456789abcdef"}, {"type": "model", "id": "claude-0123456789abcdef"},
    {"object": "skill", "id": "pdf"}, {"next_page": "https://h/v1/x?page=2"}, {"custom_id": "request_0123456789abcdef"},
    {"metadata": {"id": MADE}}, {"tools": [{"parameters": {"properties": {"id": {"enum": [MADE]}}}}]},
    {"__text__": MADE}, {"__binary__": {"media_type": "a/b", "base64": "cmVzcF8xMjM0NTY3ODkwYWI="}},
])  # fmt: skip
def test_what_is_no_id_of_the_upstreams_making_stays(value: Any) -> None:
    assert AnswerIds(KEY).renamed(value) is value


def test_an_empty_id_and_calls_of_any_shape() -> None:
    ids = AnswerIds(KEY)
    calls = [{"id": "0", "index": 0}, {"id": "functions.f:1"}, {"id": ""}, {"id": None}]

    value = ids.renamed({"tool_calls": calls, "count": "0"})

    assert [call["id"] for call in value["tool_calls"]] == [
        made_id("call_", KEY, 1, 1), made_id("call_", KEY, 1, 2), "", None,
    ]  # fmt: skip
    assert value["count"] == "0"


@pytest.mark.parametrize("text", ["c:1", "V1StGXR8_Z5jdHi6B-myT", "42", "conv.7f3a"])
def test_what_an_upstream_keeps_may_be_called_anything(text: str) -> None:
    back: dict[str, str] = {}
    value = {"object": "list", "data": [{"object": "conversation", "id": text, "count": "42"}], "first_id": text}

    renamed = AnswerIds(KEY, {}, back).renamed(value)

    assert renamed["data"][0]["id"] == renamed["first_id"] != text
    assert renamed["data"][0]["count"] == "42"
    assert turned_back(renamed, back.get) == value


def test_a_completion_is_another_one_though_its_upstream_calls_it_the_same() -> None:
    names: dict[str, str] = {}
    back: dict[str, str] = {}

    made = [AnswerIds(key, names, back).completion("chatcmpl-1") for key in (KEY, OTHER)]
    shown = AnswerIds("c3" * 32, names, back, completes=False).completion("chatcmpl-1")

    assert made == [completion_id(KEY), completion_id(OTHER)]
    assert shown == made[1]


def test_a_cursor_is_quoted_like_an_id() -> None:
    back: dict[str, str] = {}

    renamed = AnswerIds(KEY, {}, back).renamed({"data": [], "next_page": "b3Blbg==+x"})

    assert renamed["next_page"] == made_id("cursor_", KEY, 1, 1)
    assert turned_back_in_url(f"page={renamed['next_page']}", back.get) == "page=b3Blbg%3D%3D%2Bx"


def test_urls_are_turned_back_word_by_word_and_encoded() -> None:
    back = {"file-n": "file/1 ä", "conv_n": "conv_1"}

    assert turned_back_in_url("/v1/files/file-n/content", back.get) == "/v1/files/file%2F1%20%C3%A4/content"
    assert (
        turned_back_in_url("after=conv_n&ids=a%2Cconv_n%2Cconv_nn", back.get) == "after=conv_1&ids=a%2Cconv_1%2Cconv_nn"
    )


def test_what_a_client_quotes() -> None:
    body = {"file_id": "file-1", "call_id": "x", "text": "file-2", "metadata": {"a": "see file-3"}, "model": "gpt-4o"}

    assert set(quoted(body)) == {"file-1", "x", "file-3"}
