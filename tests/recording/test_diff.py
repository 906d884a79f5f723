"""What counts as a difference, how bad it is, and which recordings are compared with which."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.chunks import split
from harness.recording.classes import CLASSES
from harness.recording.diff import Diff, diff
from harness.recording.differences import differences
from harness.recording.key import key
from harness.recording.meaning import answer
from harness.recording.model import Exchange, Request, Response
from harness.recording.places import ABSENT
from harness.stores.reading import read_directory

PAIRS = Path(__file__).parents[3] / "shared" / "recordings-sample" / "diff-pairs"
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def chat(
    content: Any = "Rome.",
    *,
    calls: Any = None,
    finish: str = "stop",
    body: dict[str, Any] | None = None,
    message: dict[str, Any] | None = None,
    choice: dict[str, Any] | None = None,
    asked: dict[str, Any] | None = None,
    scope: str | None = None,
) -> Exchange:
    said = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {}), **(message or {})}
    whole = {"choices": [{"index": 0, "message": said, "finish_reason": finish, **(choice or {})}], **(body or {})}
    request = Request("POST", "/v1/chat/completions", {**ASKED, **(asked or {})}, scope)
    return Exchange(request, Response({"id": "x", "object": "chat.completion", "model": "m", **whole}))


def call(name: str = "get_weather", arguments: str = '{"city": "Rome"}', id: str = "call_1") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def of(body: Any, *, status: int = 200, stream: bool = False, path: str = "/v1/chat/completions") -> Exchange:
    return Exchange(Request("POST", path, ASKED), Response(body, stream, status))


def streamed(exchange: Exchange) -> Exchange:
    return Exchange(exchange.request, Response(split(exchange.response.body), is_streaming=True))


def compared(old: Exchange, new: Exchange) -> tuple[str, list[str]]:
    """The class of a pair and the paths of its differences."""
    pair = diff({"k": old}, {"k": new}).pairs[0]
    return pair.cls, [found.path for found in pair.differences]


CONTENT = "choices[0].message.content"
CALLS = "choices[0].message.tool_calls"


@pytest.mark.parametrize(
    ("old", "new", "cls", "paths"),
    [
        pytest.param(chat("Rome."), chat("Rome"), "text", [CONTENT], id="one character"),
        pytest.param(chat("Rome."), chat("Rome. "), "text", [CONTENT], id="whitespace"),
        pytest.param(chat("caf\u00e9"), chat("cafe\u0301"), "text", [CONTENT], id="one unicode character"),
        pytest.param(chat("a\u00a0b"), chat("a b"), "text", [CONTENT], id="a space that is not the plain one"),
        pytest.param(
            chat(message={"reasoning_content": "hm"}),
            chat(message={"reasoning_content": "hum"}),
            "text",
            ["choices[0].message.reasoning_content"],
            id="reasoning",
        ),
        pytest.param(chat(), chat(finish="length"), "structure", ["choices[0].finish_reason"], id="finish reason"),
        pytest.param(
            chat(None, calls=[call()]),
            chat(None, calls=[call(arguments='{"city": "Oslo"}')]),
            "structure",
            [f"{CALLS}[0].function.arguments.city"],
            id="one argument's value",
        ),
        pytest.param(
            chat(None, calls=[call(arguments='{"n": 1}')]),
            chat(None, calls=[call(arguments='{"n": true}')]),
            "structure",
            [f"{CALLS}[0].function.arguments.n"],
            id="true is not one",
        ),
        pytest.param(
            chat(None, calls=[call(arguments='{"unit": null}')]),
            chat(None, calls=[call(arguments="{}")]),
            "structure",
            [f"{CALLS}[0].function.arguments.unit"],
            id="null says something in an argument",
        ),
        pytest.param(
            chat(None, calls=[call(arguments='{"id": 1}')]),
            chat(None, calls=[call(arguments='{"id": 2}')]),
            "structure",
            [f"{CALLS}[0].function.arguments.id"],
            id="an argument named like noise",
        ),
        pytest.param(
            chat(None, calls=[call("a"), call("b")]),
            chat(None, calls=[call("b"), call("a")]),
            "structure",
            [f"{CALLS}[0].function.name", f"{CALLS}[1].function.name"],
            id="tool order",
        ),
        pytest.param(
            chat(None, calls=[call()]),
            chat(None, calls=[call(), call("b")]),
            "structure",
            [f"{CALLS}[1]"],
            id="one more tool call",
        ),
        pytest.param(
            chat(None, calls=[call()]),
            chat(None, calls=[call(arguments='{"city": "Rome')]),
            "structure",
            [f"{CALLS}[0].function.arguments"],
            id="arguments that are no JSON",
        ),
        pytest.param(
            chat("Sure."),
            chat(None, message={"refusal": "No."}),
            "structure",
            ["choices[0].message.refusal", CONTENT],
            id="a refusal appears",
        ),
        pytest.param(
            chat(None, message={"refusal": "No."}),
            chat(None, message={"refusal": "No!"}),
            "text",
            ["choices[0].message.refusal"],
            id="a refusal in other words",
        ),
        pytest.param(
            chat(),
            chat(
                body={
                    "choices": [{"index": i, "message": {"content": "Rome."}, "finish_reason": "stop"} for i in (0, 1)]
                }
            ),
            "structure",
            ["choices[1]"],
            id="number of choices",
        ),
        pytest.param(
            chat(body={"usage": {"total_tokens": 1}}),
            chat(body={"usage": {"total_tokens": 2}}),
            "usage",
            ["usage.total_tokens"],
            id="tokens",
        ),
        pytest.param(chat(), chat(body={"model": "m-2"}), "usage", ["model"], id="reported model"),
        pytest.param(
            chat(choice={"logprobs": {"content": [{"token": "Rome", "logprob": -0.1, "bytes": [82]}]}}),
            chat(choice={"logprobs": {"content": [{"token": "Rome", "logprob": -0.2, "bytes": [82]}]}}),
            "usage",
            ["choices[0].logprobs"],
            id="log probabilities",
        ),
    ],
)
def test_each_difference_has_its_class_and_path(old: Exchange, new: Exchange, cls: str, paths: list[str]) -> None:
    assert compared(old, new) == (cls, paths)
    assert compared(streamed(old), streamed(new)) == (cls, paths)
    assert compared(old, old)[0] == "equal"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(chat(body={"id": "a", "created": 1}), chat(body={"id": "b", "created": 2}), id="id and time"),
        pytest.param(
            chat(body={"system_fingerprint": "fp_1", "service_tier": "default", "timings": {"ms": 3}}),
            chat(),
            id="what the upstream says of itself",
        ),
        pytest.param(
            chat(choice={"content_filter_results": {"hate": {"filtered": False}}}, body={"prompt_filter_results": [1]}),
            chat(),
            id="Azure's filters",
        ),
        pytest.param(
            chat("", calls=[call(id="call_1")]),
            chat(None, calls=[call(id="call_2")]),
            id="tool-call ids, empty content",
        ),
        pytest.param(
            chat(None, calls=[call(arguments='{"a":1,"b":2.0}')]),
            chat(None, calls=[call(arguments='{"b": 2, "a": 1}')]),
            id="arguments written differently",
        ),
        pytest.param(
            chat(None, calls=[call(arguments="")]), chat(None, calls=[call(arguments="{}")]), id="no arguments"
        ),
        pytest.param(
            chat(message={"refusal": None, "annotations": [], "audio": None}, choice={"logprobs": None}),
            chat(),
            id="null and absent",
        ),
        pytest.param(chat(choice={"seed": 1}), chat(choice={"seed": 2}), id="the seed that Together drew"),
    ],
)
def test_noise_is_no_difference(old: Exchange, new: Exchange) -> None:
    assert differences(old, new) == ()
    assert differences(streamed(old), new) == ()


@given(st.lists(st.sampled_from(["Ro", "me", " ", "\n", "é"])), st.lists(st.sampled_from(["x", "{}", '"'])))
def test_the_cuts_of_a_stream_do_not_matter(words: list[str], arguments: list[str]) -> None:
    old = chat("".join(words), calls=[call(arguments="".join(arguments))])
    pieces = [{"index": 0, "delta": {"content": word}} for word in words]
    pieces += [{"index": 0, "delta": {"tool_calls": [{"index": 0, **call(arguments="")}]}}]
    pieces += [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": a}}]}} for a in arguments]
    pieces += [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    chunks = [{"model": "m", "choices": [piece], "obfuscation": str(at)} for at, piece in enumerate(pieces)]
    assert differences(old, of(chunks, stream=True)) == ()


def parallel(*calls: dict[str, Any], index: bool) -> Exchange:
    """A stream that sends each tool call whole; without ``index`` all of them say 0, as Ollama does."""
    deltas = [{"tool_calls": [{"index": at * index, **one}]} for at, one in enumerate(calls)]
    chunks = [{"model": "m", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return of([*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}], stream=True)


def test_parallel_calls_are_told_apart_by_their_ids_when_all_have_one_index() -> None:
    one, two, three = call("a", id="call_1"), call("b", id="call_2"), call("c", id="call_3")
    assert compared(parallel(one, two, index=False), parallel(one, two, index=True))[0] == "equal"
    assert compared(parallel(one, two, index=False), chat(None, calls=[one, two]))[0] == "equal"
    paths = [f"{CALLS}[0].function.name"]
    assert compared(parallel(one, two, index=False), parallel(three, two, index=False)) == ("structure", paths)


def test_an_id_for_each_piece_of_a_call_makes_it_no_other_call() -> None:
    pieces = [call(arguments=""), {"id": "call_2", "function": {"arguments": '{"city": "Rome"}'}}]
    assert compared(parallel(*pieces, index=False), chat(None, calls=[call()]))[0] == "equal"


# Errors.


def failure(message: str = "No.", status: int = 400, code: str | None = None) -> Exchange:
    return of({"error": {"message": message, "type": "invalid_request_error", "code": code}}, status=status)


def test_a_failure_against_an_answer_is_an_error() -> None:
    (found,) = differences(failure(), chat())
    assert (found.cls, found.path, found.new) == ("error", "error", ABSENT)
    assert found.old == {"status": 400, "error": {"message": "No.", "type": "invalid_request_error"}}
    assert compared(chat(), failure())[0] == "error"


def test_two_failures_are_equal_when_they_say_the_same() -> None:
    assert compared(failure(), failure())[0] == "equal"
    assert compared(failure(), failure("Never.")) == ("error", ["error.message"])
    assert compared(failure(), failure(code="bad_image")) == ("error", ["error.code"])
    assert compared(failure(), failure(status=422)) == ("error", ["status"])


def test_the_id_of_a_failed_request_is_noise() -> None:
    one, two = "7d444840-9dc0-11d1-b245-5ffdce74fad2", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert compared(failure(f"Failed (request {one})"), failure(f"Failed (request {two})"))[0] == "equal"
    assert compared(failure("Retry in 1.2s", 429), failure("Retry in 20ms", 429))[0] == "equal"
    assert compared(failure("At most 10"), failure("At most 20"))[0] == "error"


def test_a_stream_that_breaks_off_with_an_error_failed() -> None:
    broken = of([{"choices": [{"index": 0, "delta": {"content": "Ro"}}]}, {"error": {"message": "gone"}}], stream=True)
    assert compared(chat(), broken) == ("error", ["error"])


# JSON as the answer.


@pytest.mark.parametrize(
    ("old", "new", "cls", "path"),
    [
        ('{"a": 1}', '{"a": 2}', "text", f"{CONTENT}.a"),
        ('{"a": 1}', '{"a": 1.5}', "text", f"{CONTENT}.a"),
        ('{"a": [1]}', '{"a": [1, 2]}', "text", f"{CONTENT}.a[1]"),
        ('{"a": 1}', '{"a":1}', "text", CONTENT),
        ('{"a": 1}', '{"a": 1}\n', "text", CONTENT),
        ('{"a": 1}', '{"a": "1"}', "structure", f"{CONTENT}.a"),
        ('{"a": 1}', '{"a": null}', "structure", f"{CONTENT}.a"),
        ('{"a": 1}', '{"a": 1, "b": 2}', "structure", f"{CONTENT}.b"),
        ('{"a": 1}', '{"a": 1', "structure", CONTENT),
        ('{"a": 1', '{"a": 2', "text", CONTENT),
    ],
)
def test_json_that_was_asked_for_is_compared_as_json(old: str, new: str, cls: str, path: str) -> None:
    asked = {"response_format": {"type": "json_object"}}
    assert compared(chat(old, asked=asked), chat(new, asked=asked)) == (cls, [path])
    assert compared(chat(old), chat(new)) == ("text", [CONTENT])


SCHEMA = {"type": "object", "properties": {"a": {"type": ["integer", "null"]}}, "required": ["a"]}
ASKED_FOR = [
    {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
    {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
    {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    {"guided_json": SCHEMA},
]


@pytest.mark.parametrize("asked", ASKED_FOR)
def test_an_answer_that_no_longer_fits_its_schema_has_another_structure(asked: dict[str, Any]) -> None:
    fits, other, broken = (chat(text, asked=asked) for text in ('{"a": 1}', '{"a": null, "b": 2}', '{"a": "1"}'))
    assert compared(fits, other)[0] == "text"
    (found,) = differences(fits, broken)
    assert (found.cls, found.path) == ("structure", CONTENT)
    assert found.note == "no longer fits the request's JSON schema: $.a: '1' is not of type 'integer', 'null'"
    assert compared(fits, chat('{"a": 1', asked=asked)) == ("structure", [CONTENT])
    assert compared(broken, fits)[0] == "text"


@pytest.mark.parametrize("schema", [{"type": 7}, {"$ref": "https://example.com/x"}, {"$ref": "#/no"}])
def test_a_schema_that_is_none_judges_nothing(schema: Any) -> None:
    asked = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    assert compared(chat('{"a": 1}', asked=asked), chat('{"a": 2}', asked=asked))[0] == "text"


# Other endpoints.


def text_chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}


def test_a_legacy_completion_equals_its_stream() -> None:
    whole = of({"object": "text_completion", "choices": [{"index": 0, "text": "so blue", "finish_reason": "stop"}]})
    stream = of([text_chunk("so "), text_chunk("blue"), text_chunk("", "stop")], stream=True)
    assert compared(whole, stream)[0] == "equal"
    assert compared(whole, of([text_chunk("so red", "stop")], stream=True)) == ("text", ["choices[0].text"])


def sse(*events: dict[str, Any]) -> Exchange:
    lines = [line for event in events for line in (f"event: {event['type']}", f"data: {json.dumps(event)}", "")]
    return of(lines, stream=True, path="/v1/messages")


def anthropic(*, city: str = "Rome", text: str = "Let me see.", stop: str = "tool_use") -> tuple[Exchange, Exchange]:
    """The same message whole and as a stream."""
    tool = {"type": "tool_use", "id": "toolu_1", "name": "get_weather"}
    content = [{"type": "text", "text": text}, {**tool, "input": {"city": city}}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    usage = {"input_tokens": 3, "output_tokens": 9}
    whole = of({**message, "content": content, "stop_reason": stop, "usage": usage}, path="/v1/messages")
    stream = sse(
        {"type": "message_start", "message": {**message, "id": "msg_2", "content": [], "usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in text),
        {"type": "content_block_start", "index": 1, "content_block": {**tool, "id": "toolu_2", "input": {}}},
        *(
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": part}}
            for part in ('{"city": "', city, '"}')
        ),
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    return whole, stream


def test_anthropics_lines_are_put_together() -> None:
    whole, stream = anthropic()
    assert compared(whole, stream)[0] == "equal"
    assert compared(whole, anthropic(city="Oslo")[1]) == ("structure", ["content[1].input.city"])
    assert compared(stream, anthropic(text="Hm.")[0]) == ("text", ["content[0].text"])
    assert compared(stream, anthropic(stop="end_turn")[1]) == ("structure", ["stop_reason"])


def vectors(*rows: list[float]) -> Exchange:
    data = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(rows)]
    return of({"object": "list", "data": data, "model": "e", "usage": {"total_tokens": 1}}, path="/v1/embeddings")


def test_bytes_are_one_short_difference() -> None:
    one, two = (
        of({"__binary__": {"media_type": "audio/mpeg", "base64": data}}, path="/v1/audio/speech")
        for data in ("AAAA", "AAAB")
    )
    assert compared(one, one)[0] == "equal"
    assert compared(one, two) == ("text", ["__binary__.sha256"])


def test_a_stream_of_an_unknown_kind_is_compared_by_its_events() -> None:
    def stream(id: str, said: str) -> Exchange:
        return of([f'data: {{"id": "{id}", "said": "{said}"}}', ""], stream=True, path="/v1/unheard-of")

    assert compared(stream("a", "yes"), stream("b", "yes"))[0] == "equal"
    assert compared(stream("a", "yes"), stream("b", "no"))[0] == "text"


def test_vectors_in_base64_are_vectors() -> None:
    numbers = vectors([0.5, 0.25])
    spelled = vectors([])
    spelled.response.body["data"] = [{"object": "embedding", "index": 0, "embedding": "AAAAPwAAgD4="}]
    assert compared(numbers, spelled)[0] == "equal"


def test_embeddings_are_one_difference_each() -> None:
    assert compared(vectors([0.1, 1.0]), vectors([0.1, 1.0]))[0] == "equal"
    assert compared(vectors([0.1, 0.2]), vectors([0.1, 0.2000001])) == ("usage", ["data[0].embedding"])
    (found,) = differences(vectors([0.1, 0.2]), vectors([0.2, 0.1]))
    assert (found.cls, found.path, found.old, found.new) == ("text", "data[0].embedding", [0.1, 0.2], [0.2, 0.1])
    assert compared(vectors([0.1, 0.2]), vectors([0.1])) == ("structure", ["data[0].embedding"])
    assert compared(vectors([0.1]), vectors([0.1], [0.2])) == ("structure", ["data[1]"])


def models(*names: str, created: int = 1) -> Exchange:
    data = [{"id": name, "object": "model", "created": created, "owned_by": "me"} for name in names]
    return of({"object": "list", "data": data}, path="/v1/models")


def test_model_lists_are_compared_by_name() -> None:
    assert compared(models("a", "b", created=1), models("b", "a", created=2))[0] == "equal"
    assert compared(models("a"), models("a", "gpt-4.1")) == ("structure", ['models["gpt-4.1"]'])


@given(st.recursive(st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=2), lambda inner: (
    st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["choices", "delta", "message", "index", "data", "content", "type"]), inner)
)), st.booleans())  # fmt: skip
def test_any_json_has_an_answer(body: Any, stream: bool) -> None:
    assert answer(Response(body, stream)) == answer(Response(json.loads(json.dumps(body)), stream))
    assert not differences(of(body, stream=stream), of(body, stream=stream))
    assert diff({"k": of(body, stream=stream)}, {"k": chat()}).pairs
    lines = [f"data: {json.dumps(body)}", 'data: {"cut', ""]
    assert diff({"k": chat()}, {"k": of(lines, stream=stream)}).pairs


# Pairing.


def names(found: Diff) -> list[tuple[str, str]]:
    return [(pair.name, pair.new_name) for pair in found.pairs]


def test_names_pair_first_and_sequences_in_their_order() -> None:
    k = key(chat().request)
    old = {k: chat("1"), f"{k}-2": chat("2"), f"{k}-10": chat("10")}
    found = diff(old, dict(old))
    assert names(found) == [(k, k), (f"{k}-2", f"{k}-2"), (f"{k}-10", f"{k}-10")]
    assert found.is_equal
    assert found.summary == {**dict.fromkeys(CLASSES, 0), "equal": 3}


def test_a_fingerprint_pairs_within_a_scope_before_it_pairs_across() -> None:
    old = {"o1": chat("a", scope="t::a"), "o2": chat("b", scope="t::b")}
    new = {"n1": chat("b", scope="t::b", asked={"user": "me"}), "n2": chat("a", scope="t::moved")}
    found = diff(old, new)
    assert names(found) == [("o1", "n2"), ("o2", "n1")]
    assert [pair.test_id for pair in found.pairs] == ["t::moved", "t::b"]
    assert found.is_equal


def test_a_sequence_under_a_new_key_pairs_in_order() -> None:
    one, two = "a" * 64, "b" * 64
    old = {f"{one}-{n}" if n > 1 else one: chat(str(n)) for n in (1, 2, 10)}
    new = {f"{two}-{n}" if n > 1 else two: chat(str(n), asked={"n": 1}) for n in (10, 2, 1)}
    assert diff(old, new).is_equal


def test_each_recording_is_used_once_and_the_rest_is_named() -> None:
    found = diff({"a": chat()}, {"b": chat(), "c": chat(scope="t"), "d": chat(asked={"seed": 7})})
    assert names(found) == [("a", "b")]
    assert [(single.name, single.test_id) for single in found.added] == [("c", "t"), ("d", None)]
    assert not found.is_equal
    gone = diff({"a": chat()}, {})
    assert [single.name for single in gone.removed] == ["a"]


# Real pairs.


def real(kind: str) -> Diff:
    if not PAIRS.is_dir():
        pytest.skip("no recordings in ../shared/recordings-sample/diff-pairs: they are not part of the project")
    (old, broken_old), (new, broken_new) = (read_directory(PAIRS / kind / side) for side in ("before", "after"))
    assert not broken_old
    assert not broken_new
    return diff(old, new)


@pytest.mark.parametrize(("kind", "classes"), [("changed", {"text", "structure"}), ("noise", {"equal", "usage"})])
def test_real_pairs_have_the_class_that_a_reader_gave_them(kind: str, classes: set[str]) -> None:
    found = real(kind)
    assert found.pairs
    assert not found.added
    assert not found.removed
    assert {pair.name: pair.cls for pair in found.pairs if pair.cls not in classes} == {}
