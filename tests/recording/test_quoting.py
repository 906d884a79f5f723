"""What later turns quote of earlier answers, and how they quote new ones."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.recording.chunks import split
from harness.recording.following import Followed, follow
from harness.recording.model import Exchange, Json, Request, Response
from harness.recording.quoting import Quote, quotes_of

SCOPE = "tests/test_agent.py::test_a"


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def call(id: str, name: str, **arguments: Json) -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def assistant(text: str | None, *calls: Json) -> Json:
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {})}


def result(id: str, text: str) -> Json:
    return {"role": "tool", "tool_call_id": id, "content": text}


def completion(message: Json) -> Response:
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if message.get("tool_calls") else "stop"}
    return Response({"id": "rec-0", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})


def chat(messages: list[Json], answer: Json, scope: str | None = SCOPE, path: str = "/v1/chat/completions") -> Exchange:
    return Exchange(Request("POST", path, {"model": "m", "messages": messages}, scope), completion(answer))


ROME = call("call_00000000rome", "weather", city="Rome")
TURNS = {
    "a": chat([user("Weather?")], assistant(None, ROME)),
    "b": chat(
        [user("Weather?"), assistant(None, ROME), result("call_00000000rome", "sunny")], assistant("It is sunny.")
    ),
}


def followed(new: Json, turns: dict[str, Exchange] = TURNS) -> Followed:
    return follow(turns["b"].request, quotes_of(turns)["b"], {"a": (turns["a"].response, completion(new))})


def test_the_result_of_a_tool_goes_with_the_new_call() -> None:
    found = followed(assistant(None, call("call_11111111rome", "weather", city="Rome")))

    assert found.request.body["messages"][1:] == [
        assistant(None, call("call_11111111rome", "weather", city="Rome")),
        result("call_11111111rome", "sunny"),
    ]
    assert (found.taken, found.misfits, found.loose) == (("a",), {}, ())


def test_a_call_with_other_arguments_gets_the_recorded_result_and_that_is_said() -> None:
    found = followed(assistant(None, call("call_11111111oslo", "weather", city="Oslo")))

    assert found.taken == ("a",)
    assert found.loose == ('the result of weather({"city": "Rome"}) stands for weather({"city": "Oslo"})',)


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (assistant("No idea."), "no tool"),
        (assistant(None, call("call_2222222222", "map", city="Rome")), "map("),
        (assistant(None, ROME, call("call_2222222222", "weather", city="Oslo")), "Oslo"),
    ],
)
def test_an_answer_that_does_not_fit_leaves_the_turn_as_recorded(new: Json, why: str) -> None:
    found = followed(new)

    assert found.request == TURNS["b"].request
    assert why in found.misfits["a"]


def test_new_calls_without_results_do_not_fit_and_calls_that_are_no_more_are_gone() -> None:
    plain = {
        "a": chat([user("?")], assistant("Sunny.")),
        "b": chat([user("?"), assistant("Sunny."), user("!")], assistant("")),
    }
    assert "no recorded result" in followed(assistant(None, ROME), plain).misfits["a"]

    # A client that asks its user before it runs a tool.
    called = {"a": TURNS["a"], "b": chat([user("Weather?"), assistant(None, ROME), user("Stop!")], assistant("Fine."))}
    assert followed(assistant("Sunny."), called).request.body["messages"][1] == assistant("Sunny.")


def test_an_error_fits_nowhere() -> None:
    failed = Response({"error": {"message": "no"}}, status=400)
    found = follow(TURNS["b"].request, quotes_of(TURNS)["b"], {"a": (TURNS["a"].response, failed)})

    assert found.misfits == {"a": "the new answer is an error"}


def test_parallel_calls_are_told_apart_by_their_arguments() -> None:
    oslo = call("call_00000000oslo", "weather", city="Oslo")
    asked = [user("?"), assistant(None, ROME, oslo), result("call_00000000rome", "sun"), result(oslo["id"], "snow")]
    turns = {"a": chat([user("?")], assistant(None, ROME, oslo)), "b": chat(asked, assistant("Done."))}
    new = assistant(
        None, call("call_1_new_oslo", "weather", city="Oslo"), call("call_1_new_rome", "weather", city="Rome")
    )

    messages = followed(new, turns).request.body["messages"]

    assert messages[2:] == [result("call_1_new_rome", "sun"), result("call_1_new_oslo", "snow")]


def test_short_ids_that_every_turn_counts_anew() -> None:
    def weather(city: str) -> Json:
        return assistant(None, call("call_1", "weather", city=city))

    first = [user("Rome?")]
    second = [*first, weather("Rome"), result("call_1", "sun"), assistant("Sun."), user("Oslo?")]
    third = [*second, weather("Oslo"), result("call_1", "snow")]
    turns = {
        "a": chat(first, weather("Rome")),
        "b": chat(second, weather("Oslo")),
        "c": chat(third, assistant("Snow.")),
    }
    new = {
        "a": (turns["a"].response, completion(assistant(None, call("call_new_rome", "weather", city="Rome")))),
        "b": (turns["b"].response, completion(assistant(None, call("call_new_oslo", "weather", city="Oslo")))),
    }

    messages = follow(turns["c"].request, quotes_of(turns)["c"], new).request.body["messages"]

    assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == [
        "call_new_rome",
        "call_new_oslo",
    ]


def test_what_an_answer_only_repeats_is_no_quote_of_it() -> None:
    text = "A long text that somebody gave to both of them to read."
    turns = {"a": chat([user(text)], assistant(text)), "b": chat([user(f"Sum up: {text}")], assistant("Short."))}

    assert quotes_of(turns) == {}


def test_a_stream_is_quoted_like_a_whole() -> None:
    whole = TURNS["a"].response
    streamed = {**TURNS, "a": Exchange(TURNS["a"].request, Response(split(whole.body), is_streaming=True))}

    assert quotes_of(streamed) == quotes_of(TURNS)


def test_of_recordings_of_no_test_only_a_dialogue_that_goes_on_counts() -> None:
    first, example = [user("Hi")], [user("Example"), assistant("Hello!"), user("Hi")]
    loose = {"a": chat(first, assistant("Hello!"), None), "b": chat(example, assistant("Bye."), None)}
    goes_on = {**loose, "c": chat([*first, assistant("Hello!"), user("And?")], assistant("Bye."), None)}

    assert quotes_of(loose) == {}
    assert quotes_of(goes_on) == {"c": (Quote("a", 1, 2),)}
    assert quotes_of({name: chat(one.request.body["messages"], one.response.body["choices"][0]["message"])
                      for name, one in loose.items()}) == {"b": (Quote("a", 1, 2),)}  # fmt: skip


def test_of_equal_answers_the_one_whose_dialogue_goes_on_is_quoted() -> None:
    turns = {
        "x": chat([user("Other")], assistant("OK")),
        "a": chat([user("Do it")], assistant("OK")),
        "b": chat([user("Do it"), assistant("OK"), user("Again")], assistant("OK")),
        "c": chat([user("Do it"), assistant("OK"), user("Again"), assistant("OK"), user("Now")], assistant("OK")),
    }

    found = quotes_of(turns)

    assert found == {"b": (Quote("a", 1, 2),), "c": (Quote("a", 1, 2), Quote("b", 3, 4))}


def test_a_long_text_is_followed_into_what_another_agent_is_asked() -> None:
    old, new = "A long report about the weather in Rome, 25 degrees.", "Quite another report."
    turns = {"a": chat([user("Report")], assistant(old)), "b": chat([user(f"Sum up: «{old}»")], assistant("Warm."))}

    assert followed(assistant(new), turns).request.body["messages"] == [user(f"Sum up: «{new}»")]


def test_anthropics_blocks() -> None:
    def message(*blocks: Json) -> Response:
        return Response({"id": "msg_0", "type": "message", "role": "assistant", "content": list(blocks)})

    def use(id: str, city: str) -> Json:
        return {"type": "tool_use", "id": id, "name": "weather", "input": {"city": city}}

    def asked(*messages: Json) -> Request:
        return Request("POST", "/v1/messages", {"model": "m", "messages": list(messages)}, SCOPE)

    answer = {"type": "tool_result", "tool_use_id": "toolu_00000001", "content": "sunny"}
    old = message({"type": "thinking", "thinking": "Hm."}, use("toolu_00000001", "Rome"))
    later = asked(user("?"), {"role": "assistant", "content": [use("toolu_00000001", "Rome")]},
                  {"role": "user", "content": [answer]})  # fmt: skip
    turns = {"a": Exchange(asked(user("?")), old), "b": Exchange(later, message({"type": "text", "text": "Sunny."}))}
    new = message(
        {"type": "thinking", "thinking": "So."}, {"type": "text", "text": "I look."}, use("toolu_00000002", "Rome")
    )

    found = follow(later, quotes_of(turns)["b"], {"a": (old, new)}).request.body["messages"]

    assert found[1]["content"] == [{"type": "text", "text": "I look."}, use("toolu_00000002", "Rome")]
    assert found[2]["content"] == [{**answer, "tool_use_id": "toolu_00000002"}]


def response(id: str, *output: Json) -> Response:
    return Response({"id": id, "object": "response", "output": list(output)})


def said(id: str, text: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": content}


def function(id: str, city: str) -> Json:
    arguments = json.dumps({"city": city})
    return {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": "weather", "arguments": arguments}


def responses(body: Json, answer: Response) -> Exchange:
    return Exchange(Request("POST", "/v1/responses", {"model": "m", **body}, SCOPE), answer)


def test_previous_response_ids_and_the_calls_that_they_hold() -> None:
    output = {"type": "function_call_output", "call_id": "call_0000000001", "output": "sunny"}
    turns = {
        "a": responses({"input": "Weather?"}, response("resp_00000001", function("call_0000000001", "Rome"))),
        "b": responses({"input": [output], "previous_response_id": "resp_00000001"}, response("resp_00000002")),
    }
    quotes = quotes_of(turns)["b"]
    new = response("resp_99999999", function("call_9999999999", "Rome"))

    found = follow(turns["b"].request, quotes, {"a": (turns["a"].response, new)}).request.body
    left = follow(turns["b"].request, quotes, {"a": (turns["a"].response, response("resp_9", said("msg_1", "No.")))})

    assert (found["previous_response_id"], found["input"][0]["call_id"]) == ("resp_99999999", "call_9999999999")
    assert left.request == turns["b"].request
    assert "no tool" in left.misfits["a"]


def test_items_of_the_responses_api_are_quoted_as_the_client_wrote_them() -> None:
    old = response("resp_00000001", {"type": "reasoning", "id": "rs_1", "summary": []}, said("msg_00000001", "Sunny."))
    written = {"role": "assistant", "content": "Sunny."}
    items = [user("Weather?"), written, user("And now?")]
    turns = {
        "a": responses({"input": "Weather?"}, old),
        "b": responses({"input": items}, response("resp_00000002", said("msg_2", "Rainy."))),
    }
    new = response("resp_3", {"type": "reasoning", "id": "rs_2", "summary": []}, said("msg_00000003", "Foggy."))

    found = follow(turns["b"].request, quotes_of(turns)["b"], {"a": (old, new)})

    assert found.request.body["input"] == [user("Weather?"), {**written, "content": "Foggy."}, user("And now?")]


def test_ids_of_conversations_are_followed_into_paths() -> None:
    made = Exchange(
        Request("POST", "/v1/conversations", {}, SCOPE), Response({"id": "conv_000001", "object": "conversation"})
    )
    path = "/v1/conversations/conv_000001/items"
    listed = Exchange(Request("GET", path, {}, SCOPE), Response({"object": "list", "data": []}))
    now = Response({"id": "conv_999999", "object": "conversation"})

    quotes = quotes_of({"a": made, "b": listed})["b"]

    assert follow(listed.request, quotes, {"a": (made.response, now)}).request.path == path.replace("000001", "999999")


TEXTS = st.sampled_from(["", "OK", "Yes.", "A text that is long enough to be found wherever it may stand."])
MESSAGES = st.lists(st.one_of(TEXTS.map(user), TEXTS.map(assistant), st.just(assistant(None, ROME))), max_size=4)
SCOPES = st.sampled_from([None, SCOPE, "tests/test_b.py::test_b"])
EXCHANGES = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.builds(chat, MESSAGES, st.one_of(TEXTS.map(assistant), st.just(assistant(None, ROME))), SCOPES),
    max_size=6,
)
LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine takes its time to make examples."""


@LAW
@given(EXCHANGES)
def test_what_quotes_what_has_no_circles_and_stays_within_its_test(exchanges: dict[str, Exchange]) -> None:
    quotes = quotes_of(exchanges)
    done: set[str] = set()
    while ready := {name for name in exchanges if {q.name for q in quotes.get(name, ())} <= done} - done:
        done |= ready

    assert done == set(exchanges)
    for name, found in quotes.items():
        assert {exchanges[quote.name].request.scope for quote in found} == {exchanges[name].request.scope}


@LAW
@given(EXCHANGES)
def test_an_answer_that_came_back_the_same_changes_no_request(exchanges: dict[str, Exchange]) -> None:
    for name, found in quotes_of(exchanges).items():
        both = {
            quote.name: (exchanges[quote.name].response, copy.deepcopy(exchanges[quote.name].response))
            for quote in found
        }
        request = exchanges[name].request

        assert follow(request, found, both) == Followed(request, same=tuple(both))


@LAW
@given(EXCHANGES, TEXTS.map(assistant))
def test_the_request_that_was_recorded_is_never_changed_in_place(exchanges: dict[str, Exchange], new: Json) -> None:
    before = copy.deepcopy(exchanges)
    for name, found in quotes_of(exchanges).items():
        both = {quote.name: (exchanges[quote.name].response, completion(new)) for quote in found}
        after = follow(exchanges[name].request, found, both).request
        assert len(after.body["messages"]) == len(exchanges[name].request.body["messages"])

    assert exchanges == before
