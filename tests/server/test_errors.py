"""Every error that a client can meet, over raw HTTP: status, type, code, param, message, and whether to ask again."""

import http.client
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from openai import OpenAI

from harness.running import ServerThread
from harness.settings import Mode, Settings
from tests.scripted_upstream import chunk, scripted, stream
from tests.scripted_upstream import http as scripted_http
from tests.server.test_responses_backend import HELLO, Api, Played, run

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"
NO_PREFIX = r"Expected an ID that begins with '{0}'\.\n.* looks like '{0}_…'\.$"


class Wrong(NamedTuple):
    """A request that is refused, and how. ``{conv}`` in a path is a conversation that exists."""

    method: str
    path: str
    body: Any
    status: int
    code: str | None
    param: str | None
    message: str


def asked(code: str | None, param: str | None, message: str, *, status: int = 400, **body: Any) -> Wrong:
    """A response that is asked for."""
    wanted = {name: value for name, value in ({"model": "m", "input": "Hi"} | body).items() if value is not ...}
    return Wrong("POST", RESPONSES, wanted, status, code, param, message)


def part(**fields: Any) -> dict[str, Any]:
    """An input whose fourth message has this part."""
    return {"input": [*[{"role": "user", "content": "x"}] * 3, {"role": "user", "content": [fields]}]}


CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
CUSTOM = {"type": "custom_tool_call", "call_id": "call_2", "name": "f", "input": "x"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "call_2", "output": "1"}
ITEM = {"type": "message", "role": "user", "content": "Hi"}
PAIRS = {str(number): "" for number in range(17)}

WRONG = [
    # What is not there.
    Wrong("GET", f"{RESPONSES}/resp_0", None, 404, None, None, r"^Response with id 'resp_0' not found\.$"),
    Wrong("DELETE", f"{RESPONSES}/resp_0", None, 404, None, None, r"^Response with id 'resp_0' not found\.$"),
    Wrong("GET", f"{RESPONSES}/resp_0/input_items", None, 404, None, None, r"^Response with id 'resp_0' not found"),
    asked(
        "previous_response_not_found",
        "previous_response_id",
        r"^Previous response with id 'resp_0' not found\.$",
        previous_response_id="resp_0",
    ),
    asked(None, None, r"^Conversation with id 'conv_0' not found\.$", status=404, conversation="conv_0"),
    asked(None, None, r"^Conversation with id 'conv_0' not found\.$", status=404, conversation={"id": "conv_0"}),
    Wrong("GET", f"{CONVERSATIONS}/conv_0", None, 404, None, None, r"^Conversation with id 'conv_0' not found\.$"),
    Wrong("POST", f"{CONVERSATIONS}/conv_0", {"metadata": {}}, 404, None, None, "^Conversation with id"),
    Wrong("DELETE", f"{CONVERSATIONS}/conv_0", None, 404, None, None, "^Conversation with id"),
    Wrong("GET", f"{CONVERSATIONS}/conv_0/items", None, 404, None, None, "^Conversation with id"),
    Wrong("POST", f"{CONVERSATIONS}/conv_0/items", {"items": [ITEM]}, 404, None, None, "^Conversation with id"),
    Wrong("GET", f"{CONVERSATIONS}/{{conv}}/items/msg_0", None, 404, None, None, "^Item with id 'msg_0' not found"),
    Wrong("DELETE", f"{CONVERSATIONS}/{{conv}}/items/msg_0", None, 404, None, None, "^Item with id 'msg_0' not found"),
    # What is missing.
    asked("missing_required_parameter", "model", r"^Missing required parameter: 'model'\.$", model=...),
    asked("missing_required_parameter", "input", r"^Missing required parameter: 'input'\.$", input=...),
    asked("invalid_value", "input", "written as JSON", input="\ud83d"),
    asked("invalid_value", "input[0].content", "written as JSON", input=[ITEM | {"content": "\ud83d"}]),
    asked("missing_required_parameter", "tools[0].name", "^Missing required", tools=[{"type": "function"}]),
    asked("missing_required_parameter", "input[3].content[0].type", "^Missing required", **part(text="x")),
    Wrong("POST", f"{CONVERSATIONS}/{{conv}}/items", {}, 400, "missing_required_parameter", "items", "^Missing"),
    Wrong("POST", f"{CONVERSATIONS}/{{conv}}", {}, 400, "missing_required_parameter", "metadata", "^Missing"),
    # What is unknown.
    asked("unknown_parameter", "surprise", r"^Unknown parameter: 'surprise'\.$", surprise=1),
    asked("unknown_parameter", "reasoning.depth", r"^Unknown parameter: 'reasoning.depth'", reasoning={"depth": 1}),
    Wrong("POST", CONVERSATIONS, {"title": "x"}, 400, "unknown_parameter", "title", "^Unknown parameter: 'title'"),
    asked("invalid_type", "extra_body", "expected an object", extra_body=[]),
    asked("invalid_value", "extra_body.messages", "the harness writes 'messages' itself", extra_body={"messages": []}),
    asked("invalid_value", "extra_body.stream", "the harness writes 'stream' itself", extra_body={"stream": False}),
    # Wrong types.
    asked("invalid_type", "input", "expected one of a string or an array", input=7),
    asked("invalid_type", "temperature", "^Invalid type for 'temperature': expected", temperature="hot"),
    asked("invalid_type", "store", "expected a boolean, but got a string", store="yes"),
    asked("invalid_type", "tools", "expected an array", tools={}),
    asked("invalid_type", "input[3].content[0].text", "expected a string", **part(type="input_text", text=7)),
    Wrong("POST", CONVERSATIONS, {"items": {}}, 400, "invalid_type", "items", "expected an array"),
    Wrong("POST", CONVERSATIONS, {"metadata": {"a": 1}}, 400, "invalid_type", "metadata.a", "expected a string"),
    # Wrong values.
    asked("invalid_value", "truncation", "^Invalid value: 'some'. Supported values are", truncation="some"),
    asked("invalid_value", "input[3].content[0].type", "^Invalid value: 'text'", **part(type="text", text="x")),
    asked("invalid_value", "input[0].role", "^Invalid value: 'wizard'", input=[{"role": "wizard", "content": "x"}]),
    asked("invalid_value", "tool_choice", "^Invalid value: 'any'", tool_choice="any", tools=[{"type": "function"}]),
    asked("invalid_value", "tool_choice", "not found in 'tools'", tool_choice={"type": "function", "name": "g"}),
    Wrong("GET", f"{CONVERSATIONS}/{{conv}}/items?order=up", None, 400, "invalid_value", "order", "^Invalid value"),
    Wrong("GET", f"{CONVERSATIONS}/{{conv}}/items?after=x", None, 400, "invalid_value", "after", "not found"),
    # Ids of something else.
    asked("invalid_id_prefix", "conversation", NO_PREFIX.format("conv"), conversation="abc"),
    asked("invalid_id_prefix", "previous_response_id", NO_PREFIX.format("resp"), previous_response_id="abc"),
    Wrong(
        "GET", f"{CONVERSATIONS}/resp_0", None, 400, "invalid_id_prefix", "conversation_id", NO_PREFIX.format("conv")
    ),
    Wrong("GET", f"{RESPONSES}/conv_0", None, 400, "invalid_id_prefix", "response_id", NO_PREFIX.format("resp")),
    # Limits.
    Wrong("POST", CONVERSATIONS, {"items": [ITEM] * 21}, 400, "array_above_max_length", "items", "maximum length 20"),
    Wrong(
        "POST",
        f"{CONVERSATIONS}/{{conv}}/items",
        {"items": [ITEM] * 21},
        400,
        "array_above_max_length",
        "items",
        "with length 21",
    ),
    asked("object_above_max_properties", "metadata", "at most 16 properties", metadata=PAIRS),
    asked("string_above_max_length", "metadata." + "k" * 64 + "…", "maximum length 64", metadata={"k" * 65: ""}),
    asked("string_above_max_length", "metadata.k", "maximum length 512", metadata={"k": "v" * 513}),
    Wrong("POST", CONVERSATIONS, {"metadata": PAIRS}, 400, "object_above_max_properties", "metadata", "at most 16"),
    asked("integer_below_min_value", "max_output_tokens", "Expected a value >= 16", max_output_tokens=15),
    asked(
        "integer_below_min_value",
        "max_tool_calls",
        r"^Invalid.*but got 0 instead\.\nInput should be greater than or equal to 1\.$",
        max_tool_calls=0,
    ),
    asked("decimal_above_max_value", "temperature", "Expected a value <= 2, but got 2.5", temperature=2.5),
    Wrong(
        "GET", f"{CONVERSATIONS}/{{conv}}/items?limit=0", None, 400, "integer_below_min_value", "limit", "value >= 1"
    ),
    Wrong("GET", f"{CONVERSATIONS}/{{conv}}/items?limit=101", None, 400, "integer_above_max_value", "limit", "<= 100"),
    # Calls and their outputs.
    asked(None, "input", "^No tool call found for function call output with call_id call_1", input=[OUTPUT]),
    asked(None, "input", "^No tool output found for function call call_1", input=[ITEM, CALL, ITEM]),
    asked(None, "input", "^No tool call found for custom tool call output", input=[CUSTOM_OUTPUT, CUSTOM]),
    asked(None, "input", "^No tool output found for custom tool call call_2", input=[CALL, OUTPUT, CUSTOM]),
    asked(
        "mutually_exclusive_parameters",
        "previous_response_id",
        "^Mutually exclusive parameters",
        conversation="conv_0",
        previous_response_id="resp_0",
    ),
    # No JSON.
    Wrong("POST", RESPONSES, b'{"model": ', 400, "invalid_json", None, "^We could not parse the JSON body"),
    Wrong("POST", CONVERSATIONS, b"{nope}", 400, "invalid_json", None, "^We could not parse the JSON body"),
    Wrong("POST", RESPONSES, b"[]", 400, "invalid_type", None, "must be a JSON object"),
    Wrong("GET", "/models/a%0Ab", None, 404, "unknown_url", None, "^Unknown request URL"),
    Wrong("GET", "/v1/responses/resp_{}", None, 404, "unknown_url", None, "^Unknown request URL"),
    # What is there, and not by this method.
    Wrong("PUT", "/v1/conversations", None, 405, "method_not_supported", None, "^Not allowed to PUT on /v1/conversati"),
    Wrong("GET", RESPONSES, None, 405, "method_not_supported", None, r"Allowed: POST\.$"),
    Wrong("PUT", f"{RESPONSES}/input_tokens", {}, 405, "method_not_supported", None, "DELETE, GET, HEAD, POST"),
    Wrong("POST", f"{CONVERSATIONS}/{{conv}}/items/msg_0", {}, 405, "method_not_supported", None, "DELETE, GET, HEAD"),
    Wrong("PATCH", "/v1/chat/completions", {}, 405, "method_not_supported", None, "^Not allowed to PATCH on /v1/chat/"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.method} {wrong.path} {wrong.code} {wrong.param}")
def test_what_is_refused_is_refused_in_openais_words(wrong: Wrong) -> None:
    async def scenario(api: Api) -> None:
        path = wrong.path.replace("{conv}", await api.conversation())
        data = wrong.body if isinstance(wrong.body, bytes | None) else json.dumps(wrong.body).encode()
        async with api.client.request(wrong.method, path, data=data) as answer:
            error = (await answer.json())["error"]
            assert (answer.status, error["code"]) == (wrong.status, wrong.code), error
        assert error.keys() == {"message", "type", "param", "code"}
        assert (error["type"], error["param"]) == ("invalid_request_error", wrong.param)
        assert re.search(wrong.message, error["message"]), error["message"]

    run(Played(), scenario)


LIMITED = {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
NO_MODEL = {"message": "The model 'm' does not exist.", "type": "NotFoundError", "param": None, "code": 404}
CHAT, BODIES = "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}


def post(server: ServerThread, path: str, *, stream: bool = False) -> tuple[int, dict[str, str], Any]:
    """Status, headers with their names in lower case, and the error of what is asked at ``path``."""
    name = "messages" if path == CHAT else "input"
    body = json.dumps({"model": "m", "stream": stream, name: BODIES[name]})
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=10)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        headers = {header.lower(): value for header, value in answer.getheaders()}
        return answer.status, headers, json.loads(answer.read())["error"]
    finally:
        connection.close()


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.RECORD])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 422, 429, 500, 503])
def test_an_upstreams_error_reaches_the_client_as_what_it_is(
    tmp_path: Path, path: str, status: int, mode: Mode
) -> None:
    headers = "Retry-After: 7\r\nX-RateLimit-Remaining-Requests: 0\r\n"
    said = scripted_http(json.dumps(LIMITED).encode(), status=status, headers=headers)
    with scripted(said) as upstream:
        with ServerThread(Settings(mode=mode, upstream=upstream.url, recordings=tmp_path)) as server:
            for streamed in (False, True):
                given, got, error = post(server, path, stream=streamed)
                assert (given, error) == (status, LIMITED["error"])
                # What is recorded has a rate limit that is never reached.
                remaining = "1000" if mode is Mode.RECORD and status in (404, 422) else "0"
                assert (got["retry-after"], got["x-ratelimit-remaining-requests"]) == ("7", remaining)
                assert "x-should-retry" not in got


@pytest.mark.parametrize("shell", [False, True])
def test_an_unknown_model_is_a_400_of_responses_and_a_404_of_chat(tmp_path: Path, *, shell: bool) -> None:
    said = scripted_http(json.dumps({"error": NO_MODEL} if shell else NO_MODEL).encode(), status=404)
    with scripted(said) as upstream:
        with ServerThread(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as server:
            status, _, error = post(server, RESPONSES)
            assert (status, error["code"], error["message"]) == (400, "model_not_found", NO_MODEL["message"])
            assert error["param"] == "model"
            if shell:
                assert post(server, CHAT)[0] == 404


def test_a_model_that_is_for_others_is_forbidden_in_both(tmp_path: Path) -> None:
    error = LIMITED["error"] | {"message": "No access to the model.", "code": "model_not_found"}
    with scripted(scripted_http(json.dumps({"error": error}).encode(), status=403)) as upstream:
        with ServerThread(Settings(mode=Mode.LIVE, upstream=upstream.url, recordings=tmp_path)) as server:
            assert [post(server, path)[0] for path in (CHAT, RESPONSES)] == [403, 403]


def test_what_asking_again_cannot_help_says_so(tmp_path: Path) -> None:
    for path in (CHAT, RESPONSES):
        with ServerThread(Settings(recordings=tmp_path)) as server:
            status, headers, error = post(server, path)
            assert (status, error["code"], headers["x-should-retry"]) == (404, "recording_not_found", "false")
        nowhere = Settings(mode=Mode.LIVE, upstream="http://127.0.0.1:9/v1", recordings=tmp_path)
        with ServerThread(nowhere) as server:
            status, headers, error = post(server, path)
            assert (status, error["code"], headers["x-should-retry"]) == (502, "upstream_error", "false")


MID_STREAM = [
    ({"message": "x", "code": "rate_limit_exceeded"}, "rate_limit_exceeded"),
    ({"message": "x", "code": 429}, "rate_limit_exceeded"),
    ({"message": "x", "type": "rate_limit_error"}, "rate_limit_exceeded"),
    ({"message": "x", "type": "insufficient_quota"}, "rate_limit_exceeded"),
    ({"message": "x", "code": "context_length_exceeded"}, "invalid_prompt"),
    ({"message": "x", "type": "exceed_context_size_error", "code": 400}, "invalid_prompt"),
    ({"message": "x", "type": "invalid_request_error"}, "invalid_prompt"),
    ({"message": "x", "code": "image_too_large"}, "image_too_large"),
    ({"message": "x", "type": "server_error"}, "server_error"),
    ({"message": "x", "code": 500}, "server_error"),
    ("x", "server_error"),
]


@pytest.mark.parametrize(("error", "code"), MID_STREAM)
def test_an_error_in_mid_stream_is_a_failed_response_with_a_code_of_openais(error: Any, code: str) -> None:
    async def scenario(api: Api) -> None:
        final = (await api.stream())[-1]
        assert final["type"] == "response.failed"
        assert final["response"]["error"] == {"code": code, "message": "x"}

    run(Played(HELLO, {"error": error}), scenario)


@pytest.mark.parametrize("given", [{"grammar": "x"}, {"extra_body": {"grammar": "x"}}])
def test_keys_of_an_upstreams_own_reach_it_where_the_settings_name_them(tmp_path: Path, given: dict[str, Any]) -> None:
    settings = Settings(mode=Mode.LIVE, recordings=tmp_path, upstream_parameters=("grammar",))
    with scripted(stream(chunk("Hi"), chunk(finish="stop"))) as upstream:
        with ServerThread(replace(settings, upstream=upstream.url)) as server:
            with OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
                client.responses.create(model="m", input="Hi", extra_body=given)
    assert upstream.requests[0][1]["grammar"] == "x"
    assert "extra_body" not in upstream.requests[0][1]


@pytest.mark.parametrize("path", [RESPONSES, CHAT])
def test_a_body_that_is_not_packed_as_it_says_is_an_invalid_one(tmp_path: Path, path: str) -> None:
    with ServerThread(Settings(recordings=tmp_path)) as server:
        connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=5)
        connection.request("POST", path, b"{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"})
        answer = connection.getresponse()
        error = json.loads(answer.read())["error"]
        connection.close()
    assert (answer.status, error["code"], error["type"]) == (400, "invalid_body", "invalid_request_error")
