"""The pure parts of a refresh: its plan, its changes of requests, its estimate, a model's own variation, batches."""

import json
import re
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.recording.author import author
from harness.recording.batches import answers_in, custom_id, is_batchable, line_of, together
from harness.recording.bodies import request_body, sent_body
from harness.recording.canonical import Canonicalizer
from harness.recording.changes import Changes, parse_model, parse_value
from harness.recording.diff import Pair, compare
from harness.recording.estimate import Estimate, cost_of
from harness.recording.model import JSON_TYPE, MULTIPART, Exchange, Json, Request, Response
from harness.recording.pairing import Match
from harness.recording.prices import parse_prices
from harness.recording.refresh import Names, plan
from harness.recording.variation import one_in, variation
from tests.recording.test_quoting import EXCHANGES, LAW, TURNS, assistant, chat, user

PRICES = parse_prices({"m": {"input": 1, "output": 10}}, "prices")
KEY = "3fa9" + "0" * 60


def request(method: str = "POST", path: str = "/v1/chat/completions", body: Json = None) -> Request:
    return Request(method, path, {"model": "m"} if body is None else body, "t::a")


# The plan.


@LAW
@given(EXCHANGES, st.booleans())
def test_everything_is_asked_or_left_and_what_is_quoted_comes_first(
    exchanges: dict[str, Exchange], frozen: bool
) -> None:
    found = plan(exchanges, frozen=frozen)
    seen: set[str] = set()
    for step in found.steps:
        assert set(step.after) <= seen
        seen.add(step.name)

    assert seen | {left.name for left in found.left} == set(exchanges)
    wholes = found.wholes
    assert sorted(name for names in wholes for name in names) == sorted(seen)
    for step in found.steps:
        (mine,) = (names for names in wholes if step.name in names)
        assert set(step.after) <= set(mine)
        assert step.request.scope is None or {
            s.name for s in found.steps if s.request.scope == step.request.scope
        } == set(mine)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (request(path="/mcp/tools/call"), "MCP"),
        (request(path="/v1/batches"), "a job would begin"),
        (request("DELETE", "/v1/files/file-0001"), "changes what this refresh did not make"),
        (request(path="/v1/responses/resp_00000001/cancel"), "changes what this refresh did not make"),
        (request(body={MULTIPART: [{"name": "file", "filename": "a.wav", "sha256": "0", "size": 1}]}), "a.wav"),
        (request(body={"__binary__": {"media_type": "audio/wav", "sha256": "0", "size": 1}}), "digest"),
    ],
)
def test_what_is_not_asked_again(asked: Request, why: str) -> None:
    (left,) = plan({"a": Exchange(asked, Response({}))}).left

    assert why in left.reason


def test_what_was_written_by_hand_stays() -> None:
    assert (
        plan({"a": author(request(body={"model": "m", "messages": []}), "Hello!")}).left[0].reason == "written by hand"
    )


def test_what_this_refresh_makes_it_may_delete() -> None:
    made = Exchange(Request("POST", "/v1/conversations", {}, "t::a"), Response({"id": "conv_000001"}))
    deleted = Exchange(Request("DELETE", "/v1/conversations/conv_000001", {}, "t::a"), Response({"deleted": True}))

    assert [step.name for step in plan({"x": made, "a": deleted}).steps] == ["x", "a"]
    assert [left.name for left in plan({"x": made, "a": deleted}, frozen=True).left] == ["a"]


def test_a_turn_whose_earlier_one_is_not_selected_is_asked_as_it_is() -> None:
    assert plan({"b": TURNS["b"]}).steps[0].quotes == ()
    assert plan(TURNS).later_turns == 1


def test_names_keep_their_numbers_unless_they_are_taken() -> None:
    names = Names()

    assert [names.next(KEY, number) for number in (2, 1, 1)] == [f"{KEY}-2", KEY, f"{KEY}-3"]


# What is sent.

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@LAW
@given(st.dictionaries(st.text(min_size=1, max_size=5).filter(lambda name: not name.startswith("__")), VALUES))
def test_a_json_body_is_sent_as_it_is(body: Json) -> None:
    raw, content_type = sent_body(body, JSON_TYPE)

    assert request_body(raw, content_type) == body


@LAW
@given(st.lists(st.tuples(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(alphabet="ab\r\nü-", max_size=8))))
def test_a_form_without_files_is_sent_as_it_is(fields: list[tuple[str, str]]) -> None:
    body = {MULTIPART: [{"name": name, "value": value} for name, value in fields]}
    raw, content_type = sent_body(body, "multipart/form-data")

    assert request_body(raw, content_type) == body


def test_a_text_is_sent_as_it_is() -> None:
    raw, content_type = sent_body({"__text__": "größer"}, "text/plain")

    assert request_body(raw, content_type) == {"__text__": "größer"}


# Changes.


def test_a_model_is_replaced_with_or_without_the_prefix_of_its_upstream() -> None:
    changes = Changes({"gpt-4o": "gpt-5", "claude-*": "groq/llama"})

    assert changes.apply(request(body={"model": "gpt-4o"})).body == {"model": "gpt-5"}
    assert changes.apply(request(body={"model": "azure/gpt-4o"})).body == {"model": "azure/gpt-5"}
    assert changes.apply(request(body={"model": "claude-3"})).body == {"model": "groq/llama"}
    assert changes.apply(request(body={"model": "gpt-4o-mini"})).body == {"model": "gpt-4o-mini"}
    azure = request(path="/azure/openai/deployments/gpt-4o/chat/completions", body={"messages": []})
    assert changes.apply(azure).path == "/azure/openai/deployments/gpt-5/chat/completions"
    form = request(body={MULTIPART: [{"name": "model", "value": "gpt-4o"}]})
    assert changes.apply(form).model == "gpt-5"


def test_values_are_set_and_removed_by_their_paths() -> None:
    body = {"model": "m", "temperature": 1, "messages": [{"role": "user", "content": "Hi"}], "stop": ["a", "b"]}
    words = ["temperature=0", "reasoning.effort=low", "messages[0].content=Bye", 'response_format={"type":"text"}']
    changed = Changes({}, [*map(parse_value, words)], ["stop[0]", "absent.too"]).apply(request(body=body))

    assert changed.body == {
        "model": "m",
        "temperature": 0,
        "messages": [{"role": "user", "content": "Bye"}],
        "stop": ["b"],
        "reasoning": {"effort": "low"},
        "response_format": {"type": "text"},
    }
    assert body["temperature"] == 1


def test_embeddings_have_no_temperature_but_dimensions() -> None:
    asked = request(path="/v1/embeddings", body={"model": "m", "input": "x"})

    assert Changes({}, [("temperature", 0), ("dimensions", 8)]).apply(asked).body == {**asked.body, "dimensions": 8}


@pytest.mark.parametrize("word", ["temperature", "=1", "a..b=1", "a[x]=1", ".a=1"])
def test_what_is_no_value_is_said(word: str) -> None:
    with pytest.raises(HarnessError, match=r"no value|no path"):
        parse_value(word)


def test_a_place_that_is_not_there_is_said() -> None:
    with pytest.raises(HarnessError, match="no place"):
        Changes({}, [("model.name", 1)]).apply(request())
    with pytest.raises(HarnessError, match="no model"):
        parse_model("=gpt-5")


# The estimate.


def test_the_estimate_is_what_it_took_at_the_price_of_the_new_model() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    recorded = chat([user("Hi")], assistant("Hello"))
    recorded = replace(recorded, response=replace(recorded.response, body={**recorded.response.body, "usage": usage}))
    estimate = Estimate()
    estimate.add([cost_of(recorded.request, recorded, PRICES), cost_of(recorded.request, recorded, PRICES, 0.5)])
    estimate.add([cost_of(Changes({"m": "dear"}).apply(recorded.request), recorded, PRICES)])

    assert (estimate.requests, estimate.total.input, estimate.unpriced) == (3, 3000, {"dear"})
    assert estimate.total.cost == pytest.approx(1.5 * (1000 * 1 + 100 * 10) / 1e6)


@pytest.mark.parametrize(
    ("before", "now", "expected"), [(100, 100, 100), (100, 30, 30), (100, 400, 400), (200, 400, 100), (100, None, 500)]
)
def test_another_limit_makes_another_answer(before: int, now: int | None, expected: int) -> None:
    recorded = chat([user("Hi")], assistant("Hello"))
    usage = {"prompt_tokens": 1, "completion_tokens": 100}
    body = {**recorded.request.body, "max_tokens": before}
    recorded = replace(
        recorded,
        request=replace(recorded.request, body=body),
        response=replace(recorded.response, body={**recorded.response.body, "usage": usage}),
    )
    asked = replace(recorded.request, body=body | {"max_tokens": now})

    assert cost_of(asked, recorded, PRICES).figures.output == expected


def test_without_tokens_characters_are_counted_and_a_limit_holds() -> None:
    recorded = chat([user("word " * 400)], assistant("word " * 400))
    limited = replace(recorded.request, body={**recorded.request.body, "max_tokens": 7})

    found = cost_of(limited, recorded, PRICES)

    assert found.is_guessed
    assert 400 < found.figures.input < 600
    assert found.figures.output == 7
    listing = Request("GET", "/v1/models", {})
    assert not cost_of(listing, Exchange(listing, Response({"data": []})), PRICES).is_guessed


# The model's own variation.


def compared(one: Exchange, two: Exchange) -> Pair:
    return compare(Match("a", "a", "key"), one, two, Canonicalizer())


def answers(*texts: str) -> list[Exchange]:
    return [chat([user("Hi")], assistant(text)) for text in texts]


@pytest.mark.parametrize(
    ("old", "new", "larger"),
    [
        (["It is sunny.", "It is warm."], ["It is warm.", "It is sunny."], False),
        (["It is sunny today.", "It is warm today."], ["It is mild today."], False),
        (["It is sunny.", "It is sunny."], ["It is warm.", "It is warm."], True),
        (["It is sunny today.", "It is warm today."], ["No."], True),
        (["It is sunny."], ["It is warm.", "Something else entirely."], False),
    ],
)
def test_a_difference_is_larger_when_no_side_differs_from_itself_as_much(
    old: list[str], new: list[str], larger: bool
) -> None:
    assert variation(answers(*old), answers(*new), compared).is_larger is larger


@LAW
@given(st.lists(st.sampled_from(["a b c", "a b d", "x"]), min_size=1, max_size=3))
def test_a_model_that_answers_as_before_never_differs_more_than_from_itself(texts: list[str]) -> None:
    assert not variation(answers(*texts), answers(*texts), compared).is_larger


@LAW
@given(st.lists(st.text("abc ", max_size=6), min_size=3, max_size=5), st.data())
def test_by_chance_a_difference_is_larger_no_more_often_than_told(texts: list[str], data: st.DataObject) -> None:
    old = data.draw(st.integers(1, len(texts) - 1))
    sides = [({*some}, {*range(len(texts))} - {*some}) for some in combinations(range(len(texts)), old)]
    larger = [
        variation(answers(*(texts[n] for n in one)), answers(*(texts[n] for n in two)), compared).is_larger
        for one, two in sides
    ]

    assert sum(larger) * one_in(old, len(texts) - old) <= len(sides)


# Batches.


def test_a_request_is_a_line_and_answers_are_lines() -> None:
    asked = request(body={"model": "openai/m", "stream": True, "stream_options": {}, "messages": [user("\u2028")]})
    line = line_of("one", asked, "m")

    assert line.count("\n") == 1
    assert json.loads(line) == {
        "custom_id": "one",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [user("\u2028")]},
    }
    good = json.dumps(
        {"custom_id": "one", "response": {"status_code": 200, "body": {"a": "\u2028"}}}, ensure_ascii=False
    )
    bad = json.dumps({"custom_id": "two", "response": None, "error": {"code": "batch_expired", "message": "late"}})
    found = answers_in(f"{good}\n{bad}\n")
    assert (found["one"].status, found["one"].body) == (200, {"a": "\u2028"})
    assert (found["two"].status, found["two"].error) == (0, "late")


def test_anthropics_lines_and_answers() -> None:
    asked = request(path="/anthropic/v1/messages", body={"model": "a", "max_tokens": 1, "messages": [user("\u2028")]})
    [said] = json.loads(together([line_of("one", asked, "b")]))["requests"]
    results = [
        {"type": "succeeded", "message": {"id": "msg_1"}},
        {"type": "errored", "error": {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}},
        {"type": "expired"},
    ]
    found = answers_in("\n".join(json.dumps({"custom_id": f"{n}", "result": one}) for n, one in enumerate(results)))

    assert said == {"custom_id": "one", "params": {"model": "b", "max_tokens": 1, "messages": [user("\u2028")]}}
    assert [(one.status, one.error) for one in found.values()] == [(200, ""), (529, ""), (0, "it is expired")]
    assert found["0"].body == {"id": "msg_1"}


def test_the_custom_id_of_the_longest_name_is_one_for_anthropic() -> None:
    names = {custom_id(f"{'0' * 64}-9999", part) for part in ("new/1", "new/2", "control/100")}

    assert len(names) == 3
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)


def test_what_can_be_asked_in_a_batch() -> None:
    assert is_batchable(request(body={"model": "m", "stream": True}))
    assert is_batchable(request(path="/v1/embeddings"))
    assert is_batchable(request(path="/anthropic/v1/messages", body={"model": "m"}))
    assert not is_batchable(request(path="/v1/messages", body={"model": "m", "stream": True}))
    assert not is_batchable(request(path="/v1/responses", body={"model": "m", "stream": True}))
    assert not is_batchable(request(path="/v1/images/generations"))
    assert not is_batchable(Request("GET", "/v1/models", {}))
