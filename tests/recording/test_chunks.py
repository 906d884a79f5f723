"""The law of chunks: what is split comes back whole, whatever it is made of and however the stream is cut."""

import copy
import json
import random
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from harness.recording.chunks import aggregate, aggregate_text, is_usage_chunk, split

LAW = settings(deadline=None)

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
unknown = st.dictionaries(st.text(max_size=4).map("x_{}".format) | st.just("reasoning_content"), values, max_size=2)
texts = st.lists(st.sampled_from(["Hello", " world", "\n\n", "  ", "é", "🌧", "."]) | st.text(max_size=8), max_size=6)


@st.composite
def tokens(draw: st.DrawFn, text: str) -> list[dict[str, Any]]:
    """Log probabilities that spell a text out, character by character, or that do not."""
    spelled = list(text) if draw(st.booleans()) else draw(texts)
    return [{"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": [], **draw(unknown)} for token in spelled]


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    kind, field = draw(st.sampled_from([("function", "arguments"), ("custom", "input")]))
    inner = {"name": draw(st.text(max_size=5)), field: draw(st.text(max_size=40)), **draw(unknown)}
    return {"id": draw(st.text(min_size=1, max_size=8)), "type": kind, kind: inner, **draw(unknown)}


@st.composite
def choices(draw: st.DrawFn, index: int) -> dict[str, Any]:
    content, refusal = "".join(draw(texts)), "".join(draw(texts))
    message: dict[str, Any] = {"role": "assistant", **draw(unknown)}
    message["content"] = draw(st.sampled_from([None, content]))
    message |= draw(st.sampled_from([{}, {"refusal": None}, {"refusal": refusal}]))
    message |= draw(st.fixed_dictionaries({}, optional={"tool_calls": st.none() | st.lists(calls(), max_size=3)}))
    scored = st.none() | tokens(content)
    logprobs = st.none() | st.fixed_dictionaries(
        {}, optional={"content": scored, "refusal": st.none() | tokens(refusal)}
    )
    choice = {"index": index, "message": message, **draw(unknown)}
    choice |= draw(st.fixed_dictionaries({}, optional={"logprobs": logprobs}))
    reasons = st.sampled_from([None, "stop", "length", "tool_calls"])
    return choice | draw(st.fixed_dictionaries({}, optional={"finish_reason": reasons}))


@st.composite
def wholes(draw: st.DrawFn) -> dict[str, Any]:
    usage = st.none() | st.fixed_dictionaries({"total_tokens": st.integers(0, 9)}, optional={"x_details": unknown})
    return {
        "id": draw(st.text(max_size=8)),
        "object": "chat.completion",
        "created": draw(st.integers(0, 9)),
        "model": draw(st.text(max_size=8)),
        "choices": [draw(choices(index)) for index in range(draw(st.integers(0, 3)))],
        **draw(st.fixed_dictionaries({}, optional={"usage": usage})),
        **draw(unknown),
    }


def cut_finer(chunk: dict[str, Any], chance: random.Random) -> list[dict[str, Any]]:
    """One chunk as several: one for each piece of its first choice's text or arguments."""
    for choice in chunk["choices"][:1]:
        delta = choice.get("delta", {})
        for holder, name in [(delta, "content"), (delta, "refusal"), *_arguments(delta)]:
            text = holder.get(name)
            if isinstance(text, str) and len(text) > 1:
                at = chance.randrange(1, len(text))
                first = copy.deepcopy(chunk)
                _set(first, chunk, holder, name, text[:at])
                rest_delta: dict[str, Any] = {name: text[at:]}
                if holder is not delta:
                    kind = "function" if name == "arguments" else "custom"
                    rest_delta = {"tool_calls": [{"index": delta["tool_calls"][0]["index"], kind: rest_delta}]}
                return [first, {**_head(chunk), "choices": [{"index": choice["index"], "delta": rest_delta}]}]
    return [chunk]


def _arguments(delta: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    call = (delta.get("tool_calls") or [{}])[0]
    pairs = [(call.get("function"), "arguments"), (call.get("custom"), "input")]
    return [(holder, name) for holder, name in pairs if isinstance(holder, dict)]


def _set(copied: dict[str, Any], chunk: dict[str, Any], holder: dict[str, Any], name: str, text: str) -> None:
    delta = chunk["choices"][0]["delta"]
    target = copied["choices"][0]["delta"]
    if holder is not delta:
        target = target["tool_calls"][0]["function" if name == "arguments" else "custom"]
    target[name] = text


def _head(chunk: dict[str, Any]) -> dict[str, Any]:
    return {name: chunk[name] for name in ("id", "object", "created", "model")}


def recut(chunks: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    """The same stream cut otherwise: texts finer, choices interleaved, some chunks joined, padding in every one."""
    streams: dict[int, list[dict[str, Any]]] = {}
    for chunk in chunks:
        for finer in cut_finer(chunk, chance):
            streams.setdefault(finer["choices"][0]["index"] if finer["choices"] else -1, []).append(finer)
    ends = streams.pop(-1, [])
    mixed: list[dict[str, Any]] = []
    while streams:
        index = chance.choice(sorted(streams))
        chunk = streams[index].pop(0)
        seen = {choice["index"] for choice in mixed[-1]["choices"]} if mixed else set()
        if mixed and index not in seen and chance.random() < 0.5:
            mixed[-1] = {**mixed[-1], **chunk, "choices": mixed[-1]["choices"] + chunk["choices"]}
        else:
            mixed.append(chunk)
        if not streams[index]:
            del streams[index]
    return [{**chunk, "obfuscation": "x" * chance.randrange(9)} for chunk in mixed + ends]


@LAW
@given(wholes())
def test_what_is_split_comes_back_whole(whole: dict[str, Any]) -> None:
    before = copy.deepcopy(whole)

    chunks = split(whole)

    assert whole == before
    assert aggregate(chunks) == whole


@LAW
@given(wholes(), st.randoms(use_true_random=False))
def test_a_stream_that_is_cut_otherwise_makes_the_same_whole(whole: dict[str, Any], chance: random.Random) -> None:
    chunks = recut(split(whole), chance)
    before = copy.deepcopy(chunks)

    assert aggregate(chunks) == whole
    assert chunks == before


@LAW
@given(wholes())
def test_chunks_share_nothing_with_the_whole(whole: dict[str, Any]) -> None:
    before = copy.deepcopy(whole)

    spoil(split(whole))

    assert whole == before


def spoil(value: Any) -> None:
    """Empty everything that can be emptied, from the inside out."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        spoil(inner)
    if isinstance(value, dict | list):
        value.clear()


@LAW
@given(wholes())
def test_a_split_whole_is_a_stream_as_openai_sends_it(whole: dict[str, Any]) -> None:
    *body, last = split(whole)

    assert all(chunk["object"] == "chat.completion.chunk" for chunk in [*body, last])
    assert all(chunk["id"] == whole["id"] for chunk in [*body, last])
    assert not any(is_usage_chunk(chunk) for chunk in body)
    assert not any(name.startswith("x_") for chunk in split(whole)[1:] for name in chunk)
    assert is_usage_chunk(last) == (whole.get("usage") is not None)
    if whole["choices"]:
        assert all(chunk["choices"] for chunk in body)
        assert last["choices"] or is_usage_chunk(last)


def test_a_split_whole_comes_in_pieces_that_a_client_can_show() -> None:
    message = {
        "role": "assistant",
        "content": "Hello,  big world",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Rome, Italy"}'}}
        ],
    }
    whole = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }

    chunks = [ChatCompletionChunk.model_validate(chunk) for chunk in split(whole)]

    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert [delta.content for delta in deltas if delta.content] == ["Hello,", "  big", " world"]
    assert deltas[0].role == "assistant"
    pieces = [call for delta in deltas for call in delta.tool_calls or ()]
    assert [call.id for call in pieces if call.id] == ["call_1"]
    assert len([call for call in pieces if call.function and call.function.arguments]) > 1
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-2:] == [None, "tool_calls"]
    assert chunks[-1].usage is not None


def test_log_probabilities_come_with_the_tokens_that_they_are_of() -> None:
    scored = [{"token": token, "logprob": -0.1} for token in ("Hel", "lo ", "you")]
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello you"}, "logprobs": {"content": scored}}

    chunks = split({"choices": [choice]})

    pairs = [
        (c["delta"]["content"], c["logprobs"]["content"]) for k in chunks for c in k["choices"] if c.get("logprobs")
    ]
    assert pairs == [(token["token"], [token]) for token in scored]


def test_tool_calls_are_told_apart_by_their_index_in_order_of_appearance() -> None:
    def chunk(**call: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    whole = aggregate(
        [
            chunk(index=2, id="b", function={"name": "g", "arguments": "{"}),
            chunk(index=1, id="a", function={"name": "f", "arguments": "{}"}),
            chunk(index=2, function={"arguments": "}"}),
        ]
    )

    assert whole["choices"][0]["message"]["tool_calls"] == [
        {"id": "b", "function": {"name": "g", "arguments": "{}"}},
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
    ]


def test_the_chunk_of_azure_that_has_no_choices_is_not_a_usage_chunk() -> None:
    first = {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    second = {
        "id": "1",
        "model": "gpt-4o",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }

    assert not is_usage_chunk(first)
    assert aggregate([first, second]) == {
        "id": "1",
        "model": "gpt-4o",
        "object": "chat.completion",
        "prompt_filter_results": [{"prompt_index": 0}],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }


def test_every_recorded_stream_makes_a_completion_that_the_sdk_reads(samples: list[Path]) -> None:
    seen = 0
    for file in samples:
        response = json.loads(file.read_text("utf-8"))["response"]
        if not response.get("is_streaming") or not isinstance(response["body"][0], dict):
            continue
        chunks = [item["__data__"] for item in response["body"]]
        if chunks[0]["object"] == "text_completion":
            continue
        whole = aggregate(chunks)
        pieces = [choice for chunk in chunks for choice in chunk["choices"]]
        if all(choice["finish_reason"] for choice in whole["choices"]):
            ChatCompletion.model_validate(whole)
        for choice in whole["choices"]:
            said = "".join(piece["delta"].get("content") or "" for piece in pieces if piece["index"] == choice["index"])
            assert (choice["message"]["content"] or "") == said, file
        assert aggregate(split(whole)) == whole, file
        seen += 1
    assert seen


@LAW
@given(st.lists(st.tuples(st.integers(0, 2), st.text(max_size=5)), max_size=8))
def test_a_legacy_stream_puts_the_texts_of_each_choice_end_to_end(pieces: list[tuple[int, str]]) -> None:
    chunks = [{"id": "1", "choices": [{"index": index, "text": text}]} for index, text in pieces]

    whole = aggregate_text(chunks)

    assert {choice["index"]: choice["text"] for choice in whole["choices"]} == {
        index: "".join(text for at, text in pieces if at == index) for index, _ in pieces
    }


def test_calls_that_share_an_index_are_told_apart_by_name_and_id() -> None:
    """As Ollama sends them: each whole, each with the index 0."""
    calls = [{"index": 0, "id": name, "function": {"name": name, "arguments": "{}"}} for name in "ab"]
    whole = aggregate([{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls])

    assert [call["id"] for call in whole["choices"][0]["message"]["tool_calls"]] == ["a", "b"]
