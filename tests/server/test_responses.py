"""The Responses API through the real client, over a server in replay mode: a turn is answered for its history alone."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from openai import OpenAI

from harness.recording.author import author
from harness.recording.canonical import Canonicalizer
from harness.recording.key import key
from harness.recording.model import Exchange, Request, Response
from harness.running import ServerThread
from harness.settings import Settings
from harness.stores.directory import DirectoryStore
from tests.server.conformance import check_event, check_response, check_stream, needs_descriptions

Message = tuple[str, str]
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": TOOL["parameters"], "strict": False}}


class Recordings:
    """Recordings made by hand, each for one history and no other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._store = DirectoryStore(directory, Canonicalizer())

    def add(self, *messages: Message | dict[str, Any], answer: str = "", chunks: Any = None, **body: Any) -> str:
        """Make ``answer``, or ``chunks`` as they are, the answer to these messages; the recording's name."""
        said = [message if isinstance(message, dict) else _message(message) for message in messages]
        request = Request("POST", "/v1/chat/completions", {"model": "m", "messages": said, "stream": True} | body)
        made = author(request, answer)
        if chunks is not None:
            made = Exchange(request, Response(chunks, is_streaming=True))
        self._store.save(made, key(request))
        return key(request)


def _message(message: Message) -> dict[str, str]:
    return {"role": message[0], "content": message[1]}


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path)


@contextmanager
def serving(recordings: Recordings) -> Iterator[ServerThread]:
    with ServerThread(Settings(recordings=recordings.directory)) as server:
        yield server


@pytest.fixture
def client(recordings: Recordings) -> Iterator[OpenAI]:
    """A client of a fresh server. Recordings that come later are seen all the same."""
    with serving(recordings) as server, OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as made:
        yield made


def say(client: OpenAI, text: Any, **more: Any) -> Any:
    return client.responses.create(model="m", input=text, **more)


def streamed(client: OpenAI, text: Any, **more: Any) -> list[dict[str, Any]]:
    return [event.model_dump(mode="json", exclude_unset=True) for event in say(client, text, stream=True, **more)]


def error_of(caught: pytest.ExceptionInfo[openai.APIStatusError]) -> tuple[int, Any, Any]:
    return caught.value.status_code, caught.value.code, caught.value.param


def texts(client: OpenAI, conversation_id: str) -> list[str]:
    items: Any = client.conversations.items.list(conversation_id, order="asc")
    return [part.text for item in items if item.type == "message" for part in item.content]


def test_a_turn_answers_and_can_be_retrieved_and_deleted(client: OpenAI, recordings: Recordings) -> None:
    name = recordings.add(("user", "Hi"), answer="Hello there")

    raw = client.responses.with_raw_response.create(model="m", input="Hi", metadata={"a": "b"})
    response: Any = raw.parse()

    assert raw.headers["x-harness-recording"] == name
    assert (response.status, response.output_text, response.model) == ("completed", "Hello there", "m")
    assert (response.conversation, response.previous_response_id) == (None, None)
    assert response.metadata == {"a": "b"}
    assert client.responses.retrieve(response.id) == response
    client.responses.delete(response.id)
    for call in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            call(response.id)


def test_a_streamed_turn_says_the_same(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", "Hi"), answer="Hello there")

    events = streamed(client, "Hi")

    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    check_stream(events)
    final = events[-1]["response"]
    assert client.responses.retrieve(final["id"]).model_dump(mode="json", exclude_unset=True) == final


@pytest.mark.parametrize("as_object", [False, True])
def test_a_conversation_grows_by_its_turns(client: OpenAI, recordings: Recordings, *, as_object: bool) -> None:
    recordings.add(("user", "One?"), answer="One.")
    recordings.add(("user", "One?"), ("assistant", "One."), ("user", "Two?"), answer="Two.")
    conversation = client.conversations.create()
    named: Any = {"id": conversation.id} if as_object else conversation.id

    first = say(client, "One?", conversation=named)
    second = streamed(client, [{"role": "user", "content": "Two?"}], conversation=named)

    assert first.conversation.id == conversation.id
    assert second[-1]["response"]["conversation"] == {"id": conversation.id}
    assert texts(client, conversation.id) == ["One?", "One.", "Two?", "Two."]


def test_a_chain_of_responses_is_the_history(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("system", "Be brief."), ("user", "One?"), answer="One.")
    recordings.add(("user", "One?"), ("assistant", "One."), ("user", "Two?"), answer="Two.")
    three = [("user", "One?"), ("assistant", "One."), ("user", "Two?"), ("assistant", "Two."), ("user", "Three?")]
    recordings.add(*three, answer="Three.")

    first = say(client, "One?", instructions="Be brief.")
    second = say(client, "Two?", previous_response_id=first.id)
    third = say(client, "Three?", previous_response_id=second.id)

    assert first.instructions == "Be brief."
    assert (second.instructions, second.previous_response_id) == (None, first.id)
    assert third.output_text == "Three."


def test_input_items_are_paged(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", "One?"), answer="One.")
    recordings.add(("user", "One?"), ("assistant", "One."), ("user", "Two?"), answer="Two.")
    second = say(client, "Two?", previous_response_id=say(client, "One?").id)

    page: Any = client.responses.input_items.list(second.id, limit=2, order="asc")

    assert [item.content[0].text for item in page.data] == ["One?", "One."]
    assert page.has_more
    rest: Any = client.responses.input_items.list(second.id, after=page.last_id, order="asc")
    assert [item.content[0].text for item in rest.data] == ["Two?"]
    everything: Any = list(client.responses.input_items.list(second.id, limit=1))
    assert [item.content[0].text for item in everything] == ["Two?", "One.", "One?"]


def test_the_model_is_sent_the_items_as_they_are_now(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", "Secret"), answer="Noted.")
    recordings.add(("assistant", "Noted."), ("system", "Be kind."), ("user", "So?"), answer="Kindly.")
    conversation = client.conversations.create()
    said = say(client, "Secret", conversation=conversation.id)

    (secret,) = client.responses.input_items.list(said.id)
    client.conversations.items.delete(str(secret.id), conversation_id=conversation.id)
    added: Any = [{"type": "message", "role": "system", "content": "Be kind."}]
    client.conversations.items.create(conversation.id, items=added)

    assert say(client, "So?", conversation=conversation.id).output_text == "Kindly."


@pytest.mark.parametrize("stream", [False, True])
def test_a_miss_is_an_error_and_appends_nothing(client: OpenAI, recordings: Recordings, *, stream: bool) -> None:
    recordings.add(("user", "One?"), answer="One.")
    conversation = client.conversations.create()
    say(client, "One?", conversation=conversation.id)

    with pytest.raises(openai.NotFoundError) as caught:
        say(client, "Two?", conversation=conversation.id, stream=stream)

    assert error_of(caught)[1] == "recording_not_found"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert texts(client, conversation.id) == ["One?", "One."]


def test_what_is_not_stored_is_not_there(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", "Hi"), answer="Hello")
    response = say(client, "Hi", store=False)

    assert response.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError) as caught:
        say(client, "So?", previous_response_id=response.id)
    assert error_of(caught) == (400, "previous_response_not_found", "previous_response_id")


def test_what_our_own_output_held_is_taken_back(client: OpenAI, recordings: Recordings) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}
    recordings.add(("user", "Rome?"), chunks=REPLIES["reasoning and a call"], tools=[CHAT_TOOL])
    recordings.add(("user", "Rome?"), asked, result, answer="It is sunny.", tools=[CHAT_TOOL])
    question = {"role": "user", "content": "Rome?"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}

    first = say(client, [question], tools=[TOOL])
    bare = [item.model_dump(exclude_none=True, exclude={"id", "status"}) for item in first.output]
    for given in (first.output, bare):
        assert say(client, [question, *given, output], tools=[TOOL]).output_text == "It is sunny."
    assert say(client, [output], tools=[TOOL], previous_response_id=first.id).output_text == "It is sunny."


def test_a_reference_names_what_the_history_holds(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", "One?"), answer="One.")
    recordings.add(("user", "One?"), ("assistant", "One."), ("user", "Two?"), answer="Two.")
    conversation = client.conversations.create()
    first = say(client, "One?", conversation=conversation.id)
    reference = {"type": "item_reference", "id": first.output[0].id}

    second = say(client, [reference, {"role": "user", "content": "Two?"}], conversation=conversation.id)

    assert second.output_text == "Two."
    assert texts(client, conversation.id) == ["One?", "One.", "Two?", "Two."]


def test_a_reference_names_what_any_kept_response_put_out(client: OpenAI, recordings: Recordings) -> None:
    """As the Vercel AI SDK continues: with no conversation, and no previous response."""
    recordings.add(("user", "One?"), answer="One.")
    recordings.add(("user", "One?"), ("assistant", "One."), ("user", "Two?"), answer="Two.")
    one, two = {"role": "user", "content": "One?"}, {"role": "user", "content": "Two?"}
    first = say(client, [one])
    reference = {"type": "item_reference", "id": first.output[0].id}

    assert say(client, [one, reference, two]).output_text == "Two."
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        say(client, [one, reference, two])


def test_an_item_is_not_added_twice(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", "One?"), answer="One.")
    conversation = client.conversations.create()
    first = say(client, "One?", conversation=conversation.id)

    with pytest.raises(openai.BadRequestError) as caught:
        say(client, first.output, conversation=conversation.id)

    assert error_of(caught) == (400, "invalid_value", "input")
    assert "Duplicate item found with id" in caught.value.message


def fc_output(call_id: str) -> dict[str, str]:
    return {"type": "function_call_output", "call_id": call_id, "output": "42"}


BOTH = {"conversation": "conv_0", "previous_response_id": "resp_0"}
BAD_FORMAT = {"type": "custom", "name": "c", "format": {"type": "x"}}
COMPUTER_CALL = {"type": "computer_call", "call_id": "call_1", "action": {}, "pending_safety_checks": []}
BAD_TOOL = {"type": "function", "function": {"name": "f"}}

MISSING = "missing_required_parameter"
VALUE = "invalid_value"
REFUSED: list[tuple[dict[str, Any], int, str | None, str | None]] = [
    ({"model": None}, 400, MISSING, "model"),
    ({"input": None}, 400, MISSING, "input"),
    ({"input": []}, 400, MISSING, "input"),
    ({"input": 7}, 400, "invalid_type", "input"),
    ({"input": [7]}, 400, "invalid_type", "input[0]"),
    ({"input": [{"type": "massage"}]}, 400, "invalid_value", "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "text"}]}]}, 400, "invalid_value", "input[0].content[0].type"),
    ({"input": [fc_output("call_1")]}, 400, None, "input"),
    ({"input": [{"type": "item_reference", "id": "msg_0"}]}, 404, None, "input"),
    ({"surprise": 1}, 400, "unknown_parameter", "surprise"),
    ({"background": True, "store": False}, 400, "invalid_value", "store"),
    ({"background": 0}, 400, "invalid_type", "background"),
    ({"conversation": "abc"}, 400, "invalid_id_prefix", "conversation"),
    ({"conversation": {}}, 400, MISSING, "conversation.id"),
    ({"conversation": {"id": 7}}, 400, "invalid_type", "conversation.id"),
    ({"conversation": "conv_0"}, 404, None, None),
    ({"conversation": "conv_\0"}, 404, None, None),
    ({"previous_response_id": "abc"}, 400, "invalid_id_prefix", "previous_response_id"),
    ({"previous_response_id": "resp_0"}, 400, "previous_response_not_found", "previous_response_id"),
    (BOTH, 400, "mutually_exclusive_parameters", "previous_response_id"),
    ({"max_output_tokens": 15}, 400, "integer_below_min_value", "max_output_tokens"),
    ({"max_tool_calls": 0}, 400, "integer_below_min_value", "max_tool_calls"),
    ({"temperature": 2.5}, 400, "decimal_above_max_value", "temperature"),
    ({"temperature": "hot"}, 400, "invalid_type", "temperature"),
    ({"top_logprobs": 21}, 400, "integer_above_max_value", "top_logprobs"),
    ({"metadata": {"k" * 65: ""}}, 400, "string_above_max_length", None),
    ({"metadata": {str(n): "" for n in range(17)}}, 400, "object_above_max_properties", "metadata"),
    ({"include": ["everything"]}, 400, "invalid_value", "include[0]"),
    ({"service_tier": "first"}, 400, "invalid_value", "service_tier"),
    ({"truncation": "some"}, 400, "invalid_value", "truncation"),
    ({"reasoning": {"effort": "much"}}, 400, "invalid_value", "reasoning.effort"),
    ({"reasoning": {"depth": 1}}, 400, "unknown_parameter", "reasoning.depth"),
    ({"text": {"format": {"type": "xml"}}}, 400, "invalid_value", "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, 400, MISSING, "text.format.name"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, 400, MISSING, "text.format.schema"),
    ({"stream_options": {"depth": 1}}, 400, "unknown_parameter", "stream_options.depth"),
    ({"tools": ["f"]}, 400, "invalid_type", "tools[0]"),
    ({"tools": [{}]}, 400, MISSING, "tools[0].type"),
    ({"tools": [{"type": []}]}, 400, "invalid_type", "tools[0].type"),
    ({"tools": [{"type": "magic"}]}, 400, "invalid_value", "tools[0].type"),
    ({"tools": [{"type": "web_search_2025_08_26"}]}, 400, "unsupported_value", "tools[0].type"),
    ({"tools": [{"type": "mcp", "server_label": "s"}]}, 400, MISSING, "tools[0].server_url"),
    ({"tools": [BAD_TOOL]}, 400, MISSING, "tools[0].name"),
    ({"tools": [{"type": "function", "name": ""}]}, 400, "empty_string", "tools[0].name"),
    ({"tools": [{"type": "function", "name": "a b"}]}, 400, "invalid_value", "tools[0].name"),
    ({"tools": [TOOL | {"depth": 1}]}, 400, "unknown_parameter", "tools[0].depth"),
    ({"tools": [TOOL | {"defer_loading": True}]}, 400, "invalid_value", "tools[0].defer_loading"),
    ({"tools": [TOOL, TOOL]}, 400, "invalid_value", "tools[1].name"),
    ({"text": {"format": {"type": "text", "depth": 1}}}, 400, "unknown_parameter", "text.format.depth"),
    ({"input": [{"role": "user", "content": "Hi", "n": 1}]}, 400, "unknown_parameter", "input[0].n"),
    ({"input": [COMPUTER_CALL]}, 400, None, "input"),
    ({"input": [{"type": "configuration_update"}]}, 400, "unsupported_value", "input"),
    ({"tools": [BAD_FORMAT]}, 400, "invalid_value", "tools[0].format.type"),
    ({"tool_choice": "maybe"}, 400, "invalid_value", "tool_choice"),
    ({"tool_choice": "required"}, 400, "invalid_value", "tool_choice"),
    ({"tool_choice": {"type": "function", "name": "g"}, "tools": [TOOL]}, 400, "invalid_value", "tool_choice"),
    ({"tool_choice": {"type": "function"}, "tools": [TOOL]}, 400, MISSING, "tool_choice.name"),
    ({"tool_choice": {"type": "web_search"}}, 400, "invalid_value", "tool_choice.type"),
    ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, 400, MISSING, "tool_choice.tools"),
]


def test_a_hosted_tool_is_refused_with_how_to_have_it(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="harness serve --responses upstream"):
        say(client, "Hi", tools=[{"type": "web_search"}])


def test_an_empty_text_is_a_text(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", ""), answer="Yes?")

    assert say(client, "").output_text == "Yes?"


def test_what_says_nothing_is_no_unknown_parameter(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", "Hi"), answer="Ho.")
    nothing = {
        "surprise": None,
        "stream_options": {"include_usage": True},
        "text": {"surprise": None, "format": {"type": "text", "surprise": None}},
    }

    assert say(client, [{"role": "user", "content": "Hi", "surprise": None}], extra_body=nothing).output_text == "Ho."


def test_what_is_not_allowed_is_refused_in_openais_words(recordings: Recordings) -> None:
    with serving(recordings) as server:
        for wrong, *expected in REFUSED:
            status, body = post(server, {"model": "m", "input": "Hi"} | wrong)
            error = json.loads(body)["error"]
            found = [status, error["code"], error["param"]]
            if expected[2] is None:
                found[2] = None
            assert found == expected, wrong
            assert error["type"] == "invalid_request_error"
            assert error["message"]


def post(server: ServerThread, body: Any, path: str = "/v1/responses") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=10)
    try:
        connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda client: client.responses.retrieve("conv_1"), (400, "invalid_id_prefix", "response_id")),
        (lambda client: client.responses.retrieve("resp_1"), (404, None, None)),
        (lambda client: client.responses.delete("resp_1"), (404, None, None)),
        (lambda client: client.responses.delete("abc"), (400, "invalid_id_prefix", "response_id")),
        (lambda client: client.responses.retrieve("resp_1", include=["x"]), (400, "invalid_value", "include[0]")),
        (lambda client: client.responses.retrieve("resp_1", stream=True), (404, None, None)),
        (lambda client: client.responses.retrieve("resp_1", starting_after=1), (400, VALUE, "starting_after")),
        (lambda client: client.responses.cancel("resp_1"), (404, None, None)),
        (lambda client: client.responses.cancel("abc"), (400, "invalid_id_prefix", "response_id")),
        (lambda client: client.responses.input_items.list("resp_1"), (404, None, None)),
        (lambda client: client.responses.input_items.list("resp_1", order="up"), (400, "invalid_value", "order")),
    ],
)
def test_ids_and_queries_that_name_nothing(
    client: OpenAI, call: Callable[[OpenAI], Any], expected: tuple[int, Any, Any]
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        call(client)

    assert error_of(caught) == expected


def test_hosted_tools_are_said_to_be_openais_alone(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="'web_search' is run by OpenAI alone"):
        say(client, "Hi", tools=[{"type": "web_search"}])


def raw_exchange(server: ServerThread, body: dict[str, Any]) -> bytes:
    """All that comes over the wire: status line, headers, body."""
    data = json.dumps(body).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    address = urlsplit(server.base_url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode() + data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("stream", [False, True])
def test_two_replays_give_the_same_bytes(recordings: Recordings, *, stream: bool) -> None:
    recordings.add(("user", "Hi"), answer="Grüße, 🌍!")
    runs = []
    for _ in range(2):
        with serving(recordings) as server:
            runs.append([raw_exchange(server, {"model": "m", "input": "Hi", "stream": stream}) for _ in range(2)])

    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1], "no two responses share an id"
    assert runs[0][0].startswith(b"HTTP/1.1 200 OK\r\n")
    if stream:
        assert b"event: response.created\ndata: {" in runs[0][0]
        assert b"data: [DONE]\n\n" in runs[0][0]
        assert "Grüße,".encode() in runs[0][0]


def chunk(finish: str | None = None, logprobs: Any = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
    return {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}


def call_chunk(index: int, kind: str, text: str, **more: str) -> dict[str, Any]:
    inner = {"arguments" if kind == "function" else "input": text} | ({"name": more["name"]} if "name" in more else {})
    call = {"index": index, kind: inner} | ({"id": more["id"], "type": kind} if "id" in more else {})
    return chunk(tool_calls=[call])


LOGPROBS: dict[str, Any] = {
    "content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}],
    "refusal": None,
}
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}
WEATHER = call_chunk(0, "function", "{}", id="call_1", name="weather")

REPLIES: dict[str, list[dict[str, Any]]] = {
    "text": [chunk(content="Hi", logprobs=LOGPROBS), chunk("stop"), USAGE],
    "nothing": [chunk("stop")],
    "refusal": [chunk(refusal="No."), chunk("stop")],
    "incomplete": [chunk(content="Hi"), chunk("length")],
    "filtered": [chunk(content="Hi"), chunk("content_filter")],
    "reasoning and a call": [chunk(reasoning_content="Hm."), WEATHER, chunk("tool_calls"), USAGE],
    "parallel calls": [WEATHER, call_chunk(1, "function", "{}", id="call_2", name="weather"), chunk("tool_calls")],
    "text and a custom call": [chunk(content="So:"), call_chunk(0, "custom", "1+1", id="call_1", name="calc")],
    "failed": [chunk(content="Hi"), {"choices": 7}],
}


@needs_descriptions
@pytest.mark.parametrize("kind", REPLIES)
def test_every_answer_conforms(client: OpenAI, recordings: Recordings, kind: str) -> None:
    recordings.add(("user", "Hi"), chunks=REPLIES[kind])
    conversation = client.conversations.create()

    events = streamed(client, "Hi", conversation=conversation.id)
    check_stream(events)
    for event in events:
        check_event(event)
    if kind != "failed":
        check_response(json.loads(client.responses.with_raw_response.create(model="m", input="Hi").text))


def test_a_whole_response_that_fails_in_the_middle_is_an_error(client: OpenAI, recordings: Recordings) -> None:
    recordings.add(("user", "Hi"), chunks=REPLIES["failed"])
    with pytest.raises(openai.InternalServerError) as caught:
        say(client, "Hi")
    assert (caught.value.status_code, caught.value.code) == (502, "server_error")
    assert "x-should-retry" not in caught.value.response.headers
